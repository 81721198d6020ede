//go:build !race

package flush

import (
	"runtime"
	"testing"
)

func TestFlushers_QueueingAllocatesNothingInTheEnd(t *testing.T) {
	f := New((*item).place, newWriter, func(i *item, _ *writer) { i.queued.Store(false) })
	i := &item{}
	n := testing.AllocsPerRun(1000, func() {
		i.queued.Store(true)
		f.Add(i)
		for i.queued.Load() {
			runtime.Gosched()
		}
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
	eventually(t, "it ends", idle(f))
}
