package ceiling

import (
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"go.uber.org/zap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// holders are slices of bytes by number, under a Ceiling.
type holders struct {
	Ceiling[int]
	running sync.WaitGroup

	mu    sync.Mutex
	held  map[int]int
	ended []int
	gone  map[int]bool // have ended by themselves, unknown to the Ceiling
}

func newHolders(limit int64) *holders {
	h := &holders{held: map[int]int{}, gone: map[int]bool{}}
	h.Config = Config[int]{What: "bytes", All: h.all, Of: h.of, End: h.end, Spawn: h.running.Go, Log: zap.NewNop()}
	h.SetLimit(limit)
	return h
}

func (h *holders) hold(holder, bytes int) {
	h.mu.Lock()
	h.held[holder] += bytes
	h.mu.Unlock()
	h.Add(bytes)
}

func (h *holders) all() []int {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []int
	for holder := range h.held {
		all = append(all, holder)
	}
	return all
}

func (h *holders) of(holder int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.held[holder]
}

func (h *holders) end(holder int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gone[holder] {
		return false
	}
	h.ended = append(h.ended, holder)
	h.Add(-h.held[holder])
	delete(h.held, holder)
	return true
}

func TestCeiling_EndsThoseThatHoldMost(t *testing.T) {
	h := newHolders(1000)
	for holder, bytes := range []int{100, 500, 0, 300, 100} {
		h.hold(holder, bytes)
	}
	h.running.Wait()
	if len(h.ended) > 0 || h.Full(0) || !h.Full(1) {
		t.Fatalf("at the limit: ended %v, full %v, %v", h.ended, h.Full(0), h.Full(1))
	}
	h.hold(4, 50)
	h.running.Wait()
	if !slices.Equal(h.ended, []int{1}) || h.Bytes() != 550 {
		t.Errorf("ended %v, %d bytes are held", h.ended, h.Bytes())
	}
}

func TestCeiling_OneThatHasEndedByItselfRelievesNothing(t *testing.T) {
	h := newHolders(1000)
	h.gone[1] = true
	h.hold(0, 100)
	h.hold(2, 400)
	h.hold(1, 600)
	h.running.Wait()
	if !slices.Equal(h.ended, []int{2}) {
		t.Errorf("ended %v", h.ended)
	}
}

func TestCeiling_ASmallShareMoreIsRelieved(t *testing.T) {
	h := newHolders(800)
	for holder := range 81 {
		h.hold(holder, 10)
	}
	h.running.Wait()
	if n := len(h.ended); n != 11 || h.Bytes() != 700 { // 10 over the limit, and an eighth of it
		t.Errorf("%d ended, %d bytes are held", n, h.Bytes())
	}
}

func TestCeiling_WithoutALimitNothingEnds(t *testing.T) {
	h := newHolders(0)
	h.hold(0, 1<<40)
	h.running.Wait()
	if len(h.ended) > 0 || h.Full(1<<40) || h.Limit() != 0 {
		t.Errorf("ended %v, full %v", h.ended, h.Full(1<<40))
	}
}
