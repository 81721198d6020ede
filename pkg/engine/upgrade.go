package engine

import (
	"time"

	"github.com/carillon-io/carillon/internal/eioproto"
	"github.com/carillon-io/carillon/internal/frame"
	"github.com/carillon-io/carillon/internal/polling"
	"github.com/carillon-io/carillon/internal/wsconn"
	"github.com/carillon-io/carillon/internal/wsframe"
)

// An upgrade makes a WebSocket the transport of a polling session:
//
//	client                    server
//	  | WebSocket with sid →    |
//	  | 2probe →                |   from here on a waiting GET is ended with 6 on each tick
//	  |                ← 3probe |
//	  | 5 →                     |   the session's transport from here on
//
// Its WebSocket may write control frames, but takes nothing from the outbox before `5`.
//
// On 3probe a client stops polling and, when the GET that waits is answered, sends `5`. If its WebSocket breaks in between, and
// the GET is answered all the same, official clients neither poll nor use the WebSocket again until their heartbeat runs out.
// So a session whose probe has been answered is sent away after `5`; when that does not come, its GET is refused.

const (
	// noopTick is how often an upgrade in progress ends a waiting GET.
	noopTick = 100 * time.Millisecond
	// justSat is the age up to which a GET that waits when `5` arrives counts as sent after it, on its own
	// connection: a client that has sent `5` must find its polls refused.
	justSat = 10 * time.Millisecond
)

// attach makes conn the candidate; nil when there is one already or the session does not poll.
func (s *Session) attach(conn *wsconn.Conn) *upgrade {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateClosed || s.socket != nil || s.polling.upgrade != nil {
		return nil
	}
	timeout := s.server.config.UpgradeTimeout
	conn.SetWriteDeadline(time.Now().Add(timeout))
	u := &upgrade{conn: conn}
	u.timeout = time.AfterFunc(timeout, func() {
		switch {
		case !s.detach(u):
		case u.away != "":
			conn.Cut() // a drain does not wait for what a silent client may answer
		default:
			conn.End()
		}
	})
	s.polling.upgrade = u
	s.server.running.Add(1)
	return u
}

// detach gives an upgrade up, and the session goes on polling unless it was sent away; false when the upgrade was over already,
// perhaps with success.
func (s *Session) detach(u *upgrade) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	u.stopTimers()
	if s.polling.upgrade != u {
		return false
	}
	if u.away != "" && s.state == stateOpen {
		s.state, s.reason, s.returns = stateClosing, u.away, true
		// An answer that is being written is cut: the client must not take it for the one that lets it go on.
		s.endOrCutLocked(u.away, cause("sent away during an upgrade that did not succeed"), s.lease == leasePoll)
	}
	s.polling.upgrade = nil
	return true
}

// probeLimit is the longest message that a candidate may send before `5`.
const probeLimit = 64

// probe reads the candidate until it becomes the transport, or is given up and closed.
func (s *Session) probe(u *upgrade) (switched bool) {
	for {
		m, err := u.conn.Next(probeLimit)
		if err != nil {
			s.detach(u)
			u.conn.Linger(err)
			return false
		}
		text := ""
		if m.Opcode == wsframe.Text {
			text = string(m.Data)
		}
		switch {
		case text == "2probe" && s.answerProbe(u):
			continue
		case text == "5" && s.switchTo(u):
			return true
		}
		s.detach(u)
		u.conn.Linger(nil)
		return false
	}
}

// answerProbe answers 2probe; false when the upgrade has failed, or must: a session that is closing is polled to its end.
func (s *Session) answerProbe(u *upgrade) bool {
	s.server.metrics.received(eioproto.Ping)
	s.mu.Lock()
	u.probed = s.state == stateOpen
	s.mu.Unlock()
	if !u.probed {
		return false
	}
	answer := frame.New(eioproto.Pong, []byte("probe"))
	if u.conn.Send(answer) != nil {
		return false
	}
	s.server.metrics.written(transportWebSocket, []*frame.Frame{answer}, len(u.conn.Codec().Wire(answer)))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.polling.upgrade == u && u.tick == nil {
		u.tick = time.AfterFunc(noopTick, func() { s.noop(u) })
	}
	return true
}

// noop ends a waiting GET, so that the client can stop polling. It waits for the tick even when a GET is there: the
// client's `5` may be on its way, and a GET sent after it must be refused.
func (s *Session) noop(u *upgrade) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.polling.upgrade != u || s.state != stateOpen {
		return
	}
	s.releaseLocked()
	u.tick.Reset(noopTick)
}

// switchTo makes the candidate the transport; false when it was given up meanwhile.
func (s *Session) switchTo(u *upgrade) bool {
	s.server.metrics.received(eioproto.Upgrade)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.polling.upgrade != u || s.state == stateClosed {
		return false
	}
	u.stopTimers()
	u.conn.SetWriteDeadline(time.Time{})
	u.conn.Carry((*owner)(s))
	s.polling.upgrade, s.socket = nil, u.conn
	s.server.upgraded()
	now := s.server.now()
	s.polling.seats.Empty(func(g *polling.Get) {
		if now-g.Since < justSat {
			g.Refuse()
		} else {
			g.Answer(frame.Close)
		}
	})
	switch {
	case s.state == stateClosing:
		s.closeSocketLocked(farewell{})
	case u.away != "":
		s.closeLocked(u.away, true, farewell{})
	case s.codec.Revision == 4:
		// A ping that left by polling may have been lost with it.
		if s.beat.unanswered > 0 {
			s.beat.unanswered = unknownPings
		}
		s.pongLocked()
	}
	s.kickLocked() // or, when a poll is being written, pollDone does
	return true
}
