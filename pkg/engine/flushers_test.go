package engine_test

import (
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/carillon-io/carillon/pkg/engine"
)

// overEither runs a test without TLS and with it.
func overEither(t *testing.T, config engine.Config, test func(t *testing.T, s *server)) {
	t.Run("plain", func(t *testing.T) { test(t, start(t, config)) })
	if runtime.GOOS == "linux" { // elsewhere each write over TLS has a goroutine
		t.Run("TLS", func(t *testing.T) { test(t, startTLS(t, config, engine.Parkable)) })
	}
}

func TestFlushers_AreFewAndServeAllSessions(t *testing.T) {
	const (
		clients  = 200
		messages = 50
	)
	overEither(t, engine.Config{}, func(t *testing.T, s *server) {
		var arrived sync.WaitGroup
		var sessions []*engine.Session
		for range clients {
			ws, c := s.connect()
			sessions = append(sessions, c.session)
			go countFrames(ws.NetConn(), 2+1+100, &arrived)
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
		s.allFlushed()
	})
}

func (s *server) allFlushed() {
	s.t.Helper()
	s.eventually("the flushers have ended", func() bool {
		flushers, waiting := engine.Flushing(s.Server)
		return flushers == 0 && waiting == 0
	})
}

func TestFlushers_OneThatWaitsForAPeerIsReplaced(t *testing.T) {
	overEither(t, engine.Config{Outbox: 32 << 20}, func(t *testing.T, s *server) {
		healthy, c := s.connect()
		frame := text(strings.Repeat("x", 16<<20)) // more than any kernel buffer
		for range runtime.GOMAXPROCS(0) + 1 {
			s.stall().session.Send(false, frame)
		}
		c.session.Send(false, text("y"))
		healthy.want("4y")
		s.allFlushed()
	})
}
