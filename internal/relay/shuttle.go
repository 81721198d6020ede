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

// shuttle copies a WebSocket's bytes between the client and the session's owner, with a goroutine for each direction. A
// goroutine that waits holds no buffer.
type shuttle struct {
	// Static after construction.
	relay         *Relay
	client, owner net.Conn

	copying atomic.Int32 // directions that have not ended

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
	s.relay.live.enter(s)
	s.relay.metrics.sockets.Inc()
	if _, err := s.client.Write(answer); err != nil {
		s.cut()
	}
	s.copying.Store(2)
	go s.copy(s.owner, early, s.toClient)
	go s.copy(s.client, first, s.toOwner)
}

// copy hands early and then all that arrives on from to write. The direction that ends first ends the other one.
func (s *shuttle) copy(from net.Conn, early []byte, write func([]byte) bool) {
	if write(early) {
		pump(from, write)
	}
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

// pump hands what arrives on from to write, until either fails.
func pump(from net.Conn, write func([]byte) bool) {
	read := reader(from)
	for {
		buffer, n, err := read()
		more := err == nil && write(buffer[:n])
		if buffer != nil {
			buffers.Put(buffer)
		}
		if !more {
			return
		}
	}
}

// readBuffered reads into a buffer of its own, which it holds while it waits: for connections without a descriptor, as
// under TLS.
func readBuffered(from net.Conn) ([]byte, int, error) {
	buffer := buffers.Get()
	n, err := from.Read(buffer)
	if n > 0 {
		err = nil // the next call has it again
	}
	return buffer, n, err
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

// cut closes both connections, which ends both directions. Safe for concurrent use.
func (s *shuttle) cut() {
	_ = s.client.Close() // nothing is left to do about it
	_ = s.owner.Close()
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
