package engine

import (
	"time"

	"github.com/carillon-io/carillon/internal/wsconn"
	"github.com/carillon-io/carillon/internal/wsframe"
)

const (
	// closePoll is how long a closing polling session waits for the GET that fetches its end.
	closePoll = 30 * time.Second
	// upgradeGrace is how long a client that is sent away in the middle of its upgrade may take to finish it.
	upgradeGrace = 1500 * time.Millisecond
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

// closeSocketLocked begins to close a WebSocket session: what is queued and a Close frame have still to be written.
func (s *Session) closeSocketLocked(f farewell) {
	s.closing = &closing{wsconn.NewPatience(s.server.patience), f}
	s.setDueLocked(s.server.now() + s.closing.Stall)
}

// extendClosingLocked gives a closing session more time if its client has made progress.
func (s *Session) extendClosingLocked() bool {
	left := s.closing.Left(s.socket)
	if left > 0 {
		s.setDueLocked(s.server.now() + left)
	}
	return left > 0
}
