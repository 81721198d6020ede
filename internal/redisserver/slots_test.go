package redisserver

import (
	"bytes"
	"context"
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/internal/redisqueue"
	"github.com/carillon-io/carillon/internal/redissub"
)

// twoServers is a placement whose servers do not run: all slots up to the middle are at the first.
func twoServers(t *testing.T) (p *Slots, first, second *Server) {
	t.Helper()
	p = NewSlots(nil, &Speech{Sharded: true, Wanted: wantAll}, testConfig())
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	p.ctx = ended
	half := redisconn.Slots / 2
	options := &goredis.Options{}
	p.apply([]redisconn.Range{
		{First: 0, Last: half, Address: "first:1"}, {First: half + 1, Last: redisconn.Slots - 1, Address: "second:1"},
	}, options)
	first, second = p.Owner(0), p.Owner(redisconn.Slots-1)
	for _, s := range []*Server{first, second} {
		t.Cleanup(s.queue.Close)
	}
	return p, first, second
}

// TestSlots_MessagesOfAMovedSlotKeepTheirOrder: those published after the move wait for those that are on their way to the
// server that had it, and those of other slots do not.
func TestSlots_MessagesOfAMovedSlotKeepTheirOrder(t *testing.T) {
	p, first, second := twoServers(t)
	push := func(payload string, slot uint16) { p.Push(redisqueue.Message{Slot: slot, Payload: []byte(payload)}) }
	push("1", 5)
	push("2", 5)
	out := first.queue.Take(nil, 10, 1000)
	push("3", 5)
	push("other", 6)
	if !p.moved(first, 5, "second:1") {
		t.Fatal("the move is of no use")
	}
	push("4", 5)
	push("there", redisconn.Slots-1)
	expectPayloads(t, second.queue.Take(nil, 10, 1000), "there")
	second.events.settled(second, nil)
	first.events.settled(first, out[1:]) // the second was refused
	expectPayloads(t, second.queue.Take(nil, 10, 1000), "2", "3", "4")
	expectPayloads(t, first.queue.Take(nil, 10, 1000), "other")
	first.events.settled(first, nil)
	second.events.settled(second, nil)

	// There and back again while one is on its way.
	push("5", 5)
	out = second.queue.Take(nil, 10, 1000)
	p.moved(second, 5, "first:1")
	push("6", 5)
	p.moved(first, 5, "second:1")
	push("7", 5)
	expectPayloads(t, second.queue.Take(nil, 0, 0))
	second.events.settled(second, out)
	expectPayloads(t, second.queue.Take(nil, 10, 1000), "5", "6", "7")
}

func TestSlots_InterestsFollowTheirSlot(t *testing.T) {
	p, first, second := twoServers(t)
	channels := map[string]redissub.Interest{
		"a": roomOf("a", 5), "b": roomOf("b", 6), "c": roomOf("c", redisconn.Slots-1),
	}
	names := func(s *Server) (names []string) {
		s.table.Attach(time.Now()) // on a new connection what is wanted is subscribed
		defer s.table.Detach()
		for c, ok := s.table.Next(time.Now()); ok; c, ok = s.table.Next(time.Now()) {
			for name := range channels {
				if bytes.Contains(c.Append(nil), []byte("\r\n"+name+"\r\n")) {
					names = append(names, name)
				}
			}
		}
		slices.Sort(names)
		return names
	}
	p.Touch(slices.Collect(maps.Values(channels)))
	p.moved(first, 5, "second:1")
	if a, b := names(first), names(second); !slices.Equal(a, []string{"b"}) || !slices.Equal(b, []string{"a", "c"}) {
		t.Errorf("the first has %q, the second %q", a, b)
	}
	// All that is left moves, with the probe channel.
	p.apply([]redisconn.Range{{Last: redisconn.Slots - 1, Address: "second:1"}}, &goredis.Options{})
	if got := names(second); len(got) != 3 || len(names(first)) != 0 || len(p.Servers()) != 1 {
		t.Errorf("the second has %q, the first %q, %d servers", got, names(first), len(p.Servers()))
	}
}

// TestSlots_OrderHoldsWhateverMoves has messages of a few slots pushed, taken, answered and refused while the slots move back
// and forth between two servers, in random order: each message is carried out once, and those of a slot in their order.
func TestSlots_OrderHoldsWhateverMoves(t *testing.T) {
	t.Parallel()
	first := rand.Uint64()
	for seed := first; seed < first+100; seed++ {
		rng := rand.New(rand.NewPCG(seed, 1))
		p, a, b := twoServers(t)
		servers := []*Server{a, b}
		const slots = 4
		var (
			at      [slots]int // who serves a slot in truth
			pushed  [slots]int
			done    [slots]int
			batches [2][]redisqueue.Message
			took    [2]bool // a batch is out
		)
		answer := func(i int) {
			s := servers[i]
			var again []redisqueue.Message
			for _, m := range batches[i] {
				slot, number := m.Slot, int(binary.BigEndian.Uint32(m.Payload))
				if at[slot] != i {
					p.moved(s, slot, servers[1-i].address)
					again = append(again, m)
					continue
				}
				if number != done[slot] {
					t.Fatalf("seed %d: %d of slot %d instead of %d", seed, number, slot, done[slot])
				}
				done[slot]++
			}
			s.events.settled(s, again)
			took[i] = false
		}
		step := func(i int) {
			if took[i] {
				answer(i)
				return
			}
			batches[i] = slices.Clone(servers[i].queue.Take(nil, 1+rng.IntN(3), 1000))
			took[i] = true
		}
		for range 400 {
			slot := uint16(rng.IntN(slots))
			switch n := rng.IntN(10); {
			case n < 4 && pushed[slot]-done[slot] < 20:
				p.Push(redisqueue.Message{Slot: slot, Payload: binary.BigEndian.AppendUint32(nil, uint32(pushed[slot]))})
				pushed[slot]++
			case n < 8:
				step(rng.IntN(2))
			case n < 9:
				at[slot] = 1 - at[slot]
			default: // the map of the cluster tells, as it was a while ago
				p.moved(servers[rng.IntN(2)], slot, servers[at[slot]].address)
			}
		}
		for range 200 {
			step(0)
			step(1)
		}
		if pushed != done {
			t.Fatalf("seed %d: pushed %v, carried out %v", seed, pushed, done)
		}
		a.queue.Close()
		b.queue.Close()
	}
}

// countingGaps calls counted with each gap.
type countingGaps struct {
	prometheus.Counter

	counted func()
}

func (c countingGaps) Inc() {
	c.counted()
	c.Counter.Inc()
}

// TestSlots_GapIsCountedBeforeAnythingIsCertainElsewhere: a confirmation at the new server would seem to prove that nothing
// was missed.
func TestSlots_GapIsCountedBeforeAnythingIsCertainElsewhere(t *testing.T) {
	p, first, _ := twoServers(t)
	gaps, moving := 0, uint16(0)
	p.config.Metrics.Resubscribes = countingGaps{gauge(), func() {
		gaps++
		if p.Owner(moving) != first {
			t.Error("counted when the new server serves already")
		}
	}}
	move := func(what string, slot uint16, want int) {
		t.Helper()
		gaps, moving = 0, slot
		if p.moved(first, slot, "second:1"); gaps != want {
			t.Errorf("%s: %d gaps instead of %d", what, gaps, want)
		}
	}
	p.Touch([]redissub.Interest{roomOf("a", 5), roomOf("b", 5)})
	move("a slot without channels", 6, 0)
	move("a slot with two", 5, 1)
	p.Touch([]redissub.Interest{roomOf("c", 7)})
	gaps, moving = 0, 7
	if p.apply([]redisconn.Range{{Last: redisconn.Slots - 1, Address: "second:1"}}, &goredis.Options{}); gaps != 1 {
		t.Errorf("the first serves nothing any more: %d gaps", gaps)
	}
}

// TestSlots_BusOfTheClusterIsGivenTime: a master that was replaced without knowing it has accepted a message, and passes it
// on to its replica. Those behind it wait for longer than that takes.
func TestSlots_BusOfTheClusterIsGivenTime(t *testing.T) {
	for _, refused := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			p, first, second := twoServers(t)
			push := func(payload string) { p.Push(redisqueue.Message{Slot: 5, Payload: []byte(payload)}) }
			push("1")
			out := slices.Clone(first.queue.Take(nil, 10, 1000))
			p.apply([]redisconn.Range{{Last: redisconn.Slots - 1, Address: "second:1"}}, &goredis.Options{})
			push("2")
			want := []string{"2"}
			if refused {
				want = []string{"1", "2"}
			} else {
				out = nil
			}
			first.events.settled(first, out)
			first.events.settled(first, nil) // a probe
			clear(out)
			time.Sleep(busDelay - 1)
			push("3")
			expectPayloads(t, second.queue.Take(nil, 10, 1000))
			second.events.settled(second, nil)
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			expectPayloads(t, second.queue.Take(nil, 10, 1000), append(want, "3")...)
			second.events.settled(second, nil)
			push("4")
			expectPayloads(t, second.queue.Take(nil, 10, 1000), "4")
		})
	}
}
