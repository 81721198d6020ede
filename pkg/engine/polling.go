package engine

import (
	"errors"
	"net/http"
	"time"

	"github.com/carillon-io/carillon/internal/eioproto"
	"github.com/carillon-io/carillon/internal/frame"
	"github.com/carillon-io/carillon/internal/polling"
)

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
	g := polling.NewGet(w)
	if s.refuses(w, r, s.sit(g)) {
		return
	}
	err := s.await(g, r)
	if g.Refused {
		s.server.refuse(w, r, false, faultSwitched)
		return
	}
	if err == nil {
		err = s.writeAnswer(w, r, g)
	}
	if err != nil {
		s.server.dropped(dropFailed, frame.Messages(g.Batch))
	}
	s.pollDone(g, err)
}

// await waits for the answer of a GET that sits. The error says that its client has gone: writing the answer
// would succeed all the same, and lose it. Once the answer is written a hang-up proves nothing: good clients hang up, too, when they
// have it.
func (s *Session) await(g *polling.Get, r *http.Request) error {
	select {
	case <-g.Ready():
	case <-r.Context().Done():
		if !s.leaveSeat(g) {
			<-g.Ready()
		}
	}
	return r.Context().Err()
}

// writeAnswer writes the answer of a GET.
func (s *Session) writeAnswer(w http.ResponseWriter, r *http.Request, g *polling.Get) error {
	s.boundAnswer(g, s.server.config.PingInterval+s.server.config.PingTimeout)
	format := polling.Format{
		Codec: &s.codec, JSONP: s.polling.jsonp, Callback: s.polling.callback, Compress: s.server.config.CompressPolling,
	}
	n, err := g.Write(w, r, format, (*owner)(s))
	if err == nil {
		s.server.metrics.written(transportPolling, g.Batch, n)
	}
	return err
}

// boundAnswer bounds the time an answer may take: by then the client has missed a ping and given the session up.
func (s *Session) boundAnswer(g *polling.Get, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.Bound(d)
}

// sit gives a GET the seat. A GET that comes while the answer to the one before is still being written sits down behind
// it: the client has that answer before we know. One that comes while another sits is an overlap.
func (s *Session) sit(g *polling.Get) verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expireLocked()
	g.Since = s.server.now()
	switch {
	case s.tombstone:
		s.tombstone = false
		s.disarmLocked()
		s.server.table.remove(s.id)
		g.Answer(frame.Noop)
		return accepted
	case s.state == stateClosed:
		return unknownSession
	case s.socket != nil:
		return otherTransport
	case !s.polling.seats.Sit(g):
		s.endLocked(TransportError, cause("a GET while another waits"))
		return overlapping
	}
	s.polling.lastPoll = g.Since
	s.progressedLocked()
	s.kickLocked()
	return accepted
}

// leaveSeat takes the seat back from a GET whose client is gone, which ends the session; false when the GET has been
// given an answer meanwhile.
func (s *Session) leaveSeat(g *polling.Get) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.polling.seats.Leave(g) {
		return false
	}
	if s.streams() {
		s.endLocked(TransportClose, cause("the client has closed the stream"))
	} else {
		s.endLocked(TransportError, cause("the client left while its GET waited"))
	}
	return true
}

// pollDone gives the lease back. A batch that could not be written is lost with the session: part of it may have
// arrived.
func (s *Session) pollDone(g *polling.Get, err error) {
	if !g.Leased {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.polling.seats.Written()
	s.lease = leaseNone
	s.polling.lastPoll = s.server.now()
	s.landLocked(g.Batch)
	if err != nil {
		s.endLocked(TransportError, err)
		return
	}
	s.kickLocked()
}

// servePost handles the packets of a POST.
func (s *Session) servePost(w http.ResponseWriter, r *http.Request) {
	p := polling.NewPost(w, r, &s.server.inbound)
	if s.refuses(w, r, s.startPost(p)) {
		return
	}
	if p.Octets() && s.codec.Revision == 4 {
		s.stopPost(p)
		s.end(TransportError, cause("a binary POST from a client of revision 4"))
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	p.Read(s.server.config.MaxPayload, func(body []byte, read int, err error) {
		s.server.metrics.bytesIn[transportPolling].Add(float64(read))
		switch {
		case errors.Is(err, polling.ErrTooLarge):
			s.stopPost(p)
			p.Discard()
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		case err != nil:
			if !s.stopPost(p) {
				s.end(TransportError, err)
			}
			panic(http.ErrAbortHandler)
		case !s.deliverPost(p, body):
			s.server.refuse(w, r, false, faultSwitched)
		default:
			polling.WriteOK(w, r)
		}
	})
}

func (s *Session) startPost(p *polling.Post) verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expireLocked()
	switch {
	case s.state == stateClosed:
		return unknownSession
	case s.socket != nil:
		return otherTransport
	case s.polling.posting != nil:
		s.endLocked(TransportError, cause("a POST while another arrives"))
		return overlapping
	}
	s.polling.posting = p
	return accepted
}

// stopPost makes room for the next POST. It reports whether this one was cut by us.
func (s *Session) stopPost(p *polling.Post) (cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.polling.posting = nil
	return p.Received()
}

// deliverPost hands on what a body holds, all of it before the client is answered, or the `5` it sends then could
// overtake. It reports false when the session has switched to another transport while the body arrived.
func (s *Session) deliverPost(p *polling.Post, body []byte) bool {
	s.mu.Lock()
	p.Received()
	switched := s.socket != nil
	// Taken under mu, so that it comes before the reader of a transport that takes over now. Else only endTransport may hold
	// it, when the session is over and its packets are not wanted.
	deliver := !switched && s.inbound.TryLock()
	s.mu.Unlock()
	defer s.stopPost(p)
	if !deliver {
		return !switched
	}
	defer s.inbound.Unlock()
	if s.polling.jsonp {
		var found bool
		if body, found = eioproto.JSONPBody(body); !found {
			return true
		}
	}
	if err := s.codec.Revision.Decode(body, p.Octets() && !s.polling.jsonp, s.receive); err != nil {
		s.end(ParseError, err)
	}
	return true
}

// release answers a GET that waits with a noop.
func (s *Session) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateOpen && s.polling != nil {
		s.releaseLocked()
	}
}

func (s *Session) releaseLocked() {
	if s.polling.seats.Seated() && s.lease == leaseNone {
		s.answerLocked([]*frame.Frame{frame.Noop})
	}
}
