package redisserver

import (
	"errors"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/internal/redissub"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// still is a placement at a server without goroutines, on which one channel at a time is subscribed by hand.
type still struct {
	Single
	*Server

	t   *testing.T
	now *time.Time
}

func newStill(t *testing.T) still {
	t.Helper()
	p := NewSingle(nil, &Speech{Wanted: wantAll}, probe, testConfig())
	p.server.connected.Store(true)
	now := time.Now()
	return still{p, p.server, t, &now}
}

// connect makes a connection and subscribes to everything that is wanted.
func (s still) connect() {
	s.attach(new(redisconn.Conn))
	for c := s.sent(); c != nil; c = s.sent() {
		for _, name := range c[1:] {
			if err := s.confirmed(redisconn.Subscribed, name); err != nil {
				s.t.Fatal(err)
			}
		}
	}
}

// sent is the next command, in words.
func (s still) sent() (words []string) {
	_, c, ok := s.next()
	if !ok {
		return nil
	}
	return wordsOf(c)
}

// fence has a probe go out and come back.
func (s still) fence() {
	*s.now = s.now.Add(time.Hour)
	s.check(*s.now) // one is due
	probes := s.queue.Take(nil, 0, 0)
	if len(probes) != 1 {
		s.t.Fatalf("%d probes", len(probes))
	}
	probes[0].Finish(1, nil)
	s.returned(probes[0].Payload)
}

// TestConfirm_OutcomesOfTwoServersHoldTogether: what one of them said is worth nothing once its connection is gone.
func TestConfirm_OutcomesOfTwoServersHoldTogether(t *testing.T) {
	first, second := newStill(t), newStill(t)
	room := []redissub.Interest{roomOf("red", 0)}
	outcome := make(chan error, 1)
	Confirm([]Wish{{Placement: first.Single, Interests: room}, {Placement: second.Single, Interests: room}}, time.Hour, func(err error) { outcome <- err })
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
	room := []redissub.Interest{roomOf("red", 0)}
	for name, end := range map[string]func(still){
		"not wanted any more": func(s still) {
			s.connect()
			s.speech.Wanted = func(redissub.Interest) bool { return false }
			s.touch(room)
			s.fence()
		},
		"not allowed": func(s still) {
			s.attach(new(redisconn.Conn))
			s.next()
			for range 3 { // both channels, then each alone
				_ = s.refused(redisconn.Error("NOPERM User u has no permissions to access the 'red' channel"))
				s.next()
				s.next()
			}
		},
		"closed": func(s still) { s.update(s.table.Close) },
	} {
		s := newStill(t)
		outcome := make(chan error, 1)
		Confirm([]Wish{{Placement: s.Single, Interests: room}}, time.Hour, func(err error) { outcome <- err })
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
	Confirm([]Wish{{Placement: newStill(t).Single, Interests: room}}, time.Millisecond, func(err error) { late <- err })
	if err := <-late; !errors.Is(err, adapter.ErrAway) {
		t.Errorf("too late: %v", err)
	}
}
