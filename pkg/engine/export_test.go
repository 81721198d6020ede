package engine

// What makes a connection busy.
const (
	Busy  = busy
	Quiet = quiet
)

// Polling reports whether a GET of the session waits.
func Polling(s *Session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.poll.seat != nil || s.poll.next != nil
}

// Posting reports whether a POST of the session is arriving or being delivered.
func Posting(s *Session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.poll.posting != nil
}

// Waiting returns the bytes in the outbox, those being written included.
func Waiting(s *Session) int { return s.waiting() }

// Parked reports whether the session's WebSocket waits for input without a reader.
func Parked(s *Session) bool {
	s.mu.Lock()
	conn := s.socket
	s.mu.Unlock()
	conn.ending.Lock()
	defer conn.ending.Unlock()
	return conn.parked
}
