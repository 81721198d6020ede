package engine_test

import (
	"testing"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestPanic_OfTheApplicationEndsItsSessionOnly(t *testing.T) {
	registry := prometheus.NewRegistry()
	log, entries := observer.New(zap.ErrorLevel)
	s := start(t, engine.Config{Registry: registry, Logger: zap.New(log)}, func(c *client) {
		c.fragile = c.session.Handshake().Query.Has("fragile")
		if c.session.Handshake().Query.Has("open") {
			panic("in Open")
		}
	})
	bystander, healthy := s.connect()

	ws, c := s.connect("EIO=4&transport=websocket&fragile")
	ws.text("4panic")
	ws.wantClose(1005)
	s.wantClosed(c, engine.ForcedClose)

	p := s.poll("EIO=4&transport=polling&fragile")
	waiting := p.getWaiting()
	p.wantPosted("4panic\x1e4never")
	s.wantAnswer("poll", <-waiting, 200, "1")
	s.wantClosed(p.client, engine.ForcedClose)
	if len(p.messages) > 0 {
		t.Error("the rest of the body was handed on")
	}

	s.ws("EIO=4&transport=websocket&open").wantClose(1005)
	if a := s.do("GET", "EIO=4&transport=polling&open", ""); a.status != 200 {
		t.Errorf("handshake %d", a.status)
	}

	s.eventually("one session is left", func() bool { return s.Sessions() == 1 })
	bystander.text("4panic")
	s.wantMessage(healthy, "panic", false)
	const each = 2 // Open, Message and Closed
	s.eventually("all are counted", func() bool {
		return metric(t, registry, "carillon_receiver_panics_total") == 3*each && entries.Len() == 3*each
	})
}

// A test that is failed by its handler must not wait for its server for ever.
func TestGoexit_OfTheApplicationEndsItsSessionOnly(t *testing.T) {
	for _, busy := range []bool{false, true} {
		s := start(t, engine.Config{}, func(c *client) { c.fragile = true })
		ws, c := s.connect()
		bystander, healthy := s.connect()
		for range 2 * engine.Busy {
			if busy {
				ws.text("4x")
				s.wantMessage(c, "x", false)
			}
		}
		ws.text("4exit")
		ws.wantClose(1005)
		s.wantClosed(c, engine.ForcedClose)
		bystander.text("4x")
		s.wantMessage(healthy, "x", false)
	}
}
