package stack

import (
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"testing"
)

func TestGrow_StacksHaveTheRoom(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection halves stacks that are not used
	for _, c := range []struct {
		grow func()
		size uint64
	}{
		{Grow[[2 << 10]byte], 4 << 10},
		{Grow[[10 << 10]byte], 16 << 10},
	} {
		const goroutines = 1000
		var grown, all sync.WaitGroup
		grown.Add(goroutines)
		done := make(chan struct{})
		for range goroutines {
			all.Go(func() {
				c.grow()
				grown.Done()
				<-done
			})
		}
		grown.Wait()
		stacks := []metrics.Sample{{Name: "/memory/classes/heap/stacks:bytes"}}
		metrics.Read(stacks)
		close(done)
		all.Wait()
		if n := stacks[0].Value.Uint64(); n < goroutines*c.size {
			t.Errorf("%d bytes of stack for each, want %d", n/goroutines, c.size)
		}
	}
}

func TestGrow_AllocatesNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, Grow[[10 << 10]byte]); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
