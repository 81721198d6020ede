package engine

import (
	"context"
	"math/rand/v2"
	"time"
)

// Refuse makes every further handshake be refused with 503; open sessions go on.
func (s *Server) Refuse() { s.refusing.Store(true) }

// Drain refuses handshakes and closes the open sessions' transports evenly over window in random order, with
// ShuttingDown, each after its outbox was flushed. It returns when all have ended or ctx has; what is left then is cut.
func (s *Server) Drain(ctx context.Context, window time.Duration) error {
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
				return s.cut(ctx)
			}
		}
		session.Close(ShuttingDown)
	}
	ended := make(chan struct{})
	go func() {
		s.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		err := s.cut(ctx)
		<-ended
		return err
	}
}

// cut ends what a drain has left.
func (s *Server) cut(ctx context.Context) error {
	s.logDrain("drain ran out of time", s.Sessions())
	for _, session := range s.table.all() {
		session.cut(ShuttingDown, cause("the drain ran out of time"))
	}
	s.running.Wait()
	return ctx.Err()
}

// Close ends every session at once, with ShuttingDown, and waits until each Receiver has been told. It must not be
// called by a Receiver.
func (s *Server) Close() {
	s.Refuse()
	s.table.close()
	for _, session := range s.table.all() {
		session.end(ShuttingDown, cause("the server was closed"))
	}
	s.running.Wait()
}
