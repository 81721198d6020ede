package engine

import (
	"strings"
	"testing"
	"time"
)

func TestNewFrame_AllocatesTheFrameAndItsBytes(t *testing.T) {
	data := []byte(strings.Repeat("x", 150))
	for _, binary := range []bool{false, true} {
		if n := testing.AllocsPerRun(100, func() { NewFrame(data, binary, time.Time{}) }); n > 2 {
			t.Errorf("binary %v: %v allocations", binary, n)
		}
	}
}
