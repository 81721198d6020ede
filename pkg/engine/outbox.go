package engine

import (
	"io"
	"sync"
	"time"

	"github.com/carillon-io/carillon/internal/eioproto"
)

// chunk is how much one write copies together. Larger frames leave uncopied, so a client that does not read pins no
// more than this privately.
const chunk = 16 << 10

// largest is how much one call writes where its progress cannot be seen from outside.
const largest = 64 << 10

var chunks = sync.Pool{New: func() any { return new([chunk]byte) }}

// Send queues the frames of one message, all of them or none, without waiting. It reports whether they were queued: not
// when the session has ended, not when a volatile message finds the client behind. An outbox over Config.OutboxHard ends the
// session as a SlowConsumer, and so does one over Config.Outbox whose client makes no progress, but one message always fits
// an empty outbox. The slice is not kept, the frames are.
func (s *Session) Send(volatile bool, frames ...*Frame) bool {
	size := 0
	for _, f := range frames {
		size += f.size()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateOpen {
		s.server.dropped(dropEnded, len(frames))
		return false
	}
	waiting := s.queued + s.flying
	over := waiting > 0 && waiting+size > s.server.config.Outbox
	switch {
	case volatile && (over || s.behindLocked()):
		s.server.dropped(dropVolatile, len(frames))
		return false
	case over && waiting+size > s.server.config.OutboxHard:
		s.server.dropped(dropOverflow, len(frames))
		s.server.metrics.slowConsumers.Inc()
		s.cutLocked(SlowConsumer, errFull)
		return false
	}
	s.queue = append(s.queue, frames...)
	s.queued += size
	s.server.outboxes.add(size)
	if over {
		s.watchLocked()
	}
	s.kickLocked()
	return true
}

// behindLocked reports whether volatile messages are dropped now.
func (s *Session) behindLocked() bool {
	if s.queued+s.flying >= volatileBytes {
		return true
	}
	return s.socket == nil && s.polling.seat == nil && s.polling.next == nil && s.server.now()-s.polling.lastPoll > volatilePoll
}

// queueLocked queues a control packet. It is never dropped and counts nothing, but one that would follow its like is
// left out, so that no client can make the outbox grow with them.
func (s *Session) queueLocked(f *Frame) {
	if n := len(s.queue); n == 0 || s.queue[n-1] != f {
		s.queue = append(s.queue, f)
	}
	s.kickLocked()
}

// kickLocked hands what waits to a transport that is free.
func (s *Session) kickLocked() {
	if s.lease != leaseNone || s.state == stateClosed {
		return
	}
	switch {
	case s.socket != nil:
		if len(s.queue) > 0 || s.socket.pong != nil || s.state == stateClosing && s.socket.mayQueue() || s.socket.resting() {
			s.lease = leaseFlush
			s.startFlush()
		}
	case s.polling.seat == nil:
	case s.state == stateClosing:
		s.answerLastLocked()
	case len(s.queue) > 0:
		s.answerLocked(s.takeLocked())
	}
}

func (s *Session) kick() {
	s.mu.Lock()
	s.kickLocked()
	s.mu.Unlock()
}

// takeLocked removes the frames from the outbox. Their bytes count as flying until landLocked.
func (s *Session) takeLocked() []*Frame {
	batch := s.queue
	s.queue, s.spare = s.spare, nil
	s.flying, s.queued = s.queued, 0
	return batch
}

// landLocked ends the flight of a batch and keeps its slice for reuse.
func (s *Session) landLocked(batch []*Frame) {
	s.server.outboxes.add(-s.flying)
	s.flying = 0
	s.progressedLocked()
	s.roomLocked()
	if cap(batch) <= spareQueue && s.spare == nil {
		clear(batch)
		s.spare = batch[:0]
	}
}

// dropQueueLocked drops what the outbox holds. Bytes in flight are no longer counted, although their write may still be
// running.
func (s *Session) dropQueueLocked() {
	s.server.dropped(dropEnded, messagesIn(s.queue))
	s.server.outboxes.add(-s.queued - s.flying)
	s.queue, s.spare, s.queued, s.flying, s.slow = nil, nil, 0, 0, nil
}

func messagesIn(batch []*Frame) int {
	n := 0
	for _, f := range batch {
		if f.kind == eioproto.Message {
			n++
		}
	}
	return n
}

// startFlush has the outbox written; the caller has set the lease for it. A write to a connection without a descriptor may wait
// at any time: it has a goroutine to itself.
func (s *Session) startFlush() {
	if s.socket.socket == nil {
		go s.flush(retired)
		return
	}
	s.server.flushers.start(s)
}

// flush writes what the outbox holds and gives leaseFlush back. What was queued meanwhile gets another turn.
func (s *Session) flush(w *flusher) {
	s.mu.Lock()
	conn := s.socket
	last := s.state == stateClosing && conn.startClose()
	if s.state == stateClosed || len(s.queue) == 0 && conn.pong == nil && !last && !conn.resting() {
		s.lease = leaseNone
		s.mu.Unlock()
		return
	}
	batch := s.takeLocked()
	if len(batch) > 1 && s.flying > chunk {
		s.server.flushers.fallBehind()
	}
	pong := conn.pong
	conn.pong = nil
	s.mu.Unlock()

	n, err := conn.writeBatch(w, pong, batch, last)
	if err != nil {
		s.server.dropped(dropFailed, messagesIn(batch))
	} else {
		s.server.metrics.written(conn.codec.socketTransport(), batch, n)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.landLocked(batch)
	s.lease = leaseNone
	if err != nil {
		s.cutLocked(TransportError, err)
		return
	}
	if last {
		s.closing.taken, _ = conn.taken()
		s.setDueLocked(s.server.now() + closeReply)
	}
	s.kickLocked()
}

// coalescer writes many small pieces in few writes, and large ones in parts, each of which is progress of the session's client.
type coalescer struct {
	session *Session
	w       io.Writer
	buffer  *[chunk]byte
	used    int
	written int
	err     error
}

func newCoalescer(s *Session, w io.Writer) coalescer {
	return coalescer{session: s, w: w, buffer: chunks.Get().(*[chunk]byte)}
}

// add takes a piece over. It does not keep p.
func (c *coalescer) add(p []byte) {
	if len(p) > chunk-c.used {
		c.flush()
	}
	if len(p) >= chunk {
		c.write(p)
		return
	}
	c.used += copy(c.buffer[c.used:], p)
}

func (c *coalescer) flush() {
	if c.used > 0 {
		c.write(c.buffer[:c.used])
		c.used = 0
	}
}

func (c *coalescer) write(p []byte) {
	for len(p) > 0 && c.err == nil {
		part := p[:min(len(p), largest)]
		var n int
		n, c.err = c.w.Write(part)
		c.written += n
		p = p[len(part):]
		c.session.progressed()
	}
}

// close writes the rest and gives the buffer back.
func (c *coalescer) close() error {
	c.flush()
	chunks.Put(c.buffer)
	return c.err
}

// slowAfter is how long a client may make no progress while more than Config.Outbox waits for it.
const slowAfter = 5 * time.Second

// slowness watches a client for which more than Config.Outbox waits: one that takes it is only behind, however fast more
// comes. Session.mu guards it.
type slowness struct {
	progress time.Duration // when the client was last seen to take something
	taken    uint64        // bytes that its kernel had acknowledged then; 0 where that is unknown
}

// watchLocked begins to watch the client. The session's timer looks after slowAfter.
func (s *Session) watchLocked() {
	if s.slow != nil {
		return
	}
	s.slow = &slowness{progress: s.server.now()}
	if s.socket != nil {
		s.slow.taken, _ = s.socket.taken()
	}
	s.armLocked(s.slow.progress + slowAfter)
}

// progressed notes that a part of what flies was written.
func (s *Session) progressed() {
	s.mu.Lock()
	s.progressedLocked()
	s.mu.Unlock()
}

func (s *Session) progressedLocked() {
	switch {
	case s.slow == nil:
	case s.queued+s.flying <= s.server.config.Outbox:
		s.slow = nil
	default:
		s.slow.progress = s.server.now()
	}
}

// stalledLocked reports whether a client that is watched has made no progress for too long.
func (s *Session) stalledLocked(now time.Duration) bool {
	if s.socket != nil {
		// The kernel may still be sending bytes that were written before.
		if taken, _ := s.socket.taken(); taken != s.slow.taken {
			s.slow.taken, s.slow.progress = taken, now
		}
	}
	return now-s.slow.progress >= slowAfter
}
