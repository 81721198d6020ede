package engine

import (
	"time"

	"github.com/carillon-io/carillon/internal/frame"
	"github.com/carillon-io/carillon/internal/polling"
	"github.com/carillon-io/carillon/internal/wsframe"
	"go.uber.org/zap"
)

const (
	// tombstone is how long a client that closed by POST may still fetch a noop with a GET that was on its way.
	tombstone = time.Second
	// closePoll is how long a closing polling session waits for the GET that fetches its end.
	closePoll = 30 * time.Second
)

// Close flushes what is queued, then closes the transport. Only the first reason counts. A SlowConsumer is cut off at
// once: it would not receive what is queued.
func (s *Session) Close(reason CloseReason) { s.close(reason, false, farewell{}) }

// CloseWith is Close where a WebSocket's Close frame has a code, of 1000, 1001, 1008, 1011 to 1013, or 4000 to 4999, and a
// text of up to 123 bytes.
func (s *Session) CloseWith(reason CloseReason, code int, text string) {
	s.close(reason, false, farewell{code: wsframe.CloseCode(code), text: text})
}

// SendAway is Close for a client that is to connect anew, elsewhere or later. Some clients take a close packet in a waiting
// GET, or a Close frame without a code, for a disconnect that is meant, and stay away, and one does not notice a Close frame: there
// is neither, and for that one no Close frame. A client in the middle of an upgrade finishes that first.
func (s *Session) SendAway(reason CloseReason) { s.close(reason, true, farewell{}) }

func (s *Session) close(reason CloseReason, returns bool, f farewell) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closeLocked(reason, returns, f)
}

func (s *Session) closeLocked(reason CloseReason, returns bool, f farewell) {
	if s.state != stateOpen {
		return
	}
	if reason == SlowConsumer {
		s.cutLocked(SlowConsumer, errClosed)
		return
	}
	if returns && s.pausedLocked() {
		if u := s.polling.upgrade; u.away == "" {
			u.away = reason
			u.timeout.Reset(min(upgradeGrace, s.server.config.UpgradeTimeout))
		}
		return
	}
	s.state, s.reason, s.slow, s.returns = stateClosing, reason, nil, returns
	s.polling.cutPost()
	if s.socket != nil {
		s.closeSocketLocked(f)
		s.kickLocked()
		return
	}
	if s.polling.seats.Seated() && s.lease == leaseNone {
		s.endLocked(reason, errClosed) // nothing is queued: it would have been sent
		return
	}
	s.setDueLocked(s.server.now() + closePoll)
}

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
