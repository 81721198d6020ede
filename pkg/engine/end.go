package engine

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/carillon-io/carillon/internal/frame"
	"github.com/carillon-io/carillon/internal/polling"
	"go.uber.org/zap"
)

// tombstone is how long a client that closed by POST may still fetch a noop with a GET that was on its way.
const tombstone = time.Second

// end ends the session gently: see the table in doc.go.
func (s *Session) end(why CloseReason, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(why, cause)
}

// cut ends the session and cuts its transport.
func (s *Session) cut(why CloseReason, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cutLocked(why, cause)
}

func (s *Session) endLocked(why CloseReason, cause error) { s.endOrCutLocked(why, cause, false) }
func (s *Session) cutLocked(why CloseReason, cause error) { s.endOrCutLocked(why, cause, true) }

// endOrCutLocked ends the session at once: what is queued is dropped, waiting GETs are answered, and Receiver.Closed will be
// called. A reason given to Close before stands. cause is what happened, for the log.
func (s *Session) endOrCutLocked(why CloseReason, cause error, cut bool) {
	if s.state == stateClosed {
		return
	}
	if s.state == stateOpen {
		s.reason = why
	}
	s.state = stateClosed
	if s.done != nil {
		close(s.done)
	}
	s.dropOutboxLocked()
	s.unansweredLocked()
	answer := func(g *polling.Get) { g.Answer(frame.Close) }
	switch {
	case why == TransportClose:
		answer = func(g *polling.Get) { g.Answer(frame.Noop) }
		s.tombstone = s.socket == nil && !s.polling.stream && !s.polling.seats.Waits()
	case s.toReturnLocked() && s.pausedLocked():
		answer = (*polling.Get).Refuse
	case s.toReturnLocked():
		answer = func(g *polling.Get) { g.Answer(frame.Noop) }
	}
	if s.polling != nil {
		s.polling.seats.Empty(answer)
	}
	if s.tombstone {
		s.setDueLocked(s.server.now() + tombstone)
	} else {
		s.disarmLocked()
		s.server.table.remove(s.id)
	}
	s.discharge()
	s.server.closed(s.reason, s.transportLocked())
	go s.endTransport(cause, cut)
}

// dropOutboxLocked empties the outbox and counts its messages as dropped. Their bytes are counted out, and so are those of a batch that
// is still being written: when it has been, there is nothing left to count out.
func (s *Session) dropOutboxLocked() {
	waiting, bytes := s.outbox.Drop()
	s.server.dropped(dropEnded, frame.Messages(waiting))
	s.server.outboxes.Add(-bytes)
	s.slow = nil
}

// toReturnLocked reports whether the session ends, or has ended, in a way that makes its client come back: it was sent
// away, or cut by a drain before its turn.
func (s *Session) toReturnLocked() bool {
	return s.state != stateOpen && (s.returns || s.reason == ShuttingDown && s.server.draining.Load())
}

// endTransport ends the transport and calls Receiver.Closed. It runs on its own goroutine: a broadcast that finds a slow
// consumer must not pay for the disconnect, and Closed waits for a Message that is still running.
func (s *Session) endTransport(cause error, cut bool) {
	defer s.server.running.Done()
	s.logEnd(cause)
	s.mu.Lock()
	socket, candidate := s.socket, (*upgrade)(nil)
	if p := s.polling; p != nil {
		p.cutPost()
		p.seats.Hurry(cut)
		if candidate = p.upgrade; candidate != nil {
			candidate.stopTimers()
			p.upgrade = nil
		}
	}
	s.mu.Unlock()
	switch {
	case candidate == nil:
	case cut || s.server.draining.Load():
		candidate.conn.Cut() // it holds nothing that its client waits for, and may never answer a Close frame
	default:
		candidate.conn.End()
	}
	switch {
	case socket == nil:
	case cut:
		socket.Cut()
	default:
		socket.End()
	}
	s.inbound.Lock()
	defer s.inbound.Unlock()
	s.callClosed()
}

// callClosed calls Closed; the caller holds inbound.
func (s *Session) callClosed() {
	defer s.recovered()
	s.receiver.Closed(s.reason)
}

// recovered turns a panic into the end of the session.
func (s *Session) recovered() {
	v := recover()
	if v == nil {
		return
	}
	s.server.metrics.panics.Inc()
	s.server.config.Logger.Error("panic in a receiver",
		zap.String("panic", fmt.Sprint(v)), zap.ByteString("stack", debug.Stack()))
	s.end(ForcedClose, cause("the receiver panicked"))
}

// logEnd writes the line of a session that has ended. The first in a minute that ended for a limit of this server is a
// warning, which says where to look.
func (s *Session) logEnd(cause error) {
	s.mu.Lock()
	reason, transport := s.reason, s.transportLocked()
	s.mu.Unlock()
	level := zap.DebugLevel
	if seldom := s.server.seldom[reason]; seldom != nil {
		seldom.Do(func() { level = zap.WarnLevel })
	}
	entry := s.server.config.Logger.Check(level, "session ended")
	if entry == nil {
		return
	}
	entry.Write(zap.String("sid", s.id), zap.String("address", s.request.address()), zap.String("transport", transport),
		zap.String("reason", string(reason)), zap.NamedError("cause", cause), zap.Duration("after", s.server.now()-s.opened))
}

// pausedLocked reports whether the client may have stopped polling for an upgrade that is in progress.
func (s *Session) pausedLocked() bool {
	return s.polling != nil && s.polling.upgrade != nil && s.polling.upgrade.probed
}

// notifyLocked answers the callers of Ping.
func (s *Session) notifyLocked(alive bool) {
	if s.asked == nil {
		return
	}
	s.asked.late.Stop()
	for _, answer := range s.asked.pongs {
		go answer(alive)
	}
	s.asked = nil
}

// unansweredLocked notifies the callers of Ping and AwaitRoom that the session has ended.
func (s *Session) unansweredLocked() {
	s.notifyLocked(false)
	if s.room != nil {
		go s.room()
		s.room = nil
	}
}

// cutFullOutbox cuts a session as a slow consumer.
func (s *Session) cutFullOutbox() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateClosed || s.outbox.Bytes() == 0 {
		return false
	}
	s.server.metrics.slowConsumers.Inc()
	s.cutLocked(SlowConsumer, cause("among the fullest outboxes when all together were over their total"))
	return true
}

// cutArriving cuts a session for the memory that arriving counts.
func (s *Session) cutArriving() bool {
	if s.arriving() == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateClosed {
		return false
	}
	s.cutLocked(Limit, cause("among those with most memory in unfinished messages and buffers of TLS when all together were over their total"))
	// Its reader or handler lets go of the memory in a moment. Counted until then, it would be looked for once more, and
	// another session be ended in its place.
	if s.socket != nil {
		s.socket.Discount()
	}
	if s.polling != nil {
		s.polling.posting.Discount()
	}
	return true
}
