package recovery_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carillon-io/carillon/internal/recovery"
	"github.com/carillon-io/carillon/internal/sio/wire"
	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// line is a connection, and what stands for its session without it.
type line struct {
	silent bool // does not answer a ping
	ended  func()
	rooms  []string
	size   int
	over   chan bool // receives whether the session was kicked
	got    []string
	last   string
	holds  atomic.Int32 // messages that it takes before it wants to wait; 0: any number
	waits  func()
	shut   bool
}

func newLine(rooms ...string) *line { return &line{rooms: rooms, over: make(chan bool, 1)} }

func (c *line) Alive(within time.Duration, answer func(bool)) {
	if !c.silent {
		go answer(true)
		return
	}
	time.AfterFunc(within, func() {
		if c.ended != nil {
			c.ended()
		}
		answer(false)
	})
}
func (c *line) Proof() time.Time            { return time.Time{} }
func (c *line) Rooms(dst []string) []string { return append(dst, c.rooms...) }
func (c *line) Size() int                   { return c.size }
func (c *line) Over(kicked bool)            { c.over <- kicked }
func (c *line) Live()                       {}
func (c *line) Abort()                      { c.shut = true }

func (c *line) Send(m *wire.Message) bool {
	name, _ := m.AsEvent()
	c.got, c.last = append(c.got, name), m.Offset
	return true
}

func (c *line) Room(_ int, f func()) bool {
	if c.holds.Load() == 0 {
		return true
	}
	if c.holds.Add(-1) > 0 {
		return true
	}
	c.holds.Store(1)
	if f != nil {
		c.waits = f
	}
	return false
}

func newStore(t *testing.T, cfg recovery.Config) (*recovery.Store, *recovery.Log) {
	t.Helper()
	if cfg.Window == 0 {
		cfg.Window = time.Minute
	}
	if cfg.Bytes == 0 {
		cfg.Bytes = 64 << 20
	}
	s, err := recovery.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, s.Log("/")
}

// publish gives an event its place, and returns its offset.
func publish(l *recovery.Log, name string, to ...string) string {
	l.Begin()
	defer l.End()
	l.Freeze()
	offset := l.Append(recovery.Event{Args: packet.Args{JSON: []byte(`["` + name + `"]`)}, Target: rooms.Target{Rooms: to}})
	l.Thaw()
	l.Delivered()
	return offset
}

func began(l *recovery.Log, pid string, c *line) *recovery.Session {
	s := l.Open(pid, "id of "+pid, "address")
	l.Begin()
	defer l.End()
	s.Start(c)
	return s
}

// claim claims a session, and says what became of it.
func claim(l *recovery.Log, pid, offset string, c *line) string {
	s, refused := l.Claim(context.Background(), recovery.Claim{PID: pid, Offset: offset}, c, "own")
	if refused != nil {
		return refused.Result().String()
	}
	l.Begin()
	replay, refused := s.Resume(c, c, func() {})
	l.End()
	if refused != nil {
		return refused.Result().String()
	}
	if replay != nil {
		replay.Run()
	}
	return "recovered"
}

func TestSession_EndsWithItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, l := newStore(t, recovery.Config{Window: time.Minute, Lag: 10 * time.Second})
		c := newLine("r")
		s := began(l, "own1", c)
		publish(l, "missed", "r")
		s.Lose(c, c)
		time.Sleep(50 * time.Second)
		if store.Absent() != 1 {
			t.Errorf("%d absent", store.Absent())
		}
		time.Sleep(12 * time.Second)
		synctest.Wait()
		if kicked := <-c.over; kicked || store.Absent() != 0 {
			t.Errorf("kicked %v, %d absent", kicked, store.Absent())
		}
		if got := claim(l, "own1", "", newLine()); got != "expired" {
			t.Errorf("a claim after the window: %s", got)
		}
		if got := claim(l, "another", "", newLine()); got != "unknown" {
			t.Errorf("a claim of a session that never was: %s", got)
		}
		time.Sleep(time.Minute)
	})
}

// What it counts it counts out again.
func TestStore_CountsWhatIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		metrics, err := recovery.NewMetrics(nil)
		if err != nil {
			t.Fatal(err)
		}
		store, l := newStore(t, recovery.Config{Window: time.Minute, Bytes: 100 << 10, Metrics: metrics})
		var all []*recovery.Session
		for i := range 100 {
			c := newLine("r", "own")
			c.size = 500
			s := began(l, fmt.Sprint("own", i), c)
			all = append(all, s)
			for j := range 20 {
				l.Freeze()
				s.Changed(fmt.Sprint("room ", j), j%2 == 1)
				l.Thaw()
				publish(l, strings.Repeat("x", 50), "r")
			}
			s.Lose(c, c)
			if held := store.Held(); held > 100<<10 {
				t.Fatalf("%d bytes held", held)
			}
			switch i % 3 {
			case 0:
				claim(l, fmt.Sprint("own", i), "", newLine())
			case 1:
				s.Kick(nil, c)
			}
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		for _, s := range all {
			s.End()
		}
		if held := store.Held(); held != 0 || store.Absent() != 0 {
			t.Errorf("%d bytes and %d sessions left", held, store.Absent())
		}
	})
}

// A session that is not to begin, as its pid is another's, leaves that one where it is.
func TestSession_EndsOnlyItself(t *testing.T) {
	_, l := newStore(t, recovery.Config{})
	c := newLine()
	s := began(l, "pid", c)
	if l.Condemn("pid") != nil {
		t.Error("a session that is known was condemned")
	}
	l.Open("pid", "another id", "address").End()
	if !l.Knows("pid") || !s.Lose(c, c) {
		t.Fatal("the session is not known any more")
	}
	if got := claim(l, "pid", "", newLine()); got != "recovered" {
		t.Errorf("claimed: %s", got)
	}
}

func TestStore_OneAddressHoldsAnEighth(t *testing.T) {
	store, l := newStore(t, recovery.Config{Bytes: 80 << 10})
	var first *line
	for i := range 20 {
		c := newLine()
		c.size = 1000
		if first == nil {
			first = c
		}
		began(l, fmt.Sprint("own", i), c).Lose(c, c)
	}
	<-first.over
	if n := store.Absent(); n < 4 || n > 7 {
		t.Errorf("%d absent sockets of one address", n)
	}
}

func TestClaim_OfAConnectionThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, l := newStore(t, recovery.Config{})
		old := newLine("r")
		s := began(l, "own1", old)
		old.silent, old.ended = true, func() { s.Lose(old, old) }
		publish(l, "missed", "r")
		start, c := time.Now(), newLine("r")
		if got := claim(l, "own1", "", c); got != "recovered" || len(c.got) != 1 {
			t.Errorf("%s, received %q", got, c.got)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v", took)
		}
		// Alive: the newcomer is another.
		if got := claim(l, "own1", "", newLine("r")); got != "refused" {
			t.Errorf("a claim of a session whose connection answers: %s", got)
		}
		// One whose connection does not let go in time is its client's all the same, which tries again.
		c.silent, c.ended = true, nil
		_, refused := l.Claim(t.Context(), recovery.Claim{PID: "own1"}, newLine("r"), "own")
		if refused == nil || !refused.Again {
			t.Errorf("a claim of a session that is not let go: %+v", refused)
		}
		// Nor is it another's because the claimant has left.
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second/2, cancel)
		_, refused = l.Claim(ctx, recovery.Claim{PID: "own1"}, newLine("r"), "own")
		if refused == nil || !refused.Again {
			t.Errorf("a claim that ended while the connection was asked: %+v", refused)
		}
	})
}

func TestSession_KickedWhileAwayIsToldOnce(t *testing.T) {
	store, l := newStore(t, recovery.Config{})
	c := newLine()
	s := began(l, "own1", c)
	s.Lose(c, c)
	s.Kick(nil, newLine()) // of another that stood for it once
	if !s.Stands() {
		t.Fatal("kicked by a handle that is no longer its own")
	}
	s.Kick(nil, c)
	if kicked := <-c.over; !kicked {
		t.Error("over, but not kicked")
	}
	_, refused := l.Claim(context.Background(), recovery.Claim{PID: "own1"}, newLine(), "own")
	if refused == nil || !refused.Kicked || store.Absent() != 0 {
		t.Errorf("refused %+v, %d absent", refused, store.Absent())
	}
	if got := claim(l, "own1", "", newLine()); got != "expired" {
		t.Errorf("told twice: %s", got)
	}
}

func TestOffset_OfAnotherPlaceOrKeyIsNone(t *testing.T) {
	_, l := newStore(t, recovery.Config{})
	at := func(offset string) int {
		c := newLine("r")
		s := began(l, "own"+offset, c)
		var first string
		for i := range 3 {
			if o := publish(l, fmt.Sprint(i), "r"); i == 0 {
				first = o
			}
		}
		s.Lose(c, c)
		if offset == "first" {
			offset = first
		}
		if strings.HasPrefix(offset, "forged") {
			forged := []byte(first)
			forged[12] ^= 1
			offset = string(forged)
		}
		again := newLine("r")
		if claim(l, s.PID(), offset, again) != "recovered" {
			return -1
		}
		return len(again.got)
	}
	for offset, want := range map[string]int{
		"": 3, "first": 2, "forged": -1, "text": -1, "@AAAAAAAAAAAAAAAAAAAAAA": 3, "AAAAAAAAAAAAAAAAAAAAAAA": -1, "@": -1,
		"@AAAAAAAAAAAAAAAAAAAAAB": -1, "@AAAAAAAAAAAAAAAAAAAA==": -1,
	} {
		if got := at(offset); got != want {
			t.Errorf("%q: %d events, want %d", offset, got, want)
		}
	}
}

// No text makes it panic, and only what it has signed makes it leave events out.
func FuzzOffset(f *testing.F) {
	f.Add("@AAAAAAAAAAAAAAAAAAAAAA")
	f.Add("somebody")
	store, err := recovery.New(recovery.Config{Window: time.Hour, Bytes: 1 << 30})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(store.Close)
	l := store.Log("/")
	n := 0
	f.Fuzz(func(t *testing.T, offset string) {
		n++
		c := newLine("r")
		s := began(l, fmt.Sprint("own", n), c)
		publish(l, "m", "r")
		s.Lose(c, c)
		again := newLine("r")
		if claim(l, s.PID(), offset, again) == "recovered" && len(again.got) != 1 {
			t.Errorf("%q: received %q", offset, again.got)
		}
		s.End()
	})
}

// A replay whose events are dropped before their turn ends the connection: never a silent hole.
func TestReplay_EventsThatAreGoneEndTheConnection(t *testing.T) {
	_, l := newStore(t, recovery.Config{Bytes: 64 << 10})
	c := newLine("r")
	s := began(l, "own1", c)
	for i := range 50 {
		publish(l, fmt.Sprint(i), "r")
	}
	s.Lose(c, c)
	slow := newLine("r")
	slow.holds.Store(10)
	if got := claim(l, "own1", "", slow); got != "recovered" || slow.waits == nil {
		t.Fatalf("%s, received %q", got, slow.got)
	}
	for i := range 500 {
		publish(l, fmt.Sprint("more ", i), "r")
	}
	slow.holds.Store(0)
	slow.waits()
	if !slow.shut || len(slow.got) > 50 {
		t.Errorf("ended %v, received %d", slow.shut, len(slow.got))
	}
	if got := claim(l, "own1", "", newLine()); got != "expired" {
		t.Errorf("claimed again: %s", got)
	}
}

func TestStore_EventsToOneSocketCostItsNeighboursNoSession(t *testing.T) {
	_, l := newStore(t, recovery.Config{Bytes: 800 << 10})
	busy := began(l, "busy", newLine())
	for range 1000 { // far more than an eighth
		l.Begin()
		l.Freeze()
		l.Append(recovery.Event{Args: packet.Args{JSON: []byte(`["` + strings.Repeat("x", 100) + `"]`)}, Session: busy})
		l.Thaw()
		l.Delivered()
		l.End()
	}
	c := newLine("r")
	if !began(l, "own1", c).Lose(c, c) {
		t.Fatal("the session is not kept")
	}
	publish(l, "missed", "r")
	if got := claim(l, "own1", "", c); got != "recovered" || len(c.got) != 1 {
		t.Errorf("%s, received %q", got, c.got)
	}
}
