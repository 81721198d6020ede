package engine_test

import (
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/carillon-io/carillon/pkg/engine"
)

func TestFlushers_AreFewAndLeaveNobodyOut(t *testing.T) {
	const (
		clients  = 300
		messages = 50
	)
	s := start(t, engine.Config{})
	var arrived sync.WaitGroup
	var sessions []*engine.Session
	for range clients {
		conn, session := s.quietly()
		sessions = append(sessions, session)
		go countFrames(conn, 2+1+100, &arrived)
	}
	most := 0
	arrived.Add(clients * messages)
	for range messages {
		frame := text(strings.Repeat("x", 100))
		for _, session := range sessions {
			session.Send(false, frame)
		}
		flushers, _ := engine.Flushing(s.Server)
		most = max(most, flushers)
	}
	arrived.Wait()
	if most == 0 || most > runtime.GOMAXPROCS(0) {
		t.Errorf("up to %d flushers for %d sessions", most, clients)
	}
	s.eventually("all are done", func() bool {
		flushers, waiting := engine.Flushing(s.Server)
		return flushers == 0 && waiting == 0
	})
}

func TestFlushers_WhoWaitsForAPeerIsReplaced(t *testing.T) {
	s := start(t, engine.Config{Outbox: 32 << 20})
	healthy, c := s.connect()
	frame := text(strings.Repeat("x", 16<<20)) // more than any kernel buffer
	for range runtime.GOMAXPROCS(0) + 1 {
		s.stall().session.Send(false, frame)
	}
	c.session.Send(false, text("y"))
	healthy.want("4y")
	s.eventually("nobody goes on", func() bool {
		flushers, waiting := engine.Flushing(s.Server)
		return flushers == 0 && waiting == 0
	})
}
