package upstream

import (
	"slices"
	"strconv"
	"testing"
	"time"
)

// beatAt is a moment of a story: what Redis answered then.
type beatAt struct {
	at   time.Duration
	seen map[string]string
	lost []string
}

func TestWatch_ANodeIsLostOnlyAfterAWholePeriodWithRedisAnswering(t *testing.T) {
	second := time.Second
	times := Times{Beat: second, Period: 6 * second}
	dead := map[string]string{"a": "1"}
	for name, story := range map[string][]beatAt{
		"a heartbeat that goes on": {
			{0, dead, nil}, {2 * second, map[string]string{"a": "2"}, nil}, {4 * second, map[string]string{"a": "3"}, nil},
			{6 * second, map[string]string{"a": "4"}, nil}, {8 * second, map[string]string{"a": "5"}, nil},
		},
		"one that stands still": {
			{0, dead, nil}, {2 * second, dead, nil}, {4 * second, dead, nil}, {5 * second, dead, nil}, {6 * second, dead, []string{"a"}},
		},
		"Redis away in between": {
			{0, dead, nil}, {2 * second, dead, nil}, {10 * second, dead, nil}, {12 * second, dead, nil}, {14 * second, dead, nil},
			{15 * second, dead, nil}, {16 * second, dead, []string{"a"}},
		},
		"one that is gone and comes back": {
			{0, dead, nil}, {2 * second, nil, nil}, {4 * second, dead, nil}, {6 * second, dead, nil}, {8 * second, dead, nil},
			{9 * second, dead, nil}, {10 * second, dead, []string{"a"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWatch(times)
			start := time.Now()
			for i, b := range story {
				if lost := w.see(b.seen, start.Add(b.at)); !slices.Equal(lost, b.lost) {
					t.Errorf("at moment %s, %v: lost are %v, want %v", strconv.Itoa(i), b.at, lost, b.lost)
				}
			}
		})
	}
}
