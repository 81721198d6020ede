package hub_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/recovery"
	"github.com/carillon-io/carillon/internal/sio/hub"
	"github.com/carillon-io/carillon/internal/sio/tally"
	"github.com/carillon-io/carillon/internal/sio/wire"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"go.uber.org/zap"
)

// wired is a recipient whose client is at the end of a wire that can be cut: what is on it then is lost.
type wired struct {
	hub.Member

	client  *client
	session *recovery.Session
	up      bool // connected
	replay  *recovery.Replay
	behind  bool           // replay decides
	wire    []wire.Message // sent, and not yet received
	waits   func()         // for room on the wire
	proof   time.Time
}

const wireHolds = 3

func (w *wired) Connected() bool            { return w.up }
func (w *wired) Absent() bool               { return !w.up && w.session.Stands() }
func (w *wired) Session() *recovery.Session { return w.session }
func (w *wired) Info() adapter.SocketInfo   { return adapter.SocketInfo{ID: w.ID()} }
func (w *wired) Disconnect(bool)            { panic("not in this test") }

func (w *wired) Deliver(volatile bool, m *wire.Message) bool {
	if !w.up {
		return false
	}
	if w.behind {
		if queued, taken := w.replay.Put(volatile, m); taken {
			return queued
		}
	}
	w.wire = append(w.wire, *m)
	return true
}

func (w *wired) Send(m *wire.Message) bool {
	if w.up {
		w.wire = append(w.wire, *m)
	}
	return w.up
}

func (w *wired) Room(_ int, f func()) bool {
	if !w.up || len(w.wire) < wireHolds {
		return true
	}
	if f != nil {
		w.waits = f
	}
	return false
}

func (w *wired) Live()  { w.behind = false }
func (w *wired) Abort() { w.client.aborted = true }

func (w *wired) Alive(_ time.Duration, answer func(bool)) { go answer(w.up) }
func (w *wired) Proof() time.Time                         { return w.proof }

func (w *wired) Rooms(dst []string) []string { return w.client.hub.Rooms(dst, &w.Member) }
func (w *wired) Size() int                   { return 1000 }
func (w *wired) Over(bool) {
	w.client.hub.Removed(&w.Member, w.client.hub.Remove(&w.Member))
	close(w.client.over)
}

// client is a client of the model.
type client struct {
	hub     *hub.Hub
	w       *wired
	id      string
	session int
	offset  string
	got     []string        // in this session
	right   []string        // what one that was never cut would have got
	in      map[string]bool // rooms
	aborted bool
	over    chan struct{}
}

// connect begins a session.
func (c *client) connect(t *testing.T) {
	c.session++
	id := fmt.Sprintf("%s-%d", c.id, c.session)
	c.w = &wired{client: c, session: c.hub.Log().Open("pid-"+id, id, c.id)}
	if !c.hub.Add(&c.w.Member, id, c.w) {
		t.Fatal("not added")
	}
	c.got, c.right, c.in = nil, nil, map[string]bool{id: true}
	order := c.hub.Log().Order()
	order.Lock()
	c.w.session.Start(c.w)
	c.w.up = true
	order.Unlock()
}

// cut loses what is on the wire. The client stays absent, if its session does.
func (c *client) cut() {
	c.over = make(chan struct{})
	c.w.up, c.w.wire, c.w.waits = false, nil, nil
	if !c.w.session.Lose(c.w, c.w) {
		c.w.Over(false)
	}
}

// back claims the session.
func (c *client) back(t *testing.T) (recovered bool) {
	log := c.hub.Log()
	w := &wired{client: c}
	s, refused := log.Claim(context.Background(), recovery.Claim{PID: c.w.session.PID(), Offset: c.offset}, w, "")
	if refused == nil {
		w.session = s
		order := log.Order()
		order.Lock()
		w.replay, refused = s.Resume(w, w, func() {
			if !c.hub.Replace(&c.w.Member, &w.Member, w) {
				t.Error("not replaced")
			}
			w.up = true
		})
		w.behind = w.replay != nil
		order.Unlock()
		if refused != nil {
			t.Fatalf("claimed and not resumed: %s", refused.Why())
		}
	}
	if refused != nil {
		<-c.over
		c.connect(t)
		return false
	}
	c.w = w
	if w.replay != nil {
		w.replay.Run()
	}
	return true
}

// receive takes messages off the wire.
func (c *client) receive(n int) {
	for _, m := range c.w.wire[:min(n, len(c.w.wire))] {
		name, _ := m.AsEvent()
		if m.Offset != "" {
			c.offset = m.Offset
		}
		if name != "volatile" {
			c.got = append(c.got, name)
		}
	}
	c.w.wire = slices.Clone(c.w.wire[min(n, len(c.w.wire)):])
	if f := c.w.waits; f != nil && len(c.w.wire) < wireHolds {
		c.w.waits = nil
		f()
	}
}

// A client that is cut again and again receives exactly what one that was never cut would have received; or it is told
// that it does not, by a new session.
func TestRecovery_Model(t *testing.T) {
	for _, bytes := range []int64{64 << 20, 40 << 10} {
		recovered, refused := 0, 0
		for seed := range uint64(200) {
			r, f := runModel(t, seed, bytes)
			recovered, refused = recovered+r, refused+f
			if t.Failed() {
				t.Fatalf("seed %d, %d bytes", seed, bytes)
			}
		}
		t.Logf("%d bytes: %d recovered, %d refused", bytes, recovered, refused)
		if recovered < 500 || refused < 100 {
			t.Errorf("%d bytes: %d recovered, %d refused", bytes, recovered, refused)
		}
	}
}

func runModel(t *testing.T, seed uint64, bytes int64) (recovered, refused int) {
	rng := rand.New(rand.NewPCG(seed, 7))
	counts, err := tally.New(zap.NewNop(), nil)
	if err != nil {
		t.Fatal(err)
	}
	store, err := recovery.New(recovery.Config{Window: time.Hour, Lag: time.Hour, Bytes: bytes})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	server := &hub.Server{Adapter: adapter.Local{}, Tally: counts, MaxRooms: func() int { return 0 }, Recovery: store}
	h := server.New("/n", func(packet.Args, func(packet.Args)) {})
	clients := make([]*client, 3)
	for i := range clients {
		clients[i] = &client{hub: h, id: string(rune('A' + i))}
		clients[i].connect(t)
	}
	name := func() string { return fmt.Sprint("r", rng.IntN(4)) }
	names := func(most int) (list []string) {
		for range rng.IntN(most + 1) {
			if rng.IntN(5) == 0 {
				list = append(list, clients[rng.IntN(len(clients))].w.session.ID())
			} else {
				list = append(list, name())
			}
		}
		return list
	}
	matching := func(to rooms.Target) (list []*client) {
		any := func(c *client, names []string) bool {
			return slices.ContainsFunc(names, func(n string) bool { return c.in[n] })
		}
		for _, c := range clients {
			if (len(to.Rooms) == 0 || any(c, to.Rooms)) && !any(c, to.Except) {
				list = append(list, c)
			}
		}
		return list
	}
	for n := range 300 {
		c := clients[rng.IntN(len(clients))]
		event := fmt.Sprint("e", n)
		switch op := rng.IntN(20); {
		case op < 7:
			b := broadcast(event, names(3), names(1))
			if rng.IntN(8) == 0 {
				b.Volatile, b.Args.JSON = true, []byte(`["volatile","text"]`)
			} else {
				for _, c := range matching(b.Target) {
					c.right = append(c.right, event)
				}
			}
			if rng.IntN(2) == 0 {
				h.Apply(b)
			} else {
				h.Publish(b, false, nil)
			}
		case op < 8:
			m := wire.Event("/n", packet.Args{JSON: []byte(`["` + event + `"]`)})
			if rng.IntN(10) == 0 { // more than an address may take
				m.Data = []byte(`["` + event + `","` + strings.Repeat("x", 5000) + `"]`)
			}
			c.right = append(c.right, event)
			send := func(m *wire.Message) error { c.w.Deliver(false, m); return nil }
			if err := h.SendTo(c.w.session, false, &m, send); err != nil && c.w.session.Stands() {
				t.Errorf("send to %s: %v", c.id, err)
			}
		case op < 9:
			// An event that wants an acknowledgement comes in its place, or not at all.
			m := wire.Event("/n", packet.Args{JSON: []byte(`["?` + event + `"]`)})
			m.HasID = true
			c.w.Deliver(false, &m)
			c.right = append(c.right, "?"+event)
		case op < 10:
			to, room := rooms.Target{Rooms: names(2)}, name()
			for _, c := range matching(to) {
				c.in[room] = true
			}
			h.Apply(adapter.Join{Namespace: "/n", Target: to, Rooms: []string{room}})
		case op < 12:
			to, room := rooms.Target{Rooms: names(2)}, name()
			for _, c := range matching(to) {
				delete(c.in, room)
			}
			h.Apply(adapter.Leave{Namespace: "/n", Target: to, Rooms: []string{room}})
		case op < 13:
			room := name()
			c.in[room] = true
			if err := h.Join(&c.w.Member, []string{room}); err != nil && c.w.session.Stands() {
				t.Errorf("join: %v", err)
			}
		case op < 15 && c.w.up:
			c.cut()
		case op < 17 && !c.w.up:
			if rng.IntN(8) == 0 {
				c.offset = "text" // from an event without an offset
			}
			if c.back(t) {
				recovered++
			} else {
				refused++
			}
		case op < 18 && c.w.up && len(c.w.wire) == 0:
			c.w.proof = time.Now() // a pong: all that was sent has arrived
		case c.w.up:
			c.receive(1 + rng.IntN(3))
		}
		if c.aborted {
			c.aborted = false
			c.cut()
		}
		if _, ok := follow(c.got, c.right); !ok {
			t.Errorf("%s got     %s\nand should %s", c.id, strings.Join(c.got, " "), strings.Join(c.right, " "))
			return recovered, refused
		}
	}
	for _, c := range clients {
		for c.aborted || !c.w.up || len(c.w.wire) > 0 || c.w.behind {
			switch {
			case c.aborted:
				c.aborted = false
				c.cut()
			case !c.w.up:
				c.back(t)
			default:
				c.receive(2)
			}
		}
		if rest, ok := follow(c.got, c.right); !ok || len(rest) > 0 {
			t.Errorf("%s got     %s\nand should %s", c.id, strings.Join(c.got, " "), strings.Join(c.right, " "))
		}
	}
	return recovered, refused
}

// follow reports whether a client got what it should, in order and as far as it has come, and returns what is still due.
func follow(got, right []string) (due []string, ok bool) {
	optional := func(name string) bool { return strings.HasPrefix(name, "?") }
	for _, name := range got {
		for len(right) > 0 && right[0] != name && optional(right[0]) {
			right = right[1:]
		}
		if len(right) == 0 || right[0] != name {
			return right, false
		}
		right = right[1:]
	}
	return slices.DeleteFunc(slices.Clone(right), optional), true
}
