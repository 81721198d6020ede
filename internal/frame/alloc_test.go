package frame

import (
	"strings"
	"testing"
	"time"
)

func TestNewMessage_AllocatesTheFrameAndItsBytes(t *testing.T) {
	data := []byte(strings.Repeat("x", 150))
	for _, binary := range []bool{false, true} {
		if n := testing.AllocsPerRun(100, func() { NewMessage(data, binary, time.Time{}) }); n > 2 {
			t.Errorf("binary %v: %v allocations", binary, n)
		}
	}
}

func BenchmarkNewMessage(b *testing.B) {
	data := []byte(strings.Repeat("x", 150))
	b.ReportAllocs()
	for b.Loop() {
		NewMessage(data, false, time.Time{})
	}
}
