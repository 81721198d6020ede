package polling

import (
	"math/rand/v2"
	"net/http/httptest"
	"testing"

	"github.com/carillon-io/carillon/internal/frame"
)

// Whatever comes: at most one GET waits, none is answered twice, and none is forgotten.
func TestSeats_EveryGetIsAnsweredOnceOrLeaves(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 2))
		var s Seats
		var waiting, writing *Get // the model
		decided := func(g *Get) bool {
			select {
			case <-g.Ready():
				return true
			default:
				return false
			}
		}
		for step := range 100 {
			switch random.IntN(6) {
			case 0, 1:
				g := NewGet(httptest.NewRecorder())
				if s.Sit(g) != (waiting == nil) {
					t.Fatalf("seed %d, step %d: a GET sat: %v, while one waits: %v", seed, step, waiting != nil, waiting == nil)
				}
				if waiting == nil {
					waiting = g
				} else if decided(g) {
					t.Fatalf("seed %d, step %d: a GET without a place was answered", seed, step)
				}
			case 2:
				if s.Seated() {
					s.Answer([]*frame.Frame{frame.Noop})
					if !decided(waiting) || !waiting.Leased || len(waiting.Batch) != 1 {
						t.Fatalf("seed %d, step %d: not answered", seed, step)
					}
					waiting, writing = nil, waiting
				}
			case 3:
				if writing != nil {
					s.Written()
					writing = nil
				}
			case 4:
				if waiting != nil && !s.Leave(waiting) {
					t.Fatalf("seed %d, step %d: a GET that waits cannot leave", seed, step)
				}
				waiting = nil
				if writing != nil && s.Leave(writing) {
					t.Fatalf("seed %d, step %d: a GET that was answered has left", seed, step)
				}
			case 5:
				if random.IntN(10) > 0 {
					break
				}
				s.Empty((*Get).Refuse)
				if waiting != nil && !waiting.Refused {
					t.Fatalf("seed %d, step %d: not refused", seed, step)
				}
				waiting = nil
			}
			if s.Waits() != (waiting != nil) || s.Seated() != (waiting != nil && writing == nil) {
				t.Fatalf("seed %d, step %d: waits %v, seated %v; a GET waits %v, one is writing %v",
					seed, step, s.Waits(), s.Seated(), waiting != nil, writing != nil)
			}
		}
	}
}

func TestSeats_TheFinalAnswerIsNotLeased(t *testing.T) {
	var s Seats
	g := NewGet(httptest.NewRecorder())
	s.Sit(g)
	s.AnswerFinal([]*frame.Frame{frame.Noop, frame.Close})
	<-g.Ready()
	if g.Leased || len(g.Batch) != 2 || s.Waits() {
		t.Errorf("leased %v, %d frames, a GET waits: %v", g.Leased, len(g.Batch), s.Waits())
	}
}
