package gateway

import "testing"

const mb = 1 << 20

func TestCollectionPercent_SmallHeapsMayHoldMoreThanTheirSizeInGarbage(t *testing.T) {
	t.Parallel()
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
