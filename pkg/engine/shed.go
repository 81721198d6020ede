package engine

import (
	"context"
	"math/rand/v2"
	"time"
)

// Shed closes the transports of n sessions, chosen at random, evenly over window, as Drain does and with its reason:
// their clients connect anew. It returns how many it has closed, when the last one was told or ctx ends. New sessions are let in meanwhile.
func (s *Server) Shed(ctx context.Context, n int, window time.Duration) int {
	sessions := s.table.all()
	n = min(n, len(sessions))
	rand.Shuffle(len(sessions), func(i, j int) { sessions[i], sessions[j] = sessions[j], sessions[i] })
	for i, session := range sessions[:n] {
		if i > 0 {
			select {
			case <-time.After(window / time.Duration(n)):
			case <-ctx.Done():
				return i
			}
		}
		session.SendAway(ShuttingDown)
	}
	return n
}

// SendAway sends the client of the session with this id away, if there is one: for a node that relayed the session's WebSocket
// and is about to leave.
func (s *Server) SendAway(sid string, reason CloseReason) {
	if session := s.table.get(sid); session != nil {
		session.SendAway(reason)
	}
}
