package engine

import (
	"context"
	"math/rand/v2"
	"time"
)

// Refuse makes every further handshake be refused with 503; open sessions go on.
func (s *Server) Refuse() { s.refusing.Store(true) }

// cutWait is how long Drain waits, after its context has ended, for the sessions that it has cut.
const cutWait = time.Second

// Drain refuses handshakes and closes the open sessions' transports evenly over window in random order, with
// ShuttingDown, each after its outbox was flushed. It returns when all have ended. When ctx ends before, the sessions left
// are cut, and Drain returns ctx's error within a second: a Receiver that still blocks in Message is left behind, and so is
// the goroutine that waits for it.
//
// A drained client is to come back, to another server or the next process. Some take a close packet, or a Close frame
// without a code, for a disconnect that is meant, and stay away. So a waiting GET gets what is queued, else a noop, and
// the client's next request is answered as any with an unknown session; a Close frame says 1001.
func (s *Server) Drain(ctx context.Context, window time.Duration) error {
	s.draining.Store(true)
	s.Refuse()
	s.table.close()
	sessions := s.table.all()
	s.logDrain("draining", len(sessions))
	rand.Shuffle(len(sessions), func(i, j int) { sessions[i], sessions[j] = sessions[j], sessions[i] })
	start := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i, session := range sessions {
		due := start.Add(window * time.Duration(i) / time.Duration(len(sessions)))
		if wait := time.Until(due); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return s.cutAll(ctx, s.ended())
			}
		}
		session.SendAway(ShuttingDown)
	}
	ended := s.ended()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return s.cutAll(ctx, ended)
	}
}

// ended returns a channel that is closed when everything of the server has ended. No session may be opened any more.
func (s *Server) ended() <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		s.running.Wait()
		close(ended)
	}()
	return ended
}

// cutAll cuts what a drain has left.
func (s *Server) cutAll(ctx context.Context, ended <-chan struct{}) error {
	s.logDrain("drain ran out of time", s.Sessions())
	for _, session := range s.table.all() {
		session.cut(ShuttingDown, cause("the drain ran out of time"))
	}
	timer := time.NewTimer(cutWait)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
	}
	return ctx.Err()
}

// Close ends every session at once, with ShuttingDown, and waits until each Receiver has returned from Closed: also from a
// Message that blocks, which should return when Session.Done is closed. Where that may take too long, Drain is the one with
// a context. It must not be called by a Receiver.
func (s *Server) Close() {
	s.Refuse()
	s.table.close()
	for _, session := range s.table.all() {
		session.end(ShuttingDown, cause("the server was closed"))
	}
	s.running.Wait()
}

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
