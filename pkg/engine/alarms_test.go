package engine

import (
	"math/rand/v2"
	"testing"
	"time"
)

// The heap against a list: random deadlines set, moved and cancelled.
func TestAlarms_KeepTheEarliestFirst(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	a := &alarms{server: &Server{epoch: time.Now()}}
	var sessions []*Session
	for range 200 {
		sessions = append(sessions, &Session{id: "abcdefghijklmnopqrsA"}) // in one heap
	}
	set := map[*Session]time.Duration{}
	h := a.of(sessions[0])
	for range 20_000 {
		s := sessions[random.IntN(len(sessions))]
		if random.IntN(3) > 0 {
			set[s] = time.Hour + time.Duration(random.IntN(1000))
			a.set(s, set[s])
		} else {
			delete(set, s)
			a.cancel(s)
		}
		if len(h.entries) != len(set) {
			t.Fatalf("%d entries, %d deadlines", len(h.entries), len(set))
		}
		for i, e := range h.entries {
			if e.at != set[e.session] || e.session.beat.place != i+1 || i > 0 && h.entries[(i-1)/2].at > e.at {
				t.Fatalf("entry %d: at %v, want %v, place %d", i, e.at, set[e.session], e.session.beat.place)
			}
		}
		if len(set) > 0 && (h.fires == 0 || h.fires > h.entries[0].at) || len(set) == 0 && h.fires != 0 {
			t.Fatalf("the timer fires at %v", h.fires)
		}
	}
	for _, s := range sessions {
		a.cancel(s)
		if s.beat.place != 0 {
			t.Errorf("place %d", s.beat.place)
		}
	}
}
