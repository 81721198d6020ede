package rooms_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/carillon-io/carillon/pkg/rooms"
)

// model is what an Index means, in the plainest way: the set of rooms of each member, its own among them.
type model map[string]map[string]bool

func (md model) in(id, room string) bool { return md[id][room] }

func (md model) holds(room string) bool {
	for id := range md {
		if md.in(id, room) {
			return true
		}
	}
	return false
}

func (md model) selects(id string, t rooms.Target) bool {
	in := func(room string) bool { return md.in(id, room) }
	return (len(t.Rooms) == 0 || slices.ContainsFunc(t.Rooms, in)) && !slices.ContainsFunc(t.Except, in)
}

func (md model) join(id string, limit int, names []string) error {
	after := maps.Clone(md[id])
	for _, name := range names {
		after[name] = true
	}
	others := len(after)
	if after[id] {
		others--
	}
	before := len(md[id])
	if md.in(id, id) {
		before--
	}
	if limit > 0 && others > limit && others > before {
		return rooms.ErrTooMany
	}
	md[id] = after
	return nil
}

func (md model) rooms() []string {
	all := make(map[string]bool)
	for _, in := range md {
		maps.Copy(all, in)
	}
	return slices.Sorted(maps.Keys(all))
}

type handle = rooms.Member[string]

// check compares everything that can be asked.
func check(t *testing.T, x *rooms.Index[string], md model, live map[string]*handle, names []string) {
	t.Helper()
	if x.Len() != len(md) {
		t.Fatalf("Len is %d, not %d", x.Len(), len(md))
	}
	all := slices.Sorted(slices.Values(x.AllRooms(nil)))
	if want := md.rooms(); !slices.Equal(all, want) {
		t.Fatalf("AllRooms is %q, not %q", all, want)
	}
	own := 0
	for _, room := range all {
		if md[room] != nil {
			own++
		}
	}
	if gotAll, gotOwn := x.Count(); gotAll != len(all) || gotOwn != own {
		t.Fatalf("Count is %d, %d, not %d, %d", gotAll, gotOwn, len(all), own)
	}
	for _, room := range names {
		if x.Holds(room) != md.holds(room) {
			t.Fatalf("Holds(%q) is %t", room, x.Holds(room))
		}
	}
	for id, m := range live {
		if got := x.ByID(id); got != m || m.ID() != id || m.Value() != "value of "+id {
			t.Fatalf("ByID(%q) is %v", id, got)
		}
		in := x.Rooms(nil, m)
		if md.in(id, id) && in[0] != id {
			t.Fatalf("the own room of %q is not first in %q", id, in)
		}
		slices.Sort(in)
		if want := slices.Sorted(maps.Keys(md[id])); !slices.Equal(in, want) {
			t.Fatalf("Rooms of %q are %q, not %q", id, in, want)
		}
		for _, room := range names {
			if x.Contains(m, room) != md.in(id, room) {
				t.Fatalf("Contains(%q, %q) is %t", id, room, x.Contains(m, room))
			}
		}
	}
}

func ids(members []*handle) []string {
	var s []string
	for _, m := range members {
		s = append(s, m.ID())
	}
	slices.Sort(s)
	return s
}

func TestIndex_BehavesAsSetsOfRooms(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { compare(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

// compare drives an index and the model with the same random steps. Ids are room names too, so that members' own
// rooms are joined by others, before, while and after their owners are there.
func compare(t *testing.T, rng *rand.Rand) {
	x, md, live := rooms.New[string](), model{}, map[string]*handle{}
	var gone []*handle
	names := []string{""}
	for i := range 12 {
		names = append(names, fmt.Sprint("id", i))
	}
	for i := range 50 {
		names = append(names, fmt.Sprint("room", i))
	}
	some := func(most int) []string {
		var s []string
		for range rng.IntN(most + 1) {
			s = append(s, names[rng.IntN(len(names))])
		}
		return s
	}
	for step := range 4000 {
		id := fmt.Sprint("id", rng.IntN(12))
		m := live[id]
		switch op := rng.IntN(20); {
		case m == nil && op < 8:
			m = new(handle)
			if !x.Add(m, id, "value of "+id) {
				t.Fatalf("Add %q was refused", id)
			}
			if x.Add(m, "another", "") || x.Add(new(handle), id, "") {
				t.Fatalf("%q was added twice", id)
			}
			live[id], md[id] = m, map[string]bool{id: true}
		case m == nil:
			if len(gone) == 0 {
				continue
			}
			late := gone[rng.IntN(len(gone))]
			if err := x.Join(late, 0, "room0", late.ID()); !errors.Is(err, rooms.ErrGone) {
				t.Fatalf("late join: %v", err)
			}
			x.Leave(late, "room0", late.ID())
			if left := x.Remove(nil, late); left != nil || x.Contains(late, "room0") || x.Add(late, "again", "") {
				t.Fatalf("%q is still there, in %q", late.ID(), left)
			}
		case op < 9:
			join := some(6)
			limit := rng.IntN(2) * (20 + rng.IntN(30))
			if got, want := x.Join(m, limit, join...), md.join(id, limit, join); !errors.Is(got, want) {
				t.Fatalf("Join(%q, %d, %q): %v, not %v", id, limit, join, got, want)
			}
		case op < 11:
			leave := some(8)
			x.Leave(m, leave...)
			for _, name := range leave {
				delete(md[id], name)
			}
		case op < 12 && rng.IntN(4) == 0:
			left := x.Remove([]string{"before"}, m)
			want := slices.Sorted(maps.Keys(md[id]))
			if got := slices.Sorted(slices.Values(left[1:])); left[0] != "before" || !slices.Equal(got, want) {
				t.Fatalf("Remove %q: %q, not %q", id, left, want)
			}
			gone = append(gone, m)
			delete(live, id)
			delete(md, id)
		default:
			target := rooms.Target{Rooms: some(rng.IntN(12)), Except: some(rng.IntN(8))}
			var want []string
			for id := range md {
				if md.selects(id, target) {
					want = append(want, id)
				}
			}
			slices.Sort(want)
			if got := ids(x.AppendTo(nil, target)); !slices.Equal(got, want) {
				t.Fatalf("step %d: %+v selects %q, not %q", step, target, got, want)
			}
		}
		if step%10 == 0 {
			check(t, x, md, live, names)
		}
	}
}
