package rooms_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/carillon-io/carillon/pkg/rooms"
)

// fill returns an index of 20,000 members, each in five of 2,000 rooms, that is, fifty members to a room. One room
// has them all and one has ten, who are not among the outsiders.
func fill(b *testing.B) (x *rooms.Index[string], outsiders []*handle) {
	rng := rand.New(rand.NewPCG(1, 2))
	x = rooms.New[string]()
	members := make([]*handle, 20_000)
	for i := range members {
		members[i] = new(handle)
		x.Add(members[i], fmt.Sprint("member-", i), "")
		for range 5 {
			mustJoin(b, x, members[i], fmt.Sprint("room-", rng.IntN(2000)))
		}
	}
	for _, m := range members[:10] {
		mustJoin(b, x, m, "ten")
	}
	for _, m := range members {
		mustJoin(b, x, m, "all")
	}
	return x, members[10:]
}

func BenchmarkAppendTo(b *testing.B) {
	x, _ := fill(b)
	for _, c := range []struct {
		name   string
		target rooms.Target
	}{
		{"10 members", rooms.Target{Rooms: []string{"ten"}}},
		{"10 members but an id", rooms.Target{Rooms: []string{"ten"}, Except: []string{"member-5"}}},
		{"an id", rooms.Target{Rooms: []string{"member-5"}}},
		{"20000 members", rooms.Target{Rooms: []string{"all"}}},
		{"20000 members but an id", rooms.Target{Rooms: []string{"all"}, Except: []string{"member-5"}}},
		{"everyone", rooms.Target{}},
		{"union of 3 but 1", rooms.Target{Rooms: []string{"room-1", "all", "room-2"}, Except: []string{"room-3"}}},
		{"1000 ids", rooms.Target{Rooms: x.AllRooms(nil)[2000:3000]}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			dst := make([]*handle, 0, x.Len())
			for b.Loop() {
				dst = x.AppendTo(dst[:0], c.target)
			}
		})
	}
	b.Run("10 members, parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			dst := make([]*handle, 0, 10)
			for pb.Next() {
				dst = x.AppendTo(dst[:0], rooms.Target{Rooms: []string{"ten"}})
			}
		})
	})
}

func joinLeave(b *testing.B, x *rooms.Index[string], m *handle, room string) {
	if err := x.Join(m, 0, room); err != nil {
		b.Error(err)
	}
	x.Leave(m, room)
}

func BenchmarkJoinLeave(b *testing.B) {
	x, outsiders := fill(b)
	b.Run("serial", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			m := outsiders[i%len(outsiders)]
			joinLeave(b, x, m, "ten")
			i += 7919
		}
	})
	b.Run("new room", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			joinLeave(b, x, outsiders[0], "new")
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			i := rand.IntN(len(outsiders))
			for pb.Next() {
				m := outsiders[i%len(outsiders)]
				joinLeave(b, x, m, "ten")
				i += 7919
			}
		})
	})
}

func BenchmarkMixed_OnePercentWrites(b *testing.B) {
	x, outsiders := fill(b)
	b.RunParallel(func(pb *testing.PB) {
		dst := make([]*handle, 0, 20)
		i := rand.IntN(len(outsiders))
		for pb.Next() {
			if i++; i%100 == 0 {
				m := outsiders[i%len(outsiders)]
				joinLeave(b, x, m, "ten")
			}
			dst = x.AppendTo(dst[:0], rooms.Target{Rooms: []string{"ten"}})
		}
	})
}

func BenchmarkAddRemove(b *testing.B) {
	x, _ := fill(b)
	b.ReportAllocs()
	for b.Loop() {
		m := new(handle)
		x.Add(m, "newcomer", "")
		if err := x.Join(m, 0, "all", "ten", "room-1", "room-2", "room-3"); err != nil {
			b.Fatal(err)
		}
		x.Remove(nil, m)
	}
}

// BenchmarkMemory reports the bytes that a membership takes, the handle not counted: it is part of the socket.
func BenchmarkMemory(b *testing.B) {
	for _, c := range []struct {
		name    string
		joins   int
		rooms   int
		members int
	}{
		{"own room only", 0, 1, 20_000},
		{"5 of 2000 rooms", 5, 2000, 20_000},
		{"1 of 20 rooms", 1, 20, 20_000},
		{"a room each", 1, 20_000, 20_000},
	} {
		b.Run(c.name, func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 2))
			var total uint64
			for b.Loop() {
				x := rooms.New[string]()
				handles := make([]handle, c.members)
				for i := range handles {
					x.Add(&handles[i], fmt.Sprint("member-", i), "")
				}
				empty := heap()
				for i := range handles {
					for range c.joins {
						room := rng.IntN(c.rooms)
						if c.rooms == c.members {
							room = i
						}
						mustJoin(b, x, &handles[i], fmt.Sprint("room-", room))
					}
				}
				total += heap() - empty
				x.Holds("")
			}
			b.ReportMetric(float64(total)/float64(b.N)/float64(c.members*max(c.joins, 1)), "B/membership")
			b.ReportMetric(0, "ns/op")
		})
	}
}
