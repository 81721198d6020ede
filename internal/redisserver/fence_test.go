package redisserver

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/internal/redisqueue"
	"github.com/carillon-io/carillon/internal/redissub"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// outcome is what became of a fence, or of a confirmation.
type outcome struct {
	calls int
	lanes []uint64
	err   error
}

func (o *outcome) done(err error) {
	o.calls++
	o.err = err
}

func (o *outcome) expect(t *testing.T, what string, calls int, want error) {
	t.Helper()
	if o.calls != calls || !errors.Is(o.err, want) {
		t.Errorf("%s: done %d times, with %v; want %d, %v", what, o.calls, o.err, calls, want)
	}
}

// newFenced is newStill with fences.
func newFenced(t *testing.T, change func(*Config)) still {
	t.Helper()
	cfg := testConfig()
	cfg.Fence = "fence"
	if change != nil {
		change(cfg)
	}
	p := NewSingle(nil, &Speech{Wanted: wantAll}, probe, cfg)
	p.server.connected.Store(true)
	t.Cleanup(p.server.queue.Close)
	now := time.Now()
	return still{p, p.server, t, &now}
}

// publish publishes a fence on a placement.
func publish(p Placement, slots ...uint16) (*Fence, *outcome) {
	o := new(outcome)
	f := NewFence(o.done)
	o.lanes = f.Publish([]Wish{{Placement: p, Lanes: slots}}, func(server string) []byte { return []byte("fence@" + server) })
	return f, o
}

// take empties the queue of a server and returns its messages.
func take(s *Server) []redisqueue.Message { return s.queue.Take(nil, 10_000, 1<<20) }

func finish(messages []redisqueue.Message) {
	for i := range messages {
		messages[i].Finish(1, nil)
	}
}

func TestFence_HasItsPlaceInTheQueue(t *testing.T) {
	s := newFenced(t, nil)
	s.connect()
	for _, text := range []string{"1", "2"} {
		s.Push(redisqueue.Message{Payload: []byte(text)})
	}
	f, o := publish(s.Single, 0)
	s.Push(redisqueue.Message{Payload: []byte("3")})
	out := take(s.Server)
	expectPayloads(t, out, "1", "2", "fence@", "3")
	f.Returned(s.Lane()) // before the answer to the publish, as with another connection
	o.expect(t, "not answered", 0, nil)
	finish(out)
	o.expect(t, "answered and back", 1, nil)
	f.Returned(s.Lane())
	f.End(adapter.ErrAway)
	o.expect(t, "afterwards", 1, nil)
	if !slices.Equal(o.lanes, []uint64{s.Lane()}) {
		t.Errorf("lanes %v, want %d", o.lanes, s.Lane())
	}
}

// TestFence_FailsAtOneServer: what may have become of a fence, and is no cut.
func TestFence_FailsAtOneServer(t *testing.T) {
	queue := func(s still, n int) {
		for range n {
			s.Push(redisqueue.Message{Payload: []byte("m")})
		}
	}
	for name, c := range map[string]struct {
		then func(s still, f *Fence)
		want error
	}{
		"subscription lost before it comes back": {func(s still, f *Fence) {
			finish(take(s.Server))
			s.disconnected()
			s.connect()
			f.Returned(s.Lane())
		}, adapter.ErrAway},
		"Redis took a channel away": {func(s still, f *Fence) {
			finish(take(s.Server))
			s.update(func() { s.table.Release(func(uint16) bool { return false }) })
			f.Returned(s.Lane())
		}, adapter.ErrAway},
		"passed on by another server": {func(s still, f *Fence) {
			finish(take(s.Server))
			f.Returned(0)
		}, adapter.ErrAway},
		"queue full":  {func(s still, _ *Fence) { queue(s, 101) }, adapter.ErrFull},
		"server gone": {func(s still, _ *Fence) { s.queue.Close() }, adapter.ErrAway},
		"unknown":     {func(s still, _ *Fence) { take(s.Server)[0].Finish(0, adapter.ErrUnknown) }, adapter.ErrUnknown},
		"time has passed": {func(s still, f *Fence) {
			finish(take(s.Server))
			f.End(adapter.ErrAway)
		}, adapter.ErrAway},
	} {
		s := newFenced(t, nil)
		s.connect()
		s.touch([]redissub.Interest{roomOf("red", 0)})
		f, o := publish(s.Single, 0)
		c.then(s, f)
		o.expect(t, name, 1, c.want)
	}
}

func TestFence_IsNotQueuedWithoutSubscription(t *testing.T) {
	s := newFenced(t, nil)
	_, o := publish(s.Single, 0)
	o.expect(t, "never connected", 1, adapter.ErrAway)
	s.connect()
	s.disconnected()
	_, o = publish(s.Single, 0)
	o.expect(t, "disconnected", 1, adapter.ErrAway)
	plain := newStill(t)
	plain.connect()
	_, o = publish(plain.Single, 0)
	o.expect(t, "there are no fences", 1, adapter.ErrAway)
	for _, s := range []still{s, plain} {
		if out := take(s.Server); len(out) > 0 {
			t.Errorf("queued %q", payloads(out))
		}
	}
}

// TestFence_RedisAway: it waits in the queue no longer than other messages.
func TestFence_RedisAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFenced(t, func(c *Config) { c.Queue.Age = time.Second })
		s.connect()
		_, o := publish(s.Single, 0)
		time.Sleep(time.Minute)
		synctest.Wait()
		o.expect(t, "too old", 1, adapter.ErrAway)
		s.update(s.table.Close)
	})
}

// TestFence_NamesItsServer: where messages spread from one server to others, a fence counts at the one that it names.
func TestFence_NamesItsServer(t *testing.T) {
	s := newFenced(t, func(c *Config) { c.Identify = true })
	s.connect()
	_, o := publish(s.Single, 0)
	o.expect(t, "the server is not known", 1, adapter.ErrAway)
	s.Server.sendsTo = "one"
	f, o := publish(s.Single, 0)
	out := take(s.Server)
	expectPayloads(t, out, "fence@one")
	finish(out)
	f.Returned(s.Lane())
	o.expect(t, "the same server", 1, nil)
	_, o = publish(s.Single, 0)
	s.Server.sendsTo = "two"
	finish(take(s.Server))
	o.expect(t, "another server took it", 1, adapter.ErrAway)
}

// TestPublisher_FenceDoesNotOvertake: a message that goes back into the queue takes the fences behind it with it.
func TestPublisher_FenceDoesNotOvertake(t *testing.T) {
	busy := redisconn.Error("BUSY script")
	for name, c := range map[string]struct {
		results []error // of a probe, a message, a fence, a message in another slot, and a fence
		want    [2]error
	}{
		"all taken":             {[]error{nil, nil, nil, nil, nil}, [2]error{nil, nil}},
		"the first goes back":   {[]error{nil, busy, nil, nil, nil}, [2]error{adapter.ErrUnknown, adapter.ErrUnknown}},
		"the second goes back":  {[]error{nil, nil, nil, busy, nil}, [2]error{nil, adapter.ErrUnknown}},
		"the probe was refused": {[]error{busy, nil, nil, nil, nil}, [2]error{nil, nil}},
	} {
		_, first, _ := twoServers(t)
		p := &publisher{Server: first}
		answered := func(int64, error) {}
		for i, fence := range []bool{true, false, true, false, true} {
			m := redisqueue.Message{Slot: uint16(i)}
			if fence {
				m.Answered = answered
			}
			p.batch = append(p.batch, m)
			p.results = append(p.results, result{err: c.results[i]})
		}
		p.sort()
		if got := [2]error{p.results[2].err, p.results[4].err}; got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// subscribe makes a connection of a server of twoServers and confirms what is wanted.
func subscribe(t *testing.T, s *Server) {
	t.Helper()
	s.connected.Store(true)
	s.attach(new(redisconn.Conn))
	for {
		_, c, ok := s.next()
		if !ok {
			return
		}
		for _, name := range wordsOf(c)[1:] {
			if err := s.confirmed(redisconn.ShardSubscribed, name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// fencedServers is twoServers with fences, both connected.
func fencedServers(t *testing.T) (p *Slots, first, second *Server) {
	t.Helper()
	p, first, second = twoServers(t)
	p.config.Fence = "fence"
	for _, s := range []*Server{first, second} {
		s.setFence(p.fenceIn(uint16(slices.Index(p.routes.Load()[:], s))))
		subscribe(t, s)
	}
	return p, first, second
}

func TestFence_GoesToEachServerConcerned(t *testing.T) {
	const far = redisconn.Slots - 1
	p, first, second := fencedServers(t)
	f, o := publish(p, 1, 5, far)
	atFirst, atSecond := take(first), take(second)
	expectPayloads(t, atFirst, "fence@")
	expectPayloads(t, atSecond, "fence@")
	if atFirst[0].Slot != 0 || atSecond[0].Slot != redisconn.Slots/2+1 {
		t.Errorf("published in slots %d and %d, not in the first of each server", atFirst[0].Slot, atSecond[0].Slot)
	}
	finish(atFirst)
	f.Returned(first.Lane())
	finish(atSecond)
	o.expect(t, "one has not come back", 0, nil)
	f.Returned(second.Lane())
	o.expect(t, "both", 1, nil)
	_, o = publish(p, 5)
	expectPayloads(t, take(second))
	if !slices.Equal(o.lanes, []uint64{first.Lane()}) {
		t.Errorf("lanes %v instead of %d", o.lanes, first.Lane())
	}
}

// TestFence_FailsWhereSlotsMove: what was queued before may be carried out elsewhere, after the fence.
func TestFence_FailsWhereSlotsMove(t *testing.T) {
	const far = redisconn.Slots - 1
	for name, c := range map[string]struct {
		before func(p *Slots, first *Server)
		then   func(p *Slots, first, second *Server)
		want   error
	}{
		"a slot that is concerned": {nil, func(p *Slots, first, _ *Server) { p.moved(first, 5, "second:1") }, adapter.ErrAway},
		"another slot":             {nil, func(p *Slots, first, _ *Server) { p.moved(first, 7, "second:1") }, nil},
		"there and back": {nil, func(p *Slots, first, second *Server) {
			first.touch([]redissub.Interest{roomOf("red", 5)})
			p.moved(first, 5, "second:1")
			p.moved(second, 5, "first:1")
		}, adapter.ErrAway},
		"messages are held back": {func(p *Slots, first *Server) {
			p.Push(redisqueue.Message{Slot: 5, Payload: []byte("m")})
			take(first) // on its way
			p.moved(first, 5, "second:1")
		}, func(*Slots, *Server, *Server) {}, adapter.ErrAway},
		"no server is known": {func(p *Slots, _ *Server) {
			next := *p.routes.Load()
			next[5] = nil
			p.routes.Store(&next)
		}, func(*Slots, *Server, *Server) {}, adapter.ErrAway},
	} {
		p, first, second := fencedServers(t)
		if c.before != nil {
			c.before(p, first)
		}
		f, o := publish(p, 5, far)
		c.then(p, first, second)
		finish(take(first))
		finish(take(second))
		for _, s := range []*Server{first, second} {
			f.Returned(s.Lane())
		}
		o.expect(t, name, 1, c.want)
	}
}

// TestConfirmLanes_NamesWhatFencesComeIn: the lane is another one as soon as anything may have been missed since.
func TestConfirmLanes_NamesWhatFencesComeIn(t *testing.T) {
	s := newFenced(t, nil)
	room := []redissub.Interest{roomOf("red", 0)}
	confirm := func() *outcome {
		o := new(outcome)
		ConfirmLanes([]Wish{{Placement: s.Single, Interests: room, Lanes: []uint16{0}}}, time.Hour, func(lanes []uint64, err error) {
			o.lanes = lanes
			o.done(err)
		})
		return o
	}
	s.connect()
	o := confirm()
	for c := s.sent(); c != nil; c = s.sent() {
		for _, name := range c[1:] {
			if err := s.confirmed(redisconn.Subscribed, name); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.fence()
	o.expect(t, "subscribed", 1, nil)
	if !slices.Equal(o.lanes, []uint64{s.Lane()}) {
		t.Errorf("lanes %v instead of %d", o.lanes, s.Lane())
	}
	s.disconnected()
	s.connect()
	if slices.Contains(o.lanes, s.Lane()) {
		t.Errorf("lane %d goes on over a lost subscription", s.Lane())
	}
	again := confirm()
	s.fence()
	again.expect(t, "subscribed again", 1, nil)
	if !slices.Equal(again.lanes, []uint64{s.Lane()}) {
		t.Errorf("lanes %v instead of %d", again.lanes, s.Lane())
	}
}

// TestDispatch_CarriesItsLane, and that of fences, whose server is told.
func TestDispatch_CarriesItsLane(t *testing.T) {
	s := newFenced(t, nil)
	var got []uint64
	var from string
	s.speech.Receive = func(_ redissub.Interest, p *redisconn.Push) Drop {
		got = append(got, p.Lane)
		return Accepted
	}
	s.speech.Fenced = func(server string, p *redisconn.Push) Drop {
		got, from = append(got, p.Lane), server
		return Accepted
	}
	s.touch([]redissub.Interest{roomOf("red", 0)})
	s.connect()
	first := s.Lane()
	dispatch := func(channel string) {
		s.Dispatch(&redisconn.Push{Kind: redisconn.Message, Channel: []byte(channel), Payload: []byte("x"), Size: 1})
	}
	dispatch("red")
	s.receivesFrom = "here"
	dispatch("fence")
	s.disconnected()
	s.connect()
	dispatch("red")
	if want := []uint64{first, first, s.Lane()}; !slices.Equal(got, want) || from != "here" || first == s.Lane() {
		t.Errorf("lanes %v, want %v; from %q", got, want, from)
	}
}

// TestSlots_FencesMoveWithTheFirstSlot of a server, and that is no gap.
func TestSlots_FencesMoveWithTheFirstSlot(t *testing.T) {
	p, first, second := fencedServers(t)
	gaps := 0
	p.config.Metrics.Resubscribes = countingGaps{gauge(), func() { gaps++ }}
	p.moved(first, 0, "second:1")
	for s, slot := range map[*Server]uint16{first: 1, second: 0} {
		if in := s.fenceInterest(); in != p.fenceIn(slot) {
			t.Errorf("%s has its fences in %+v, want slot %d", s.address, in, slot)
		}
	}
	if gaps != 0 {
		t.Errorf("%d gaps, and nothing but fences came there", gaps)
	}
	_, o := publish(p, 5)
	o.expect(t, "not subscribed there yet", 1, adapter.ErrAway)
	for _, s := range []*Server{first, second} {
		s.disconnected()
		subscribe(t, s)
	}
	f, o := publish(p, 0, 5)
	finish(take(first))
	finish(take(second))
	f.Returned(first.Lane())
	f.Returned(second.Lane())
	o.expect(t, "subscribed", 1, nil)
}
