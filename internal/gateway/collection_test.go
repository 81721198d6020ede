package gateway

import "testing"

const mb = 1 << 20

func TestCollectionPercent_SmallHeapsMayHoldMoreThanTheirSizeInGarbage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		live uint64
		want int
	}{
		{0, 6400}, // before the first collection
		{1 * mb, 6400},
		{4 * mb, 1600},
		{8 * mb, 800},
		{20 * mb, 320},
		{64 * mb, 100},
		{1024 * mb, 100},
	} {
		if got := collectionPercent(c.live); got != c.want {
			t.Errorf("%d bytes: %d %%, want %d", c.live, got, c.want)
		}
	}
}
