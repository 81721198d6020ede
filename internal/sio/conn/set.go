package conn

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carillon-io/carillon/internal/sio/tally"
	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"go.uber.org/zap"
)

// Config says how connections of a Set behave. Every field but Hello is set.
type Config struct {
	Parser            packet.Parser
	MaxAttachments    int           // per packet
	MaxDepth          int           // of JSON and msgpack
	MaxNamespaces     int           // per connection
	MaxAuth           int           // bytes of a CONNECT's auth
	ConnectTimeout    time.Duration // how long a connection may stay without a namespace
	AttachmentTimeout time.Duration // for each attachment of a packet
	// ConnectLimit returns how many CONNECTs a connection may send per second over time, and at once; 0 per second: any number.
	ConnectLimit func() (perSecond, burst int)
	Tag          func() string // what ids of sockets begin with
	Tally        *tally.Tally
	// Hello says how long a client that may say hello has time for it before its socket is connected without one, because a
	// token is looked for that its request does not bring; required: it is refused then. nil: it is not waited for.
	Hello func(session *engine.Session, nsp string) (wait time.Duration, required bool)
	// NewSocket makes the server's part of a socket, and returns the Socket in it.
	NewSocket func() *Socket
}

// Set is the connections of one server, and the workers that run their handlers: any number at a time. A few workers
// that have nothing to do are kept until Close, because a new goroutine for each event would spend as much on growing
// its stack as on the event.
type Set struct {
	// Static after construction.
	config Config
	tally  *tally.Tally
	start  time.Time
	next   chan *Conn    // unbuffered: a connection goes to a worker that waits
	quit   chan struct{} // closed by Close
	spare  int32

	waiting atomic.Int32 // workers
	conns   sync.WaitGroup
	closing sync.Once
}

// NewSet returns an empty set.
func NewSet(cfg Config) *Set {
	return &Set{
		config: cfg, tally: cfg.Tally, start: time.Now(),
		next: make(chan *Conn), quit: make(chan struct{}), spare: int32(4 * runtime.GOMAXPROCS(0)),
	}
}

// Open makes Set an engine.Handler: it creates a connection for each new session.
func (s *Set) Open(session *engine.Session) engine.Receiver { return newConn(s, session) }

// OpenDoor is Open for a session without Socket.IO.
func (s *Set) OpenDoor(session *engine.Session, d Door) engine.Receiver {
	return newDoor(s, session, d)
}

// Wait waits until all connections have ended and their handlers have returned.
func (s *Set) Wait() { s.conns.Wait() }

// Close stops idle workers; busy ones exit once they run out of work.
func (s *Set) Close() { s.closing.Do(func() { close(s.quit) }) }

// work has a worker empty the connection's mailbox. It does not wait.
func (s *Set) work(c *Conn) {
	select {
	case s.next <- c:
	default:
		go s.run(c)
	}
}

// run works for one connection after the other.
func (s *Set) run(c *Conn) {
	returned := false
	defer func() {
		if !returned { // a handler called runtime.Goexit: its connection is closed, and what is left of it needs a goroutine
			go s.run(c)
		}
	}()
	for {
		c.work()
		if s.waiting.Add(1) > s.spare {
			s.waiting.Add(-1)
			returned = true
			return
		}
		select {
		case c = <-s.next:
			s.waiting.Add(-1)
		case <-s.quit:
			returned = true
			return
		}
	}
}

// cannotEncode counts and logs a packet that a client's parser cannot carry.
func (s *Set) cannotEncode(err error) {
	s.tally.Dropped(tally.Encoding)
	s.tally.Log.Error("packet cannot be written as msgpack", zap.Error(err))
}
