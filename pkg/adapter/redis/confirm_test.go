package redis

import (
	"errors"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// still is a server without goroutines, on which one channel at a time is subscribed by hand.
type still struct {
	single

	t *testing.T
}

func newStill(t *testing.T) still {
	t.Helper()
	metrics, err := newMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	e := &env{
		config:   Config{Linger: time.Second, Logger: zap.NewNop()},
		metrics:  metrics,
		refusals: redisconn.NewRefusals(zap.NewNop(), func(string) {}),
	}
	sp := &speech{wanted: func(interest) bool { return true }}
	s := still{newSingle(nil, sp, interest{channel: "probe", kind: kindProbe}, e, func() {}), t}
	s.connected.Store(true)
	return s
}

// connect makes a connection and subscribes to everything that is wanted.
func (s still) connect() {
	s.update(func(t *table) {
		s.in = new(redisconn.Conn)
		t.attach()
	})
	s.subscribe()
}

func (s still) subscribe() {
	for {
		_, c, ok := s.next()
		if !ok {
			return
		}
		for _, r := range append([]*row(nil), c.rows...) {
			if err := s.confirmed(redisconn.Subscribed, r.name); err != nil {
				s.t.Fatal(err)
			}
		}
	}
}

// fence has a probe go out and come back.
func (s still) fence() {
	number := s.prober.number + 1
	s.prober.sentAt = time.Time{} // one is due
	s.check(time.Now())
	s.answered(number, 1, nil)
	s.returned(text(number))
}

// TestConfirm_OutcomesOfTwoServersHoldTogether: what one of them said is worth nothing once its connection is gone.
func TestConfirm_OutcomesOfTwoServersHoldTogether(t *testing.T) {
	first, second := newStill(t), newStill(t)
	room := []interest{{channel: "red", kind: kindRoom}}
	outcome := make(chan error, 1)
	confirm([]wish{{first.single, room}, {second.single, room}}, time.Hour, func(err error) { outcome <- err })
	expect := func(what string, ended bool) {
		t.Helper()
		select {
		case err := <-outcome:
			if !ended || err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		default:
			if ended {
				t.Fatalf("%s: no outcome", what)
			}
		}
	}
	first.connect()
	expect("subscribed, without a fence", false)
	first.fence()
	expect("one of two", false)
	first.disconnected()
	second.connect()
	second.fence()
	expect("the other one, after the first has been lost", false)
	first.connect()
	expect("subscribed again", false)
	first.fence()
	second.fence()
	expect("both", true)
}

func TestConfirm_EndsInErrAway(t *testing.T) {
	room := []interest{{channel: "red", kind: kindRoom}}
	for name, end := range map[string]func(still){
		"not wanted any more": func(s still) {
			s.connect()
			s.speech.wanted = func(interest) bool { return false }
			s.touch(room)
			s.fence()
		},
		"not allowed": func(s still) {
			s.update(func(t *table) {
				s.in = new(redisconn.Conn)
				t.attach()
			})
			s.next()
			for range 3 { // both channels, then each alone
				_ = s.refused(redisconn.Error("NOPERM User u has no permissions to access the 'red' channel"))
				s.next()
				s.next()
			}
		},
		"closed": func(s still) { s.update((*table).close) },
	} {
		s := newStill(t)
		outcome := make(chan error, 1)
		confirm([]wish{{s.single, room}}, time.Hour, func(err error) { outcome <- err })
		end(s)
		select {
		case err := <-outcome:
			if !errors.Is(err, adapter.ErrAway) {
				t.Errorf("%s: %v", name, err)
			}
		default:
			t.Errorf("%s: no outcome", name)
		}
	}
	late := make(chan error, 1)
	confirm([]wish{{newStill(t).single, room}}, time.Millisecond, func(err error) { late <- err })
	if err := <-late; !errors.Is(err, adapter.ErrAway) {
		t.Errorf("too late: %v", err)
	}
}
