package engine

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
func Waiting(s *Session) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queued + s.flying
}
