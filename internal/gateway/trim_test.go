package gateway

import "testing"

func TestTrimmer_OnceMostHaveLeft(t *testing.T) {
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
