package rooms

// Smaller slices and tables than these are not worth shrinking.
const (
	smallSlice = 32
	smallTable = 1024
)

// swapRemove removes s[i] by moving the last element there. A slice that is three quarters empty moves to an array of
// half the size, so memory follows the number of elements and the cost stays constant on average.
func swapRemove[T any](s []T, i int) []T {
	last := len(s) - 1
	s[i] = s[last]
	clear(s[last:])
	s = s[:last]
	if cap(s) > smallSlice && len(s) <= cap(s)/4 {
		s = append(make([]T, 0, cap(s)/2), s...)
	}
	return s
}

// table is a map by name that gives memory back, which a Go map does not: it is built anew when seven eighths of what
// it once held are gone. Read m directly; change it through put and remove.
type table[V any] struct {
	m    map[string]V
	peak int // the most entries since m was built
}

func (t *table[V]) put(name string, v V) {
	if t.m == nil {
		t.m = make(map[string]V)
	}
	t.m[name] = v
	t.peak = max(t.peak, len(t.m))
}

func (t *table[V]) remove(name string) {
	delete(t.m, name)
	if t.peak < smallTable || len(t.m) > t.peak/8 {
		return
	}
	smaller := make(map[string]V, len(t.m))
	for name, v := range t.m {
		smaller[name] = v
	}
	t.m, t.peak = smaller, len(smaller)
}
