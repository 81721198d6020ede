package gateway

import (
	"math"
	"runtime/debug"
	"testing"
)

func TestMemoryLimit_IsTheGivenOneElseWhatThereIs(t *testing.T) {
	if got := memoryLimit(); got <= 0 || got == math.MaxInt64 {
		t.Errorf("without a limit given: %d", got)
	}
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(64 << 20))
	if got := memoryLimit(); got != 64<<20 {
		t.Errorf("with GOMEMLIMIT: %d", got)
	}
}
