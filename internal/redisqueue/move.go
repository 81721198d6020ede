package redisqueue

// Extract removes and returns the messages of slots that another server is to serve, in their order. out are those of the
// slots of which a message is on its way at this server.
func (q *Queue) Extract(moved func(slot uint16) bool) (waiting []Message, out map[uint16]bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	waiting = q.extractLocked(moved)
	out = make(map[uint16]bool)
	for i := range q.out {
		if m := &q.out[i]; m.Answered == nil && moved(m.Slot) {
			out[m.Slot] = true
		}
	}
	q.changedLocked(nil)
	return waiting, out
}

func (q *Queue) extractLocked(moved func(slot uint16) bool) []Message {
	waiting := q.messages.extract(func(m *Message) bool { return moved(m.Slot) })
	for slot, held := range q.held {
		if moved(slot) {
			waiting = append(waiting, held...)
			delete(q.held, slot)
		}
	}
	for i := range waiting {
		q.addLocked(-1, -len(waiting[i].Payload))
	}
	return waiting
}

// Hold holds the messages of a slot back until Release.
func (q *Queue) Hold(slot uint16) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, barred := q.held[slot]; !barred {
		q.held[slot] = nil
	}
}

// Release lets the messages of a slot go: first back, which another server did not carry out, then what was held.
func (q *Queue) Release(slot uint16, back []Message) (lost Losses) {
	q.mu.Lock()
	defer q.mu.Unlock()
	held := q.held[slot]
	delete(q.held, slot)
	if q.closed {
		return q.loseAllLocked(back, Shutdown)
	}
	for _, m := range back {
		q.addLocked(1, len(m.Payload))
		q.messages.push(m)
	}
	for _, m := range held {
		q.messages.push(m)
	}
	q.wakeUp()
	return q.changedLocked(nil)
}
