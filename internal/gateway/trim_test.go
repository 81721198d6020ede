package gateway

import "testing"

func TestTrimmer_OnceMostHaveLeft(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		sessions []int
		trims    int
	}{
		"few":               {[]int{999, 0, 999, 0}, 0},
		"half still there":  {[]int{10_000, 5_000}, 0},
		"most have left":    {[]int{10_000, 4_999, 4_000, 3_000}, 1},
		"all, step by step": {[]int{10_000, 4_000, 1_000, 0}, 3},
		"and come back":     {[]int{10_000, 0, 10_000, 0}, 2},
	} {
		var trim trimmer
		trims := 0
		for _, n := range tt.sessions {
			if trim.due(n) {
				trims++
			}
		}
		if trims != tt.trims {
			t.Errorf("%s: %d trims, want %d", name, trims, tt.trims)
		}
	}
}

func TestStillness_CollectsGarbageOnceThereIsLittleToDo(t *testing.T) {
	t.Parallel()
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
