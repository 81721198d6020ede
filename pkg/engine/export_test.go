package engine

import (
	"net"
	"time"

	"github.com/carillon-io/carillon/internal/wsconn"
)

// What makes a connection busy.
const (
	Busy  = wsconn.Busy
	Quiet = wsconn.Quiet
)

// Polling reports whether a GET of the session waits.
func Polling(s *Session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.polling != nil && s.polling.seats.Waits()
}

// Posting reports whether a POST of the session is arriving or being delivered.
func Posting(s *Session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.polling != nil && s.polling.posting != nil
}

// Waiting returns the bytes in the outbox, those being written included.
func Waiting(s *Session) int { return s.outboxBytes() }

// Flushing returns how many flushers go from session to session, and how many sessions wait for them.
func Flushing(s *Server) (flushers, sessions int) {
	return s.flushers.Count()
}

// Parked reports whether the session's WebSocket waits for input without a reader.
func Parked(s *Session) bool { return socket(s).Parked() }

// Asleep reports whether nothing but the descriptor is left of the session's connection.
func Asleep(s *Session) bool { return socket(s).Asleep() }

// CloseFrameSent reports whether the session's WebSocket has written its Close frame.
func CloseFrameSent(s *Session) bool { return socket(s).CloseFrameWritten() }

func socket(s *Session) *wsconn.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.socket
}

// Congest writes to the session's connection below TLS, one that Parkable has made, until the kernel takes no more, and then asks for
// the rest to be written, as the reader does for an answer of TLS. It returns false, and does nothing, while the session is being
// written to.
func Congest(s *Session, below net.Conn) bool {
	s.mu.Lock()
	busy := s.lease != leaseNone
	s.mu.Unlock()
	if busy {
		return false
	}
	resting := below.(interface{ Rest() int })
	for piece := make([]byte, 10_000); resting.Rest() == 0; {
		if _, err := below.Write(piece); err != nil {
			return false
		}
	}
	s.kick()
	return true
}

// PingTimer returns what runs when the calls of Ping that wait now are not answered in time.
func PingTimer(s *Session) func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.asked
	return func() { s.silent(a) }
}

// Blocked reports whether the session's Receiver is in Message.
func Blocked(s *Session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.beat.blocked
}

// SetPatience sets how long a closing client may take nothing. It is called before the first session.
func SetPatience(s *Server, d time.Duration) { s.patience = d }

// Parkable makes of a connection what a Listener does.
func Parkable(conn net.Conn) net.Conn {
	l := Listener(once{conn: conn})
	wrapped, _ := l.Accept() // cannot fail
	return wrapped
}

type once struct {
	net.Listener
	conn net.Conn
}

func (o once) Accept() (net.Conn, error) { return o.conn, nil }
