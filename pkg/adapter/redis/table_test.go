package redis

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/adapter"
)

// script drives a table by hand: it is Redis and the clock.
type script struct {
	t     *testing.T
	table *table
	now   time.Time
}

func newScript(t *testing.T) *script {
	return &script{t: t, table: newTable("probe", time.Second), now: time.Unix(1_700_000_000, 0)}
}

func room(name string) interest { return interest{channel: name, kind: kindRoom, room: name} }

func (s *script) want(name string, wanted bool) { s.table.want(room(name), wanted, s.now) }

// expect sees that the next command is so, and returns it; "" expects none.
func (s *script) expect(want string) command {
	s.t.Helper()
	c, ok := s.table.next()
	got := ""
	if ok {
		got = fmt.Sprint(c.verb, c.names())
	}
	if got != want {
		s.t.Fatalf("next command is %q instead of %q", got, want)
	}
	return c
}

// next takes the next command, whatever the order of its channels.
func (s *script) next() command {
	s.t.Helper()
	c, ok := s.table.next()
	if !ok {
		s.t.Fatal("no command")
	}
	return c
}

func (s *script) confirm(c command) {
	s.t.Helper()
	for _, name := range c.names() {
		if err := s.table.confirm(c.verb, name, s.now); err != nil {
			s.t.Fatal(err)
		}
	}
}

// lingerEnds lets the linger end for all that lingers, and tells that it is not wanted still.
func (s *script) lingerEnds() {
	s.now = s.now.Add(time.Second)
	for _, in := range s.table.due(s.now) {
		s.table.want(in, false, s.now)
	}
}

// wait returns what the waiter was told, or nil as long as it waits.
func (s *script) wait(names ...string) func() *resolution {
	w := &waiter{}
	for _, name := range names {
		in := room(name)
		if name == "probe" {
			in = interest{channel: name, kind: kindProbe}
		}
		w.interests = append(w.interests, in)
	}
	s.table.wait(w)
	return func() *resolution {
		for i := range s.table.resolved {
			if s.table.resolved[i].waiter == w {
				return &s.table.resolved[i]
			}
		}
		return nil
	}
}

func TestTable_RejoinDuringUnsubscribeSubscribesAfterItsConfirmation(t *testing.T) {
	s := newScript(t)
	s.table.attach()
	s.want("a", true)
	s.confirm(s.expect("subscribe[a]"))
	s.want("a", false)
	s.expect("") // lingers
	s.lingerEnds()
	leave := s.expect("unsubscribe[a]")
	s.want("a", true)
	s.expect("") // one command at a time
	if s.table.isOn("a") {
		t.Error("on while it is being unsubscribed")
	}
	s.confirm(leave)
	s.confirm(s.expect("subscribe[a]"))
	if !s.table.isOn("a") {
		t.Error("not on in the end")
	}
}

func TestTable_LeaveDuringSubscribeLingersThenUnsubscribes(t *testing.T) {
	s := newScript(t)
	s.table.attach()
	s.want("a", true)
	join := s.expect("subscribe[a]")
	s.want("a", false)
	s.confirm(join)
	s.expect("")
	s.lingerEnds()
	s.confirm(s.expect("unsubscribe[a]"))
	if len(s.table.channels) != 0 {
		t.Errorf("%d channels are left", len(s.table.channels))
	}
}

func TestTable_RejoinWithinLingerSendsNothing(t *testing.T) {
	s := newScript(t)
	s.table.attach()
	s.want("a", true)
	s.confirm(s.expect("subscribe[a]"))
	for range 3 {
		s.want("a", false)
		s.want("a", true)
	}
	s.now = s.now.Add(time.Hour)
	if due := s.table.due(s.now); len(due) != 0 {
		t.Errorf("due: %v", due)
	}
	s.expect("")
}

func TestTable_NextBatchGoesOutWhenHalfOfTheLastIsConfirmed(t *testing.T) {
	s := newScript(t)
	for i := range 2*batchSize + 1 {
		s.want(fmt.Sprint(i), true)
	}
	s.table.attach()
	first, ok := s.table.next()
	if !ok || len(first.channels) != batchSize {
		t.Fatalf("first batch has %d channels", len(first.channels))
	}
	names := first.names()
	for i, name := range names {
		if i == batchSize/2 {
			break
		}
		s.expect("")
		if err := s.table.confirm(subscribe, name, s.now); err != nil {
			t.Fatal(err)
		}
	}
	second, ok := s.table.next()
	if !ok || len(second.channels) != batchSize {
		t.Fatalf("second batch has %d channels", len(second.channels))
	}
	s.expect("")
}

func TestTable_FixedChannelsAreSubscribedFirstAndThePatternApart(t *testing.T) {
	s := newScript(t)
	s.want("a", true)
	s.table.want(interest{channel: "node*", kind: kindPattern}, true, s.now)
	s.table.want(interest{channel: "base", kind: kindBroadcast}, true, s.now)
	s.table.want(interest{channel: "probe", kind: kindProbe}, true, s.now)
	s.expect("") // no connection
	s.table.attach()
	s.confirm(s.expect("psubscribe[node*]"))
	s.confirm(s.expect("subscribe[base probe a]"))
	s.expect("")
}

func TestTable_ConnectionLostAnywhereEndsWithEverythingSubscribedAgain(t *testing.T) {
	s := newScript(t)
	s.table.attach()
	s.want("on", true)
	s.want("left", true)
	s.confirm(s.expect("subscribe[on left]"))
	s.want("left", false)
	s.want("under way", true)
	s.expect("subscribe[under way]")
	s.want("waiting", true)
	s.table.detach()
	s.want("meanwhile", true)
	s.want("gone meanwhile", true)
	s.want("gone meanwhile", false)
	s.expect("")
	s.table.attach()
	s.confirm(s.next())
	for _, name := range []string{"on", "under way", "waiting", "meanwhile"} {
		if !s.table.isOn(name) {
			t.Errorf("%s is not subscribed again", name)
		}
	}
	if len(s.table.channels) != 4 {
		t.Errorf("%d channels instead of 4", len(s.table.channels))
	}
}

func TestTable_WaitEndsWhenAllChannelsAreBelievedAtOnce(t *testing.T) {
	s := newScript(t)
	s.table.want(interest{channel: "probe", kind: kindProbe}, true, s.now)
	s.want("a", true)
	s.want("b", true)
	ended := s.wait("probe", "a", "b")
	s.table.attach()
	s.confirm(s.next())
	if ended() != nil {
		t.Fatal("ended before a probe came back")
	}
	s.table.detach()
	s.table.attach()
	s.confirm(s.next())
	s.table.prove()
	if r := ended(); r == nil || r.err != nil {
		t.Errorf("ended: %v", r)
	}
	if r := s.wait("probe", "a", "b")(); r == nil || r.err != nil {
		t.Errorf("a wait for what is there ended: %v", r)
	}
}

func TestTable_WaitEndsInErrAway(t *testing.T) {
	cases := map[string]func(s *script, w *waiter){
		"not wanted": func(s *script, _ *waiter) { s.want("b", false) },
		"given up":   func(s *script, w *waiter) { s.table.giveUp(w) },
		"closed":     func(s *script, _ *waiter) { s.table.close() },
	}
	for name, end := range cases {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			s.want("a", true)
			s.table.attach()
			s.confirm(s.expect("subscribe[a]"))
			w := &waiter{interests: []interest{room("a"), room("b")}}
			s.table.wait(w)
			if len(s.table.resolved) != 0 {
				t.Fatal("ended at once")
			}
			end(s, w)
			s.table.giveUp(w)
			if len(s.table.resolved) != 1 || !errors.Is(s.table.resolved[0].err, adapter.ErrAway) {
				t.Errorf("ended: %v", s.table.resolved)
			}
		})
	}
}

func TestTable_UnexpectedConfirmationIsAnError(t *testing.T) {
	s := newScript(t)
	if err := s.table.confirm(subscribe, "a", s.now); err == nil {
		t.Error("confirmation of nothing accepted")
	}
	s.table.attach()
	s.want("a", true)
	s.want("b", true)
	s.expect("subscribe[a b]")
	if err := s.table.confirm(subscribe, "b", s.now); err == nil {
		t.Error("confirmation out of order accepted")
	}
}

// TestTable_EndsAsWantedWhateverHappens plays random wishes, confirmations and lost connections, and then lets things
// settle: the server's set of channels must be what was wanted last.
func TestTable_EndsAsWantedWhateverHappens(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		s := newScript(t)
		wanted := make(map[string]bool)
		server := make(map[string]bool)
		var wire []command // sent, not carried out
		carryOut := func() {
			if len(wire) == 0 {
				return
			}
			c := wire[0]
			wire = wire[1:]
			for _, name := range c.names() {
				if server[name] == (c.verb == subscribe) {
					t.Fatalf("seed %d: superfluous %s %s", seed, c.verb, name)
				}
				server[name] = c.verb == subscribe
				if err := s.table.confirm(c.verb, name, s.now); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
			}
		}
		send := func() {
			if c, ok := s.table.next(); ok {
				wire = append(wire, c)
			}
		}
		attached := false
		for range 300 {
			switch random.IntN(8) {
			case 0:
				attached = !attached
				if attached {
					s.table.attach()
				} else {
					s.table.detach()
					wire, server = nil, make(map[string]bool)
				}
			case 1, 2:
				name := fmt.Sprint(random.IntN(5))
				wanted[name] = !wanted[name]
				s.want(name, wanted[name])
			case 3:
				s.now = s.now.Add(time.Duration(random.IntN(800)) * time.Millisecond)
				for _, in := range s.table.due(s.now) {
					s.table.want(in, wanted[in.channel], s.now)
				}
			case 4, 5:
				send()
			default:
				carryOut()
			}
		}
		if !attached {
			s.table.attach()
		}
		for range 20 {
			s.now = s.now.Add(time.Second)
			for _, in := range s.table.due(s.now) {
				s.table.want(in, wanted[in.channel], s.now)
			}
			send()
			for len(wire) > 0 {
				carryOut()
			}
		}
		for i := range 5 {
			if name := fmt.Sprint(i); wanted[name] != server[name] || wanted[name] != s.table.isOn(name) {
				t.Errorf("seed %d: %s wanted %t, subscribed %t", seed, name, wanted[name], server[name])
			}
		}
	}
}
