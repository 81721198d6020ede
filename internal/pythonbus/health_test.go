package pythonbus

import (
	"testing"
	"time"
)

// TestHealth_ASubscriptionThatReceivesNoProbeIsClosed: one that does is not, and none is while there is no connection.
func TestHealth_ASubscriptionThatReceivesNoProbeIsClosed(t *testing.T) {
	start := time.Unix(1000, 0)
	var h health
	h.probed(start) // no connection
	closed := 0
	h.begin(func() { closed++ })
	h.probed(start)
	h.heard()
	h.probed(start.Add(time.Minute))
	if closed != 0 || h.deaf() {
		t.Fatal("closed although its probe came back")
	}
	h.probed(start.Add(time.Minute + deafAfter))
	if closed != 1 || !h.deaf() {
		t.Fatalf("closed %d times, deaf: %v", closed, h.deaf())
	}
	h.end()
	h.begin(func() { closed++ })
	if h.deaf() {
		t.Error("the next connection is deaf from the start")
	}
	h.restart()
	if closed != 2 {
		t.Errorf("closed %d times", closed)
	}
	h.end()
	h.restart()
	if closed != 2 {
		t.Error("a connection that has ended is closed")
	}
}
