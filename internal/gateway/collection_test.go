package gateway

import "testing"

const mb = 1 << 20

func TestCollectionPercent_SmallHeapsMayHoldMoreThanTheirSizeInGarbage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		live uint64
		want int
	}{
		{0, 1600}, // before the first collection
		{1 * mb, 1600},
		{4 * mb, 1600},
		{8 * mb, 800},
		{20 * mb, 320},
		{64 * mb, 100},
		{1024 * mb, 100},
	} {
		if got := collectionPercent(c.live, 64*mb); got != c.want {
			t.Errorf("%d bytes: %d %%, want %d", c.live, got, c.want)
		}
	}
}

func TestArrivals_LittleGarbageIsSparedWhileTheirNumberGrows(t *testing.T) {
	t.Parallel()
	var a arrivals
	for i, step := range []struct {
		sessions int
		want     uint64
	}{{0, leastGarbage}, {20, arrivingGarbage}, {900, arrivingGarbage}, {919, leastGarbage}, {919, leastGarbage}, {100, leastGarbage}, {150, arrivingGarbage}} {
		if got := a.garbage(step.sessions); got != step.want {
			t.Errorf("step %d: %d bytes, want %d", i, got, step.want)
		}
	}
}
