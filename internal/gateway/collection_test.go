package gateway

import "testing"

const mb = 1 << 20

func TestCollectionPercent_SmallHeapsMayHoldMoreThanTheirSizeInGarbage(t *testing.T) {
	for _, c := range []struct {
		live uint64
		want int
	}{
		{0, 1200}, // before the first collection
		{1 * mb, 1200},
		{4 * mb, 300},
		{8 * mb, 150},
		{12 * mb, 100},
		{1024 * mb, 100},
	} {
		if got := collectionPercent(c.live); got != c.want {
			t.Errorf("%d bytes: %d %%, want %d", c.live, got, c.want)
		}
	}
}

func TestStillness_CollectsGarbageOnceThereIsLittleToDo(t *testing.T) {
	for _, c := range []struct {
		name       string
		live, held uint64
		allocated  []uint64 // by interval
		want       bool     // after the last
	}{
		{"busy", 10 * mb, 20 * mb, []uint64{0, 9 * mb, 18 * mb, 27 * mb}, false},
		{"just quiet", 10 * mb, 20 * mb, []uint64{0, 9 * mb, 9 * mb}, false},
		{"quiet", 10 * mb, 20 * mb, []uint64{0, 9 * mb, 9 * mb, 10 * mb}, true},
		{"busy again", 10 * mb, 20 * mb, []uint64{0, 9 * mb, 9 * mb, 10 * mb, 15 * mb}, false},
		{"quiet with little to spare", 10 * mb, 13 * mb, []uint64{0, 9 * mb, 9 * mb, 9 * mb}, false},
		{"quiet and large", 400 * mb, 450 * mb, []uint64{0, 9 * mb, 9 * mb, 9 * mb}, false},
		{"quiet and large with much to spare", 400 * mb, 501 * mb, []uint64{0, 9 * mb, 9 * mb, 9 * mb}, true},
	} {
		var s stillness
		due := false
		for _, allocated := range c.allocated {
			due = s.due(heap{live: c.live, held: c.held, allocated: allocated})
		}
		if due != c.want {
			t.Errorf("%s: %t, want %t", c.name, due, c.want)
		}
	}
}
