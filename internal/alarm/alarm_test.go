package alarm

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type thing struct {
	place Place
	rung  []time.Duration
}

func (t *thing) at() *Place { return &t.place }

// The heap against a list: random deadlines set, moved and cancelled.
func TestAlarms_KeepTheEarliestFirst(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	start := time.Now()
	a := New(func() time.Duration { return time.Since(start) }, (*thing).at, func(*thing) {})
	var things []*thing
	for range 200 {
		things = append(things, &thing{place: Place{heap: 1}})
	}
	set := map[*thing]time.Duration{}
	h := &a.heaps[0]
	for range 20_000 {
		s := things[random.IntN(len(things))]
		if random.IntN(3) > 0 {
			set[s] = time.Hour + time.Duration(random.IntN(1000))
			a.Set(s, set[s])
		} else {
			delete(set, s)
			a.Cancel(s)
		}
		if len(h.entries) != len(set) {
			t.Fatalf("%d entries, %d deadlines", len(h.entries), len(set))
		}
		for i, e := range h.entries {
			if e.at != set[e.thing] || e.thing.place.index != int32(i+1) || i > 0 && h.entries[(i-1)/2].at > e.at {
				t.Fatalf("entry %d: at %v, want %v, place %d", i, e.at, set[e.thing], e.thing.place.index)
			}
		}
		if len(set) > 0 && (h.fires == 0 || h.fires > h.entries[0].at) || len(set) == 0 && h.fires != 0 {
			t.Fatalf("the timer fires at %v", h.fires)
		}
	}
	for _, s := range things {
		a.Cancel(s)
		if s.place.index != 0 {
			t.Errorf("place %d", s.place.index)
		}
	}
}

func TestAlarms_RingAtTheDeadlineThatStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		now := func() time.Duration { return time.Since(start) }
		a := New(now, (*thing).at, func(s *thing) { s.rung = append(s.rung, now()) })
		var things [100]*thing
		for i := range things {
			things[i] = &thing{}
			a.Set(things[i], time.Hour)
			a.Set(things[i], time.Duration(1+i%10)*time.Second) // earlier
			switch i % 3 {
			case 1:
				a.Set(things[i], time.Minute) // later
			case 2:
				a.Cancel(things[i])
			}
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		for i, s := range things {
			want := []time.Duration{time.Duration(1+i%10) * time.Second}
			switch i % 3 {
			case 1:
				want[0] = time.Minute
			case 2:
				want = nil
			}
			if !slices.Equal(s.rung, want) {
				t.Errorf("thing %d was called at %v, want %v", i, s.rung, want)
			}
		}
	})
}
