package engine

import "testing"

func BenchmarkTable_GetInParallel(b *testing.B) {
	t := newTable[*Session]()
	var ids []string
	for range 1 << 16 {
		s := &Session{id: newID("test")}
		t.put(s.id, s, func() {})
		ids = append(ids, s.id)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if t.get(ids[i&(len(ids)-1)]) == nil {
				b.Error("lost")
			}
		}
	})
}
