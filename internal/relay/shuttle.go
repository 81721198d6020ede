package relay

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// closeGoingAway is a server's Close frame with status 1001, which clients take for a transport that broke.
var closeGoingAway = []byte{0x88, 0x02, 0x03, 0xe9}

// leaveGrace is how long a client may take to answer our Close frame.
const leaveGrace = 2 * time.Second

// shuttle copies a WebSocket's bytes between the client and the session's owner. While nothing arrives it has neither a
// goroutine nor a buffer.
type shuttle struct {
	// Static after construction.
	relay                 *Relay
	client, owner         net.Conn
	fromClient, fromOwner half

	copying atomic.Int32 // halves that have not ended

	mu sync.Mutex
	// mu guards the following, and writes to client.
	frames  frames // of the owner, up to what was written to client
	leaving bool   // goAway was called: a Close frame goes out at the next boundary
	left    bool   // it went out; what the owner still sends is dropped
	timer   *time.Timer
}

// start answers the client's upgrade and starts copying. early and first were read from the owner and the client behind
// their headers; the shuttle keeps them until they are written.
func (s *shuttle) start(answer, early, first []byte) {
	s.fromOwner.init(s, s.owner, s.toClient)
	s.fromClient.init(s, s.client, s.toOwner)
	s.copying.Store(2)
	s.relay.metrics.sockets.Inc()
	s.relay.live.enter(s)
	if _, err := s.client.Write(answer); err != nil {
		s.cut()
	}
	go s.fromOwner.begin(early)
	go s.fromClient.begin(first)
}

// halfEnded ends the other half too, and with the last one the shuttle.
func (s *shuttle) halfEnded() {
	s.cut()
	if s.copying.Add(-1) > 0 {
		return
	}
	s.mu.Lock()
	if s.timer != nil {
		s.timer.Stop()
	}
	s.mu.Unlock()
	s.relay.metrics.sockets.Dec()
	s.relay.live.leave(s)
}

// toClient passes on what the owner sent; false when nothing more is to be.
func (s *shuttle) toClient(data []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left {
		return true // until the owner has seen that the client left
	}
	if s.leaving {
		// The rest of the frame that was begun, and no other.
		data = data[:s.frames.rest(data)]
	}
	s.frames.feed(data)
	if _, err := s.client.Write(data); err != nil {
		return false
	}
	s.relay.metrics.bytes[toClient].Add(float64(len(data)))
	s.leaveLocked()
	return true
}

func (s *shuttle) toOwner(data []byte) bool {
	if _, err := s.owner.Write(data); err != nil {
		return false
	}
	s.relay.metrics.bytes[toOwner].Add(float64(len(data)))
	return true
}

// goAway tells the client that this node leaves, behind the frame that is on its way.
func (s *shuttle) goAway() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaving = true
	s.leaveLocked()
}

func (s *shuttle) leaveLocked() {
	if !s.leaving || s.left || !s.frames.between() {
		return
	}
	s.left = true
	s.timer = time.AfterFunc(leaveGrace, s.cut)
	if _, err := s.client.Write(closeGoingAway); err != nil {
		s.cut()
	}
}

// cut closes both connections, which ends both halves. Safe for concurrent use.
func (s *shuttle) cut() {
	_ = s.client.Close() // nothing is left to do about it
	_ = s.owner.Close()
	s.fromClient.Wake() // a poller does not report a descriptor that was closed here
	s.fromOwner.Wake()
}

func (l *live) enter(s *shuttle) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sockets == nil {
		l.sockets = make(map[*shuttle]struct{})
	}
	l.sockets[s] = struct{}{}
	if l.over {
		s.cut()
	}
}

func (l *live) leave(s *shuttle) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.sockets, s)
	select {
	case l.ended <- struct{}{}:
	default: // no drain waits, or it will look anyway
	}
}
