package rooms_test

import (
	"fmt"
	"testing"

	"github.com/carillon-io/carillon/pkg/rooms"
)

func TestAppendTo_AllocatesNothing(t *testing.T) {
	x, members := newIndex(t, "a", "b", "c")
	for i := range 100 {
		m := new(handle)
		x.Add(m, fmt.Sprint("m", i), "")
		mustJoin(t, x, m, "red", fmt.Sprint("room", i%7))
	}
	mustJoin(t, x, members["a"], "red", "blue")
	dst := make([]*handle, 0, x.Len())
	for name, target := range map[string]rooms.Target{
		"everyone":           {},
		"everyone but one":   {Except: []string{"a"}},
		"a room":             {Rooms: []string{"red"}},
		"a room but one":     {Rooms: []string{"red"}, Except: []string{"a"}},
		"an id":              {Rooms: []string{"b"}},
		"a union but a room": {Rooms: []string{"red", "blue", "room1"}, Except: []string{"room2"}},
	} {
		if n := testing.AllocsPerRun(100, func() { dst = x.AppendTo(dst[:0], target) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		if len(dst) == 0 {
			t.Errorf("%s: nobody", name)
		}
	}
}

func TestJoinLeave_InAKnownRoomAllocatesNothing(t *testing.T) {
	x, members := newIndex(t, "a", "b")
	mustJoin(t, x, members["b"], "red", "blue")
	names := []string{"red", "blue"}
	if n := testing.AllocsPerRun(100, func() {
		mustJoin(t, x, members["a"], names...)
		x.Leave(members["a"], names...)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRemove_AllocatesNothing(t *testing.T) {
	const runs = 100
	x, members := newIndex(t, "a")
	mustJoin(t, x, members["a"], "red", "blue")
	leaving := make([]*handle, 1+runs) // AllocsPerRun makes one more run
	for i := range leaving {
		leaving[i] = new(handle)
		x.Add(leaving[i], fmt.Sprint("m", i), "")
		mustJoin(t, x, leaving[i], "red", "blue", fmt.Sprint("own", i))
	}
	left := make([]string, 0, 4)
	if n := testing.AllocsPerRun(runs, func() {
		left = x.Remove(left[:0], leaving[0])
		leaving = leaving[1:]
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if len(left) != 4 || x.Len() != 1 {
		t.Errorf("%d members are left, the last one had been in %q", x.Len(), left)
	}
}
