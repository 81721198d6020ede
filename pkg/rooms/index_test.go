package rooms_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/carillon-io/carillon/pkg/rooms"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newIndex returns an index with a member for each id, which is its value too.
func newIndex(t testing.TB, ids ...string) (*rooms.Index[string], map[string]*handle) {
	t.Helper()
	x, members := rooms.New[string](), make(map[string]*handle, len(ids))
	for _, id := range ids {
		m := new(handle)
		if !x.Add(m, id, id) {
			t.Fatalf("Add %q was refused", id)
		}
		members[id] = m
	}
	return x, members
}

func mustJoin(t testing.TB, x *rooms.Index[string], m *handle, names ...string) {
	t.Helper()
	if err := x.Join(m, 0, names...); err != nil {
		t.Fatalf("Join(%q, %q): %v", m.ID(), names, err)
	}
}

func TestAppendTo_SelectsAsNodeDoes(t *testing.T) {
	x, m := newIndex(t, "a", "b", "c", "d")
	mustJoin(t, x, m["a"], "red")
	mustJoin(t, x, m["b"], "red", "blue")
	mustJoin(t, x, m["c"], "blue", "b") // in the room named by the id of b
	x.Leave(m["d"], "d")

	many := make([]string, 40)
	for i := range many {
		many[i] = fmt.Sprint("nobody", i)
	}
	for _, c := range []struct {
		name   string
		rooms  []string
		except []string
		want   []string
	}{
		{"no room is everyone", nil, nil, []string{"a", "b", "c", "d"}},
		{"one room", []string{"red"}, nil, []string{"a", "b"}},
		{"a member of two rooms counts once", []string{"red", "blue"}, nil, []string{"a", "b", "c"}},
		{"a room named twice counts once", []string{"red", "red"}, nil, []string{"a", "b"}},
		{"an unknown room is nobody", []string{"green"}, nil, nil},
		{"an unknown room beside another", []string{"green", "red"}, nil, []string{"a", "b"}},
		{"an unknown except is nobody", []string{"red"}, []string{"green"}, []string{"a", "b"}},
		{"except a room", []string{"red"}, []string{"blue"}, []string{"a"}},
		{"everyone except a room", nil, []string{"blue"}, []string{"a", "d"}},
		{"except an id", []string{"red"}, []string{"a"}, []string{"b"}},
		{"everyone except an id", nil, []string{"a"}, []string{"b", "c", "d"}},
		{"an id", []string{"a"}, nil, []string{"a"}},
		{"an id that others joined", []string{"b"}, nil, []string{"b", "c"}},
		{"except an id that others joined", nil, []string{"b"}, []string{"a", "d"}},
		{"an id and a room of its member", []string{"a", "red"}, nil, []string{"a", "b"}},
		{"a room and an id in it", []string{"red", "a"}, nil, []string{"a", "b"}},
		{"an id whose member has left its own room", []string{"d"}, nil, nil},
		{"except an id whose member has left its own room", nil, []string{"d"}, []string{"a", "b", "c", "d"}},
		{"the same room selected and excepted", []string{"red"}, []string{"red"}, nil},
		{"many rooms", append([]string{"red", "blue", "a"}, many...), nil, []string{"a", "b", "c"}},
		{"many rooms and an except", append([]string{"red", "blue", "a"}, many...), []string{"a"}, []string{"b", "c"}},
		{"everyone except many rooms", nil, append([]string{"blue"}, many...), []string{"a", "d"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ids(x.AppendTo(nil, rooms.Target{Rooms: c.rooms, Except: c.except}))
			if !slices.Equal(got, c.want) {
				t.Errorf("selected %q, not %q", got, c.want)
			}
		})
	}
}

func TestJoin_BeyondTheLimitJoinsNone(t *testing.T) {
	x, m := newIndex(t, "a", "b")
	mustJoin(t, x, m["a"], "one", "two")
	x.Leave(m["a"], "a")
	if err := x.Join(m["a"], 3, "two", "a", "three", "four"); !errors.Is(err, rooms.ErrTooMany) {
		t.Fatalf("Join: %v", err)
	}
	if got := x.Rooms(nil, m["a"]); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("in %q", got)
	}
	if x.Holds("three") || x.Holds("four") || x.Holds("a") {
		t.Error("a room of the refused join is held")
	}
	if err := x.Join(m["a"], 3, "three", "three", "a", "two"); err != nil {
		t.Errorf("Join up to the limit, known rooms not counted: %v", err)
	}
}

func TestRemove_RefusesAJoinThatRacesIt(t *testing.T) {
	for range 200 {
		x, m := newIndex(t, "a")
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := x.Join(m["a"], 0, "red"); err != nil && !errors.Is(err, rooms.ErrGone) {
				t.Errorf("Join: %v", err)
			}
		})
		x.Remove(nil, m["a"])
		wg.Wait()
		if x.Holds("red") || x.Holds("a") || x.Len() != 0 {
			t.Fatal("a member that is gone is held")
		}
	}
}

// TestIndex_UnionNeverMissesAMemberThatMoves has members that are in one of two rooms at every moment.
func TestIndex_UnionNeverMissesAMemberThatMoves(t *testing.T) {
	const movers = 4
	names := []string{"m0", "m1", "m2", "m3"}
	x, m := newIndex(t, names...)
	quit := make(chan struct{})
	var wg sync.WaitGroup
	for i := range movers {
		mover := m[names[i]]
		mustJoin(t, x, mover, "here")
		wg.Go(func() {
			from, to := "here", "there"
			for {
				select {
				case <-quit:
					return
				default:
				}
				mustJoin(t, x, mover, to)
				x.Leave(mover, from)
				from, to = to, from
			}
		})
	}
	var dst []*handle
	for range 5000 {
		dst = x.AppendTo(dst[:0], rooms.Target{Rooms: []string{"here", "there"}})
		if len(dst) != movers {
			t.Errorf("selected %q", ids(dst))
			break
		}
	}
	close(quit)
	wg.Wait()
}

func TestIndex_ConcurrentUse(t *testing.T) {
	const workers, rounds = 8, 300
	x := rooms.New[string]()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range rounds {
				m, id := new(handle), fmt.Sprintf("w%d-%d", w, i)
				if !x.Add(m, id, id) {
					t.Errorf("Add %q was refused", id)
				}
				other := fmt.Sprintf("w%d-%d", (w+1)%workers, i)
				mustJoin(t, x, m, "all", fmt.Sprint("room", i%10), other)
				for _, s := range x.AppendTo(nil, rooms.Target{Rooms: []string{"all", other}, Except: []string{id}}) {
					if s == m {
						t.Errorf("%q was selected in spite of its exception", id)
					}
				}
				x.Leave(m, "all")
				if i%3 == 0 {
					x.Leave(m, id)
				}
				x.Holds(other)
				x.AllRooms(nil)
				x.Remove(nil, m)
			}
		})
	}
	wg.Wait()
	if all, own := x.Count(); all != 0 || own != 0 || x.Len() != 0 {
		t.Errorf("%d members, %d rooms, %d own are left", x.Len(), all, own)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

func TestIndex_GivesMemoryBack(t *testing.T) {
	const count = 50_000
	x := rooms.New[string]()
	before := heap()
	members := make([]*handle, count)
	for i := range members {
		members[i] = new(handle)
		x.Add(members[i], fmt.Sprint("member-", i), "")
		mustJoin(t, x, members[i], "all", fmt.Sprint("room-", i))
	}
	full := heap() - before
	for _, m := range members[100:] {
		x.Remove(nil, m)
	}
	clear(members[100:])
	if left := heap() - before; left > full/10 {
		t.Errorf("%d of %d bytes are left with 100 of %d members", left, full, count)
	}
	runtime.KeepAlive(x)
	runtime.KeepAlive(members)
}
