package recovery_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carillon-io/carillon/internal/recovery"
)

func TestCarry_SessionsOnTheirWayShareAQuarter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bytes = 1 << 20
		store, l := newStore(t, recovery.Config{Bytes: bytes})
		ctx := t.Context()
		first, second := l.Carry(), l.Carry()
		grow := func(c *recovery.Carry, n int64, within time.Duration) error {
			ctx, cancel := context.WithTimeout(ctx, within)
			defer cancel()
			return c.Grow(ctx, n)
		}
		if err := grow(first, bytes/8, time.Second); err != nil {
			t.Fatal(err)
		}
		if err := grow(second, bytes/4, time.Second); recovery.FailureOf(err) != recovery.FailedMemory {
			t.Errorf("more than there is room for: %v", err)
		}
		if err := grow(second, bytes/8, time.Second); err != nil {
			t.Fatal(err)
		}
		if held := store.Held(); held != bytes/4 {
			t.Errorf("%d bytes are held", held)
		}
		time.AfterFunc(time.Second, first.End)
		if err := grow(second, bytes/2, 2*time.Second); err != nil { // alone, it may take more
			t.Errorf("alone: %v", err)
		}
		if held := store.Held(); held != bytes/8+bytes/2 {
			t.Errorf("%d bytes are held by one", held)
		}
		if err := grow(second, bytes, time.Second); err == nil {
			t.Error("more than the node may keep")
		}
		second.End()
		if held := store.Held(); held != 0 {
			t.Errorf("%d bytes are held in the end", held)
		}
	})
}

func TestCarry_TwoThatGrowDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, l := newStore(t, recovery.Config{Bytes: 1 << 20})
		done := make(chan error, 2)
		for range 2 {
			go func() {
				c := l.Carry()
				defer c.End()
				if err := c.Grow(t.Context(), 1<<17); err != nil {
					done <- err
					return
				}
				time.Sleep(time.Second)
				done <- c.Grow(t.Context(), 1<<17)
			}()
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

// allocated is what f allocates, in bytes, and what other goroutines do meanwhile.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// handedEvent is an event as it travels, whose text and attachment say that they are as long.
func handedEvent(offset string, claimed uint64, text []byte, attachments ...[]byte) []byte {
	b := append([]byte{1}, offset...)
	b = append(binary.AppendUvarint(b, claimed), text...)
	b = binary.AppendUvarint(b, uint64(len(attachments)))
	for _, a := range attachments {
		b = append(binary.AppendUvarint(b, uint64(len(a))), a...)
	}
	return b
}

func TestReadEvents_AllocatesNothingForWhatHasNotCome(t *testing.T) {
	_, l := newStore(t, recovery.Config{Bytes: 1 << 30})
	wire := handedEvent(publish(l, "m"), 1<<29, []byte("[]"))
	var err error
	var h recovery.Handed
	if n := allocated(func() { err = l.ReadEvents(&h, bufio.NewReader(bytes.NewReader(wire)), 1<<30) }); n > 1<<20 {
		t.Errorf("%d bytes for an event of which two bytes have come", n)
	}
	if err == nil || len(h.Events) > 0 {
		t.Errorf("%d events, %v", len(h.Events), err)
	}
}

func TestReadEvents_HoldsNoMoreThanWasSaid(t *testing.T) {
	_, l := newStore(t, recovery.Config{Bytes: 1 << 20})
	wire := append(handedEvent(publish(l, "m"), 100, make([]byte, 100), make([]byte, 10)), 0)
	const size = 240 + 100 + 24 + 10
	for said, fits := range map[int64]bool{size: true, size - 1: false, 0: false, -1: false} {
		var h recovery.Handed
		err := l.ReadEvents(&h, bufio.NewReader(bytes.NewReader(wire)), said)
		if (err == nil) != fits || fits && h.Size() != said {
			t.Errorf("said to take %d bytes: %v, and take %d", said, err, h.Size())
		}
		if !fits && recovery.FailureOf(err) != recovery.FailedMalformed {
			t.Errorf("fails as %v", recovery.FailureOf(err))
		}
	}
}

func FuzzReadEvents(f *testing.F) {
	store, err := recovery.New(recovery.Config{Window: time.Minute, Bytes: 64 << 20, Key: &recovery.Key{1}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(store.Close)
	l := store.Log("/")
	offset := publish(l, "m")
	f.Add(append(handedEvent(offset, 5, []byte(`["m"]`), []byte("attached")), 0), int64(1000))
	f.Add(handedEvent(offset, 1<<40, nil), int64(1<<50))
	f.Add(handedEvent(offset, 60<<20, []byte(`["m"]`)), int64(64<<20))
	f.Add(binary.AppendUvarint(handedEvent(offset, 2, []byte("[]"))[:1+len(offset)+3], 1<<16), int64(64<<20))
	f.Add([]byte{0}, int64(0))
	f.Fuzz(func(t *testing.T, wire []byte, size int64) {
		var h recovery.Handed
		var err error
		// An entry takes a few hundred bytes, which a wire of some thirty can ask for; slices grow by doubling.
		if n, most := allocated(func() { err = l.ReadEvents(&h, bufio.NewReader(bytes.NewReader(wire)), size) }), uint64(256<<10+40*len(wire)); n > most {
			t.Errorf("%d bytes for a wire of %d", n, len(wire))
		}
		if held := h.Size(); held > max(size, 0) {
			t.Errorf("%d bytes are held, %d were said", held, size)
		}
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := h.WriteEvents(bufio.NewWriter(&again)); err != nil {
			t.Fatal(err)
		}
		var same recovery.Handed
		if err := l.ReadEvents(&same, bufio.NewReader(&again), h.Size()); err != nil || len(same.Events) != len(h.Events) {
			t.Errorf("%d of %d events come back: %v", len(same.Events), len(h.Events), err)
		}
	})
}
