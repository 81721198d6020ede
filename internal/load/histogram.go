//go:build linux

package load

import "math/bits"

// histogram counts durations in nanoseconds in 128 buckets for each power of two, so that a quantile is exact to within 0.8 %.
type histogram struct {
	n       uint64
	max     int64
	buckets []uint64
}

const bucketBits = 7

func newHistogram() *histogram {
	return &histogram{buckets: make([]uint64, (64-bucketBits)<<bucketBits)}
}

func bucketOf(v uint64) int {
	if v < 1<<bucketBits {
		return int(v)
	}
	e := bits.Len64(v) - bucketBits - 1
	return (e+1)<<bucketBits | int(v>>uint(e))&(1<<bucketBits-1)
}

// middle is the value in the middle of a bucket.
func middle(bucket int) int64 {
	if bucket < 1<<bucketBits {
		return int64(bucket)
	}
	e := uint(bucket>>bucketBits) - 1
	return int64(uint64(1<<bucketBits|bucket&(1<<bucketBits-1))<<e) + int64(uint64(1)<<e/2)
}

func (h *histogram) add(v int64) {
	v = max(v, 0)
	h.n++
	h.max = max(h.max, v)
	h.buckets[bucketOf(uint64(v))]++
}

func (h *histogram) merge(o *histogram) {
	h.n += o.n
	h.max = max(h.max, o.max)
	for i, c := range o.buckets {
		h.buckets[i] += c
	}
}

func (h *histogram) reset() {
	h.n, h.max = 0, 0
	clear(h.buckets)
}

// quantile returns the q-quantile in nanoseconds, 0 of none.
func (h *histogram) quantile(q float64) int64 {
	if h.n == 0 {
		return 0
	}
	want := min(uint64(q*float64(h.n)), h.n-1)
	var seen uint64
	for i, k := range h.buckets {
		if seen += k; seen > want {
			return min(middle(i), h.max)
		}
	}
	return h.max
}

func (h *histogram) ms(q float64) float64 { return rounded(float64(h.quantile(q)) / 1e6) }

// put writes the usual quantiles, in milliseconds, under names that begin with prefix.
func (h *histogram) put(r Result, prefix string) {
	r[prefix+"_p50_ms"] = h.ms(.50)
	r[prefix+"_p90_ms"] = h.ms(.90)
	r[prefix+"_p99_ms"] = h.ms(.99)
	r[prefix+"_p999_ms"] = h.ms(.999)
	r[prefix+"_max_ms"] = rounded(float64(h.max) / 1e6)
}
