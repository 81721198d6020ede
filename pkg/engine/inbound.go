package engine

// What clients have sent and this server holds counts towards Limits.Inbound: messages and POST bodies of which a part has
// arrived, the handshake that each session keeps, and what the application holds for it.

// Hold counts bytes of memory, or with a negative number less of them, that the application holds of what the client has
// sent, such as its credentials or a message that is not complete. It returns false, and counts nothing, where
// Limits.Inbound would be exceeded or the session has ended. What is still held when the session ends is counted out then.
func (s *Session) Hold(bytes int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateClosed || bytes > 0 && s.server.inbound.full(bytes) {
		return false
	}
	s.held += bytes
	s.server.inbound.add(bytes)
	return true
}

// arriving is how many bytes of memory hold what has arrived of a message that is not whole.
func (s *Session) arriving() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	if s.socket != nil {
		n += int(s.socket.held.Load())
	}
	if s.polling != nil && s.polling.posting != nil {
		n += int(s.polling.posting.held.Load())
	}
	return n
}

// endArriving ends a session that has sent part of a message.
func (s *Session) endArriving() bool {
	if s.arriving() == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateClosed {
		return false
	}
	s.cutLocked(Limit, cause("among the largest unfinished messages when all together were over their total"))
	// Its reader or handler lets go of the memory in a moment. Counted until then, it would be looked for once more, and
	// another session be ended in its place.
	if s.socket != nil {
		s.server.inbound.add(-int(s.socket.held.Swap(0)))
	}
	if s.polling != nil && s.polling.posting != nil {
		s.polling.posting.charge(0)
	}
	return true
}

// charge counts what the reader holds of messages that are not whole, instead of what it held before. The reader calls it
// whenever it is about to wait.
func (c *wsConn) charge() {
	if c.session == nil {
		return // a candidate's messages are tiny
	}
	if held := int64(c.in.Held()); held != c.held.Load() {
		c.session.server.inbound.add(int(held - c.held.Swap(held))) // endArriving may have counted it out meanwhile
	}
}

// charge counts the memory that holds the body.
func (p *post) charge(bytes int) {
	p.session.server.inbound.add(bytes - int(p.held.Swap(int64(bytes))))
}
