package engine

import (
	"net/http"
	"time"

	"github.com/carillon-io/carillon/internal/frame"
	"github.com/carillon-io/carillon/internal/wsconn"
)

// poll is one GET waiting for an answer. Session.mu guards it until ready is closed; then it belongs to its handler.
type poll struct {
	ready   chan struct{} // closed when the answer is decided
	since   time.Duration
	batch   []*Frame // the answer
	refused bool     // the transport is another by now
	leased  bool     // batch left the outbox: pollDone is due
	control *http.ResponseController

	hurried bool // Session.mu guards this one throughout
}

// answer decides what p is answered with. It does nothing for a nil p.
func (p *poll) answer(answer ...*Frame) {
	if p != nil {
		p.batch = answer
		close(p.ready)
	}
}

// refuse makes p fail, and with it the client's transport. It does nothing for a nil p.
func (p *poll) refuse() {
	if p != nil {
		p.refused = true
		close(p.ready)
	}
}

// hurry cuts an answer that is being written, at once or if it takes longer than wsconn.Reply. It may be called only while
// the handler runs; the caller holds Session.mu.
func (p *poll) hurry(cut bool) {
	p.hurried = true
	deadline := time.Now()
	if !cut {
		deadline = deadline.Add(wsconn.Reply)
	}
	_ = p.control.SetWriteDeadline(deadline) // where it is not supported the answer has its own deadline
}

// verdict is what a GET or POST meets.
type verdict int

const (
	accepted verdict = iota
	overlapping
	unknownSession
	otherTransport
)

// refuses answers a request that is not accepted.
func (s *Session) refuses(w http.ResponseWriter, r *http.Request, v verdict) bool {
	switch v {
	case overlapping:
		w.WriteHeader(http.StatusBadRequest)
	case unknownSession:
		s.server.refuse(w, r, false, faultUnknownSession.because("the session has ended"))
	case otherTransport:
		s.server.refuse(w, r, false, faultSwitched)
	default:
		return false
	}
	return true
}

// servePoll answers a GET when there is something to send.
func (s *Session) servePoll(w http.ResponseWriter, r *http.Request) {
	p := &poll{ready: make(chan struct{}), control: http.NewResponseController(w)}
	if s.refuses(w, r, s.sit(p)) {
		return
	}
	err := s.await(p, r)
	if p.refused {
		s.server.refuse(w, r, false, faultSwitched)
		return
	}
	if err == nil {
		s.limitAnswer(p)
		err = s.writeAnswer(w, r, p)
	}
	if err != nil {
		s.server.dropped(dropFailed, frame.Messages(p.batch))
	}
	s.pollDone(p, err)
}

// await waits for the answer of a GET that sits. The error says that its client has gone: it would swallow the answer
// without one. Afterwards nothing can be told from that: good clients hang up, too, once they have it.
func (s *Session) await(p *poll, r *http.Request) error {
	select {
	case <-p.ready:
	case <-r.Context().Done():
		if !s.leaveSeat(p) {
			<-p.ready
		}
	}
	return r.Context().Err()
}

// limitAnswer bounds the time an answer may take, unless hurry has. By then the client has missed a ping and given the
// session up.
func (s *Session) limitAnswer(p *poll) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !p.hurried {
		patience := s.server.config.PingInterval + s.server.config.PingTimeout
		_ = p.control.SetWriteDeadline(time.Now().Add(patience)) // where it is not supported the heartbeat decides
	}
}

// unlimitAnswer takes the bound back: over HTTP/2 it would end the stream also while nothing is written.
func (s *Session) unlimitAnswer(p *poll) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !p.hurried {
		_ = p.control.SetWriteDeadline(time.Time{}) // where it is not supported there is none
	}
}

// sit gives a GET the seat. A GET that comes while the answer to the one before is still being written sits down behind
// it: the client has that answer before we know. One that comes while another sits is an overlap.
func (s *Session) sit(p *poll) verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expireLocked()
	p.since = s.server.now()
	switch {
	case s.tombstone:
		s.tombstone = false
		s.disarmLocked()
		s.server.table.remove(s.id)
		p.answer(frame.Noop)
		return accepted
	case s.state == stateClosed:
		return unknownSession
	case s.socket != nil:
		return otherTransport
	case s.polling.seat != nil || s.polling.next != nil:
		s.endLocked(TransportError, cause("a GET while another waits"))
		return overlapping
	case s.lease == leasePoll:
		s.polling.next = p
	default:
		s.polling.seat = p
	}
	s.polling.lastPoll = p.since
	s.progressedLocked()
	s.kickLocked()
	return accepted
}

// ended reports whether the session has ended: the table keeps such a one for a late GET and for nothing else.
func (s *Session) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == stateClosed
}

// leaveSeat takes the seat back from a GET whose client is gone, which ends the session; false when the GET has been
// given an answer meanwhile.
func (s *Session) leaveSeat(p *poll) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.polling.seat != p && s.polling.next != p {
		return false
	}
	if s.polling.seat == p {
		s.polling.seat = nil
	} else {
		s.polling.next = nil
	}
	if s.streams() {
		s.endLocked(TransportClose, cause("the client has closed the stream"))
	} else {
		s.endLocked(TransportError, cause("the client left while its GET waited"))
	}
	return true
}

// Release answers the GET that waits for a session, if one does, with a noop, and the client polls anew: for a node that
// relayed the GET and is about to leave.
func (s *Server) Release(sid string) {
	session := s.table.get(sid)
	if session == nil {
		return
	}
	session.mu.Lock()
	defer session.mu.Unlock()
	if session.state == stateOpen && session.polling != nil && session.polling.seat != nil && session.lease == leaseNone {
		session.answerLocked([]*Frame{frame.Noop})
	}
}

// answerLocked gives the GET in the seat a batch to write, and with it the lease.
func (s *Session) answerLocked(batch []*Frame) {
	p := s.polling.seat
	s.polling.seat, s.polling.writing, s.lease = nil, p, leasePoll
	p.leased = true
	p.answer(batch...)
}

// answerLastLocked gives the GET in the seat what is queued and the end of the session.
func (s *Session) answerLastLocked() {
	batch, _ := s.outbox.Take()
	switch {
	case !s.toReturnLocked():
		batch = append(batch, frame.Noop, frame.Close)
	case len(batch) == 0:
		batch = append(batch, frame.Noop)
	}
	p := s.polling.seat
	s.polling.seat = nil
	p.answer(batch...)
	s.endLocked(s.reason, errClosed)
}

// pollDone gives the lease back. A batch that could not be written is lost with the session: part of it may have
// arrived.
func (s *Session) pollDone(p *poll, err error) {
	if !p.leased {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.polling.writing, s.lease = nil, leaseNone
	s.polling.lastPoll = s.server.now()
	s.landLocked(p.batch)
	if err != nil {
		s.endLocked(TransportError, err)
		return
	}
	if s.polling.seat == nil {
		s.polling.seat, s.polling.next = s.polling.next, nil
	}
	s.kickLocked()
}
