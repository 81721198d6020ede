package recovery_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/recovery"
	"github.com/carillon-io/carillon/internal/recovery/move"
)

// depart claims an absent session for another node.
func depart(t *testing.T, l *recovery.Log, pid string) *recovery.Departure {
	t.Helper()
	by := newLine()
	s, refused := l.Claim(context.Background(), recovery.Claim{PID: pid}, by, "own")
	if refused != nil {
		t.Fatalf("%s: %s", pid, refused.Why())
	}
	d, ok := s.Depart(by)
	if !ok {
		t.Fatalf("%s does not depart", pid)
	}
	return d
}

// A node that leaves hands over what it was handed itself, without a claim that says what the client has received. Behind an event
// there may be one of an earlier place that the client has not received.
func TestDeparture_WithoutAClaimKnowsWhatTheClientNamedBefore(t *testing.T) {
	key := recovery.Key{1}
	node := func() *recovery.Log {
		_, l := newStore(t, recovery.Config{Key: &key})
		return l
	}
	origin, leaving, next := node(), node(), node()
	earlier, named := publish(origin, "m"), publish(origin, "m")

	var handed recovery.Handed
	wire := "\x01" + earlier + "\x05" + `["m"]` + "\x00" + "\x00"
	if err := leaving.ReadEvents(&handed, bufio.NewReader(strings.NewReader(wire)), 1<<10); err != nil {
		t.Fatal(err)
	}
	arrive := func(l *recovery.Log, h recovery.Handed) {
		t.Helper()
		l.Begin()
		defer l.End()
		if err := l.Open("pid", "id", "address").Arrive(h, newLine("a")); err != nil {
			t.Fatal(err)
		}
	}
	handed.Offset = named
	arrive(leaving, handed)

	d := depart(t, leaving, "pid")
	leaving.Begin()
	kept := d.Cut(10, move.Fence{Node: "n", Number: 1}, nil)
	leaving.End()
	again, missing, complete := d.Handed([]string{"a"})
	if !kept || !complete || len(missing) > 0 {
		t.Fatalf("kept %t, complete %t, missing %q", kept, complete, missing)
	}
	var text bytes.Buffer
	if err := again.WriteEvents(bufio.NewWriter(&text)); err != nil {
		t.Fatal(err)
	}
	d.Leave()
	over := recovery.Handed{Rooms: again.Rooms, Away: again.Away, Offset: again.Offset}
	if err := next.ReadEvents(&over, bufio.NewReader(&text), again.Size()); err != nil {
		t.Fatal(err)
	}
	arrive(next, over)
	c := newLine("a")
	if got := claim(next, "pid", named, c); got != "recovered" || !slices.Equal(c.got, []string{"m"}) {
		t.Errorf("%s, and received %q", got, c.got)
	}
}

// What joins and leaves take while a session departs does not count for its address for good.
func TestDeparture_LeavesNothingBehindForItsAddress(t *testing.T) {
	_, l := newStore(t, recovery.Config{Bytes: 64 << 10})
	began(l, "stays", newLine()) // so that the address is known all the time
	for n := range 100 {
		pid := fmt.Sprint("p", n)
		c := newLine()
		s := began(l, pid, c)
		if !s.Lose(c, c) {
			t.Fatalf("%s is not kept", pid)
		}
		d := depart(t, l, pid)
		l.Freeze()
		for i := range 8 {
			s.Changed(strings.Repeat("r", 100)+fmt.Sprint(i), false)
		}
		l.Thaw()
		if n%2 == 0 {
			d.Stay()
			s.End()
		} else {
			d.Leave()
		}
	}
}
