package redis

import (
	"slices"
	"testing"
	"time"
)

// newShardedScript is a table of sharded channels on a cluster.
func newShardedScript(t *testing.T) *script {
	s := newScript(t)
	s.table.sharded, s.table.bySlot = true, true
	s.table.attach()
	return s
}

func (s *script) wantIn(slot uint16, names ...string) {
	for _, name := range names {
		in := room(name)
		in.slot = slot
		s.table.want(in, true, s.now)
	}
}

func TestTable_ShardedCommandsNameChannelsOfOneSlotAndAreSentTogether(t *testing.T) {
	s := newShardedScript(t)
	s.table.want(interest{channel: "probe", kind: kindProbe, slot: 9}, true, s.now)
	s.wantIn(2, "c")
	s.wantIn(1, "a")
	s.wantIn(2, "d")
	s.wantIn(1, "b")
	commands := []command{
		s.expect("ssubscribe[probe]"), s.expect("ssubscribe[a b]"), s.expect("ssubscribe[c d]"),
	}
	s.wantIn(3, "e")
	s.expect("") // the batch is not confirmed
	for _, c := range commands {
		s.confirm(c)
	}
	s.confirm(s.expect("ssubscribe[e]"))
}

func TestTable_TakenChannelIsSubscribedAgainIfWanted(t *testing.T) {
	s := newShardedScript(t)
	s.wantIn(1, "a", "b")
	s.confirm(s.expect("ssubscribe[a b]"))
	s.want("b", false)
	s.now = s.now.Add(time.Second)
	s.want("b", false) // waits to be unsubscribed
	for _, name := range []string{"a", "b", "unknown"} {
		if err := s.table.confirm(sunsubscribe, name, s.now); err != nil {
			t.Fatal(err)
		}
	}
	s.confirm(s.expect("ssubscribe[a]"))
	s.expect("")
	if !s.table.isOn("a") || len(s.table.channels) != 1 {
		t.Errorf("%d channels", len(s.table.channels))
	}
}

func TestTable_RefusedCommandLeavesItsChannelsToWhoeverWantsThem(t *testing.T) {
	s := newShardedScript(t)
	s.wantIn(1, "a", "b")
	s.wantIn(2, "c")
	s.expect("ssubscribe[a b]")
	last := s.expect("ssubscribe[c]")
	if _, ok := s.table.refuse(2); ok {
		t.Error("a refusal about another slot than the oldest command's was taken")
	}
	interests, ok := s.table.refuse(1)
	var names []string
	for _, in := range interests {
		names = append(names, in.channel)
	}
	if !ok || !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("refused %q, %t", names, ok)
	}
	s.expect("") // nobody has asked whether they are wanted here
	s.confirm(last)
	s.table.want(interests[0], true, s.now)
	s.table.want(interests[1], false, s.now)
	s.confirm(s.expect("ssubscribe[a]"))
	if _, ok := s.table.refuse(1); ok {
		t.Error("a refusal of nothing was taken")
	}
}

func TestTable_RefusedLeaveIsALeave(t *testing.T) {
	s := newShardedScript(t)
	s.wantIn(1, "a")
	s.confirm(s.expect("ssubscribe[a]"))
	s.want("a", false)
	s.lingerEnds()
	s.expect("sunsubscribe[a]")
	if _, ok := s.table.refuse(1); !ok || len(s.table.channels) != 0 {
		t.Errorf("%d channels are left", len(s.table.channels))
	}
}
