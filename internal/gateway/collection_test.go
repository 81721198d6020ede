package gateway

import "testing"

func TestCollectionPercent_SmallHeapsMayHoldMoreThanTheirSizeInGarbage(t *testing.T) {
	for _, c := range []struct {
		live uint64
		want int
	}{
		{0, 1600}, // before the first collection
		{1 << 20, 1600},
		{4 << 20, 400},
		{8 << 20, 200},
		{16 << 20, 100},
		{1 << 30, 100},
	} {
		if got := collectionPercent(c.live); got != c.want {
			t.Errorf("%d bytes: %d %%, want %d", c.live, got, c.want)
		}
	}
}
