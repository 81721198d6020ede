package engine

import (
	"time"

	"github.com/carillon-io/carillon/internal/flush"
	"github.com/carillon-io/carillon/internal/frame"
	"github.com/carillon-io/carillon/internal/wsconn"
)

const (
	// volatileBytes is the outbox level from which volatile messages are dropped.
	volatileBytes = 64 << 10
	// volatilePoll is how long a polling client may be without a GET before volatile messages are dropped.
	volatilePoll = time.Second
)

// Send queues the frames of one message, all of them or none, without waiting. It reports whether they were queued: not
// when the session has ended, not when a volatile message finds the client behind. An outbox over Config.OutboxHard ends the
// session as a SlowConsumer, and so does one over Config.Outbox whose client makes no progress, but one message always fits
// an empty outbox. The slice is not kept, the frames are.
func (s *Session) Send(volatile bool, frames ...*Frame) bool {
	size := frame.Size(frames)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateOpen {
		s.server.dropped(dropEnded, len(frames))
		return false
	}
	over := s.outbox.Over(s.server.config.Outbox, size)
	switch {
	case volatile && (over || s.behindLocked()):
		s.server.dropped(dropVolatile, len(frames))
		return false
	case s.outbox.Over(s.server.config.OutboxHard, size):
		s.server.dropped(dropOverflow, len(frames))
		s.server.metrics.slowConsumers.Inc()
		s.cutLocked(SlowConsumer, errFull)
		return false
	}
	s.outbox.Add(size, frames...)
	s.server.outboxes.Add(size)
	if over {
		s.watchLocked()
	}
	s.kickLocked()
	return true
}

// behindLocked reports whether volatile messages are dropped now.
func (s *Session) behindLocked() bool {
	if s.outbox.Bytes() >= volatileBytes {
		return true
	}
	return s.socket == nil && !s.polling.seats.Waits() && s.server.now()-s.polling.lastPoll > volatilePoll
}

// queueLocked queues a control packet. It is never dropped and counts nothing, but one that would follow its like is
// left out, so that no client can make the outbox grow with them; it reports whether it is queued.
func (s *Session) queueLocked(f *frame.Frame) bool {
	queued := s.outbox.AddOnce(f)
	s.kickLocked()
	return queued
}

// kickLocked hands what waits to a transport that is free.
func (s *Session) kickLocked() {
	if s.lease != leaseNone || s.state == stateClosed {
		return
	}
	switch {
	case s.socket != nil:
		if !s.outbox.Empty() || s.pong != nil || s.state == stateClosing && s.socket.MayQueue() || s.socket.OwesRest() {
			s.lease = leaseFlush
			s.startFlush()
		}
	case !s.polling.seats.Seated():
	case s.state == stateClosing:
		s.answerFinalLocked()
	case !s.outbox.Empty():
		batch, _ := s.outbox.Take()
		s.answerLocked(batch)
	}
}

// answerLocked gives the GET in the seat a batch to write, and with it the lease.
func (s *Session) answerLocked(batch []*frame.Frame) {
	s.lease = leasePoll
	s.polling.seats.Answer(batch)
}

// answerFinalLocked gives the GET in the seat what is queued and the end of the session.
func (s *Session) answerFinalLocked() {
	batch, _ := s.outbox.Take()
	switch {
	case !s.toReturnLocked():
		batch = append(batch, frame.Noop, frame.Close)
	case len(batch) == 0:
		batch = append(batch, frame.Noop)
	}
	s.polling.seats.AnswerFinal(batch)
	s.endLocked(s.reason, errClosed)
}

func (s *Session) kick() {
	s.mu.Lock()
	s.kickLocked()
	s.mu.Unlock()
}

// landLocked notes that a batch has been written.
func (s *Session) landLocked(batch []*frame.Frame) {
	s.server.outboxes.Add(-s.outbox.Land(batch))
	s.progressedLocked()
	s.roomLocked()
}

// flushLink is the session's place among those that are to be flushed.
func (s *Session) flushLink() *flush.Link[*Session] { return &s.link }

// startFlush has the outbox written; the caller has set the lease for it. A write that may block
// has a goroutine to itself.
func (s *Session) startFlush() {
	if s.socket.Blocks() {
		go s.flush(wsconn.Blocking)
		return
	}
	s.server.flushers.Add(s)
}

// flush writes what the outbox holds and gives leaseFlush back. What was queued meanwhile is flushed in another turn.
func (s *Session) flush(w *wsconn.Writer) {
	s.mu.Lock()
	conn := s.socket
	closing := s.state == stateClosing && conn.StartClose()
	if s.state == stateClosed || s.outbox.Empty() && s.pong == nil && !closing && !conn.OwesRest() {
		s.lease = leaseNone
		s.mu.Unlock()
		return
	}
	batch, bytes := s.outbox.Take()
	if len(batch) > 1 && bytes > wsconn.Chunk {
		s.server.flushers.FallBehind()
	}
	pong := s.pong
	s.pong = nil
	s.mu.Unlock()

	n, err := conn.Write(w, pong, batch, closing)
	if err != nil {
		s.server.dropped(dropFailed, frame.Messages(batch))
	} else {
		s.server.metrics.written(socketTransport(*conn.Codec()), batch, n)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.landLocked(batch)
	s.lease = leaseNone
	if err != nil {
		s.cutLocked(TransportError, err)
		return
	}
	if closing {
		s.closing.Note(conn)
		s.setDueLocked(s.server.now() + wsconn.Reply)
	}
	s.kickLocked()
}

// slowAfter is how long a client may make no progress while more than Config.Outbox waits for it.
const slowAfter = 5 * time.Second

// watchLocked begins to watch the client. The session's timer looks after slowAfter.
func (s *Session) watchLocked() {
	if s.slow != nil {
		return
	}
	s.slow = &slowness{progress: s.server.now()}
	if s.socket != nil {
		s.slow.acked, _ = s.socket.Acked()
	}
	s.armLocked(s.slow.progress + slowAfter)
}

// progressed notes that a part of the batch in flight was written.
func (s *Session) progressed() {
	s.mu.Lock()
	s.progressedLocked()
	s.mu.Unlock()
}

func (s *Session) progressedLocked() {
	switch {
	case s.slow == nil:
	case s.outbox.Bytes() <= s.server.config.Outbox:
		s.slow = nil
	default:
		s.slow.progress = s.server.now()
	}
}

// stalledLocked reports whether a client that is watched has made no progress for too long.
func (s *Session) stalledLocked(now time.Duration) bool {
	if s.socket != nil {
		// The kernel may still be sending bytes that were written before.
		if acked, _ := s.socket.Acked(); acked != s.slow.acked {
			s.slow.acked, s.slow.progress = acked, now
		}
	}
	return now-s.slow.progress >= slowAfter
}

// AwaitRoom is for an application that has much to send and does not want it to wait here. It reports whether a message of
// that many bytes leaves the outbox small, or finds it empty. If not, and f is not nil, f is called once, on another
// goroutine, when the outbox is small or the session has ended; an f given before is not called then.
func (s *Session) AwaitRoom(bytes int, f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.outbox.Bytes()
	if s.state != stateOpen || held == 0 || held+bytes <= s.server.smallOutbox() {
		return true
	}
	if f != nil {
		s.room = f
	}
	return false
}

// smallOutbox is how much may wait while AwaitRoom finds room.
func (h *host) smallOutbox() int { return min(volatileBytes, h.config.Outbox/2) }

// roomLocked calls the func given to AwaitRoom if what was in flight has been written and little waits.
func (s *Session) roomLocked() {
	if s.room != nil && s.outbox.Bytes() <= s.server.smallOutbox()/2 {
		go s.room()
		s.room = nil
	}
}
