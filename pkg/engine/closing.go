package engine

import (
	"time"

	"github.com/carillon-io/carillon/internal/wsconn"
	"github.com/carillon-io/carillon/internal/wsframe"
)

// closePoll is how long a closing polling session waits for the GET that fetches its end.
const closePoll = 30 * time.Second

// closing is what is known of a WebSocket session that closes and has still to deliver its outbox.
type closing struct {
	wsconn.Patience
	farewell
}

// farewell is the last that a WebSocket's client receives.
type farewell struct {
	code    wsframe.CloseCode // 0: none
	text    string
	message *Frame // a message before the Close frame; nil: none
}

// A Farewell is a Receiver of a plain WebSocket session that chooses the last that its client receives.
type Farewell interface {
	// Farewell returns the code and the text of the Close frame, and a message that goes before it, from NewPlainFrame, or
	// nil. It is asked where neither Session.CloseWith has said so nor the client has sent a Close frame, with the code
	// that would be sent else: 0 for none, 1001 when the client is sent away, 1002, 1007, 1008 or 1009 for what it sent. It
	// must not block nor call the session.
	Farewell(code int) (int, string, *Frame)
}

// farewell returns the last that the client receives; code is the Close frame's where nothing else was chosen.
func (s *Session) farewell(code wsframe.CloseCode) farewell {
	s.mu.Lock()
	if s.closing != nil && s.closing.code != 0 {
		defer s.mu.Unlock()
		return s.closing.farewell
	}
	if code == 0 && s.toReturnLocked() {
		code = wsframe.GoingAway
	}
	s.mu.Unlock()
	if receiver, ok := s.receiver.(Farewell); ok && s.codec.Plain() {
		chosen, text, last := receiver.Farewell(int(code))
		return farewell{wsframe.CloseCode(chosen), text, last}
	}
	return farewell{code: code}
}

// silently reports whether the session ends without a Close frame. OkHttp reads nothing more after one and waits for its user to
// answer it, which the Java client of Socket.IO never does: sent away, it would notice that only when its heartbeat runs out.
func (s *Session) silently() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.toReturnLocked() && s.request.byOkHTTP() && !s.codec.Plain()
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

// CloseReason says why a session ended, in Node's words where Node has one.
type CloseReason string

// The reasons. They are metric labels: a closed set.
const (
	TransportError CloseReason = "transport error"
	TransportClose CloseReason = "transport close"
	ForcedClose    CloseReason = "forced close"
	PingTimeout    CloseReason = "ping timeout"
	ParseError     CloseReason = "parse error"
	SlowConsumer   CloseReason = "slow consumer"
	ShuttingDown   CloseReason = "server shutting down"
	Limit          CloseReason = "limit"
)

var closeReasons = []CloseReason{
	TransportError, TransportClose, ForcedClose, PingTimeout, ParseError, SlowConsumer, ShuttingDown, Limit,
}
