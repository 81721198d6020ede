package redissub

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/redisconn"
)

// script drives a table.
type script struct {
	*Table

	t   *testing.T
	now time.Time
}

func newScript(t *testing.T, sharded, bySlot bool) *script {
	return &script{Table: New(time.Second, sharded, bySlot), t: t, now: at(0)}
}

func (s *script) wantRooms(wanted bool, names ...string) {
	for _, name := range names {
		s.Want(Interest{Channel: name, Kind: Room, Slot: uint16(len(name))}, wanted, s.now)
	}
}

// sent are the commands that may be sent now.
func (s *script) sent() []Command {
	var all []Command
	for {
		c, ok := s.Next(s.now)
		if !ok {
			return all
		}
		all = append(all, Command{c.verb, slices.Clone(c.rows)})
	}
}

func (s *script) expect(want ...string) []Command {
	s.t.Helper()
	commands := s.sent()
	var got []string
	for _, c := range commands {
		var names []string
		for _, r := range c.rows {
			names = append(names, r.Name)
		}
		got = append(got, fmt.Sprint(c.verb, names))
	}
	if !slices.Equal(got, want) {
		s.t.Fatalf("sent %q instead of %q", got, want)
	}
	return commands
}

// confirmAll has Redis confirm commands.
func (s *script) confirmAll(commands []Command) {
	s.t.Helper()
	for _, c := range commands {
		for _, r := range c.rows {
			s.confirmOne(c.verb, r.Name)
		}
	}
}

func (s *script) confirmOne(v verb, name string) {
	s.t.Helper()
	for k, other := range confirmations {
		if other == v {
			if _, _, err := s.Confirm(k, name, s.now); err != nil {
				s.t.Fatal(err)
			}
		}
	}
}

func TestTable_ChannelsThatPeersDependOnComeFirstAndPatternsApart(t *testing.T) {
	s := newScript(t, false, false)
	s.wantRooms(true, "room")
	for _, in := range []Interest{
		{Channel: "probe", Kind: Probe}, {Channel: "base", Kind: Broadcast}, {Channel: "tag*", Kind: Pattern},
		{Channel: "request", Kind: Request}, {Channel: "nsp*", Kind: Namespace},
	} {
		s.Want(in, true, s.now)
	}
	s.Attach(s.now)
	s.confirmAll(s.expect("psubscribe[tag* nsp*]"))
	s.expect("subscribe[base request probe room]")
}

func TestTable_NextBatchGoesOutWhenHalfOfTheLastIsConfirmed(t *testing.T) {
	s := newScript(t, false, false)
	s.Attach(s.now)
	var names []string
	for i := range 2*batchSize + 10 {
		names = append(names, fmt.Sprintf("%04d", i))
	}
	s.wantRooms(true, names...)
	first := s.sent()
	if len(first) != 1 || len(first[0].rows) != batchSize {
		t.Fatalf("%d commands at first", len(first))
	}
	for i := range batchSize/2 - 1 {
		s.confirmOne(subscribe, names[i])
	}
	if more := s.sent(); len(more) != 0 {
		t.Fatal("the next before half was confirmed")
	}
	s.confirmOne(subscribe, names[batchSize/2-1])
	if more := s.sent(); len(more) != 1 || len(more[0].rows) != batchSize {
		t.Fatalf("%d commands then", len(more))
	}
}

func TestTable_ShardedCommandsNameChannelsOfOneSlot(t *testing.T) {
	s := newScript(t, true, true)
	s.Attach(s.now)
	s.wantRooms(true, "a", "bb", "c", "dd") // their length is their slot
	s.confirmAll(s.expect("ssubscribe[a c]", "ssubscribe[bb dd]"))
	s.wantRooms(false, "a", "bb")
	s.now = at(2)
	s.expect("sunsubscribe[a]", "sunsubscribe[bb]")
}

func TestTable_RejoinWithinLingerSendsNothing(t *testing.T) {
	s := newScript(t, false, false)
	s.Attach(s.now)
	s.wantRooms(true, "a")
	s.confirmAll(s.expect("subscribe[a]"))
	s.wantRooms(false, "a")
	s.now = at(0.9)
	s.expect()
	s.wantRooms(true, "a")
	s.now = at(10)
	s.expect()
}

// TestTable_ForbiddenChannelIsFoundAndRetriedLater: the others of its command are subscribed.
func TestTable_ForbiddenChannelIsFoundAndRetriedLater(t *testing.T) {
	s := newScript(t, false, false)
	s.Attach(s.now)
	names := []string{"a", "b", "c", "forbidden", "e"}
	s.wantRooms(true, names...)
	refuse := func() (commands int) {
		for wire := s.sent(); len(wire) > 0; wire = append(wire[1:], s.sent()...) {
			commands++
			if !slices.ContainsFunc(wire[0].rows, func(r *row) bool { return r.Name == "forbidden" }) {
				s.confirmAll(wire[:1])
				continue
			}
			if !s.Refuse(true, s.now) {
				t.Fatal("no command to refuse")
			}
		}
		return commands
	}
	if got := refuse(); got > 7 {
		t.Errorf("%d commands", got)
	}
	for _, name := range names {
		if on := s.IsOn(Interest{Channel: name, Kind: Room}); on != (name != "forbidden") {
			t.Errorf("%s is on: %v", name, on)
		}
	}
	last := time.Duration(0)
	for range 12 { // later and later
		wait := s.NextDue().Sub(s.now)
		if wait < last || wait > retryLast {
			t.Fatalf("tried again after %s, before after %s", wait, last)
		}
		s.now, last = s.NextDue(), wait
		if got := refuse(); got != 1 {
			t.Fatalf("%d commands for one channel", got)
		}
	}
	s.now = s.NextDue()
	s.confirmAll(s.expect("subscribe[forbidden]")) // granted
	if !s.IsOn(Interest{Channel: "forbidden", Kind: Room}) || !s.NextDue().IsZero() {
		t.Error("not subscribed after it was granted")
	}
}

func TestTable_ReplyThatFitsNoCommandIsAnError(t *testing.T) {
	s := newScript(t, false, false)
	s.Attach(s.now)
	if _, _, err := s.Confirm(redisconn.Subscribed, "a", s.now); err == nil {
		t.Error("confirmation without command")
	}
	s.wantRooms(true, "a", "b")
	s.expect("subscribe[a b]")
	for k, name := range map[redisconn.Kind]string{
		redisconn.Subscribed: "b", redisconn.Unsubscribed: "a", redisconn.Message: "a",
	} {
		if _, _, err := s.Confirm(k, name, s.now); err == nil {
			t.Errorf("%d of %s", k, name)
		}
	}
}

// TestTable_EachSlotTakenAwayIsAGapOfItsOwn: the channels of a slot are one gap, whatever was taken away before and has
// not come back.
func TestTable_EachSlotTakenAwayIsAGapOfItsOwn(t *testing.T) {
	s := newScript(t, true, true)
	s.Attach(s.now)
	s.wantRooms(true, "a", "b", "cc") // of two slots
	s.Want(Interest{Channel: "f", Kind: Fence, Slot: 1}, true, s.now)
	s.Want(Interest{Channel: "p", Kind: Probe, Slot: 3}, true, s.now)
	s.confirmAll(s.expect("ssubscribe[f]", "ssubscribe[p]", "ssubscribe[a b]", "ssubscribe[cc]"))
	take := func(name string, gap bool) {
		t.Helper()
		if torn, _, err := s.Confirm(redisconn.ShardUnsubscribed, name, s.now); torn != gap || err != nil {
			t.Errorf("%s was taken: gap %v, %v", name, torn, err)
		}
	}
	take("f", false) // nothing is missed with them
	take("p", false)
	take("a", true)
	take("b", false)
	s.Release(func(slot uint16) bool { return slot == 2 })
	take("cc", true)
	s.confirmAll(s.expect("ssubscribe[p]", "ssubscribe[cc]"))
	take("cc", true)
	s.Detach()
	s.Attach(s.now)
	s.wantRooms(true, "a")
	s.confirmAll(s.expect("ssubscribe[p]", "ssubscribe[a]", "ssubscribe[cc]"))
	take("a", true)
}

// TestTable_ReleasedChannelIsSilentUntilItIsSubscribedAgain: what is still on its way was published before what another
// server may have delivered already.
func TestTable_ReleasedChannelIsSilentUntilItIsSubscribedAgain(t *testing.T) {
	s := newScript(t, true, true)
	s.Attach(s.now)
	s.wantRooms(true, "a")
	s.confirmAll(s.expect("ssubscribe[a]"))
	expect := func(when string, interests int) {
		t.Helper()
		if got := s.Interests(false, []byte("a")); len(got) != interests {
			t.Errorf("%s: a message is for %v", when, got)
		}
	}
	expect("subscribed", 1)
	s.Release(func(uint16) bool { return false })
	expect("released", 0)
	leave := s.expect("sunsubscribe[a]")
	s.wantRooms(true, "a")
	expect("back", 0)
	s.confirmAll(leave)
	s.confirmAll(s.expect("ssubscribe[a]"))
	expect("subscribed again", 1)
	s.Release(func(uint16) bool { return false })
	s.wantRooms(true, "a") // before the command was sent
	expect("back at once", 0)
	s.confirmAll(s.expect("sunsubscribe[a]"))
	s.confirmAll(s.expect("ssubscribe[a]"))
	expect("subscribed once more", 1)
	s.Detach()
	s.Attach(s.now)
	join := s.expect("ssubscribe[a]")
	s.Release(func(uint16) bool { return false }) // before Redis has answered
	s.wantRooms(true, "a")
	s.confirmAll(join)
	expect("back before it was subscribed", 0)
	s.confirmAll(s.expect("sunsubscribe[a]"))
	s.expect("ssubscribe[a]")
	s.Release(func(uint16) bool { return false })
	s.wantRooms(true, "a")
	if !s.Refuse(false, s.now) {
		t.Fatal("nothing to refuse")
	}
	s.now = s.now.Add(time.Minute)
	s.confirmAll(s.expect("ssubscribe[a]"))
	expect("back before it was refused", 1)
}
