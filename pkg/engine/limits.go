package engine

import "net/http"

// admit counts a session in that r asks for, or says why there is no room for it.
func (s *Session) admit(r *http.Request) (refusal *Refusal, result string) {
	if s.request.size() > maxHandshake {
		return faultTooLarge, resultBadRequest
	}
	if full := s.server.config.Full; full != nil && full(r) || s.server.inbound.Full(s.held) {
		return faultTooMany, resultTooMany
	}
	if s.byAddress, refusal, result = s.server.admission.admit(s.request.address()); refusal == nil {
		s.server.inbound.Add(s.held)
	}
	return refusal, result
}

// discharge counts an admitted session out.
func (s *Session) discharge() {
	s.server.admission.discharge(s.request.address(), s.byAddress)
	s.server.inbound.Add(-s.held)
}

// outboxBytes is how many bytes wait for the client, those being written included.
func (s *Session) outboxBytes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outbox.Bytes()
}

// Hold counts bytes of memory, or with a negative number less of them, that the application holds of what the client has
// sent, such as its credentials or a message that is not complete. It returns false, and counts nothing, where
// Limits.Inbound would be exceeded or the session has ended. What is still held when the session ends is counted out then.
func (s *Session) Hold(bytes int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateClosed || bytes > 0 && s.server.inbound.Full(bytes) {
		return false
	}
	s.held += bytes
	s.server.inbound.Add(bytes)
	return true
}

// arriving is how many bytes of memory unfinished messages of the client take, and the buffers of TLS that large ones have left.
func (s *Session) arriving() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	if s.socket != nil {
		n += s.socket.Held()
	}
	if s.polling != nil {
		n += s.polling.posting.Held()
	}
	return n
}
