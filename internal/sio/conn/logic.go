package conn

import (
	"context"
	"errors"
	"sync"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Logic decides what one socket may do and what its events do. The calls for all sockets of one connection are made one
// at a time, in the order in which the client caused them.
type Logic interface {
	// Enter decides whether the socket connects to its namespace. nil lets it in; a *ConnectError refuses it and goes to the
	// client as it is, any other error as its text; ErrClose closes the connection without an answer, which clients try
	// again. Enter may block; ctx ends with the socket. It may emit, join rooms and keep what it finds out.
	Enter(ctx context.Context) error
	// Entered is called right after the CONNECT answer was queued. It may block.
	Entered()
	// Handle handles one event. It runs on the goroutine that reads from the connection unless something of the connection
	// waits in its mailbox, and nothing is read from the client meanwhile. So it may block to hold the client back, for a
	// bounded time and until the session is done, and must not wait for anything that the client sends.
	Handle(e Event)
	// Leave is called once after Entered, when the socket is really over. It may block. Of a Recoverer whose connection broke
	// that is when its client can no longer come back for it; the calls for its connection are over by then.
	Leave(reason Reason)
}

// Recoverer is a Logic that outlives its connection: one whose client may come back. The Logic of the socket that it comes
// back as takes its place, and then Leave is not called.
type Recoverer interface {
	Logic
	// Away is called instead of Leave when the connection broke. It may block.
	Away()
	// Resume is called before Enter when the client claims the socket that previous, of the same type, has decided for. false:
	// the client is another, and gets a new socket. An error refuses it, as that of Enter does. It may block; ctx ends with the
	// socket. previous may yet be called, if Enter refuses the socket, and while it is, only Leave.
	Resume(ctx context.Context, previous Logic) (bool, error)
}

// Mover is a Recoverer whose socket may become another node's while its client is away. Pack, Moved, Resume and Leave are called
// one at a time; Leave may be called while Pack waits, which then fails.
type Mover interface {
	Recoverer
	// Pack describes the socket for Unpack on another node, as JSON of some kilobytes. It waits until nothing that the client sent is
	// under way, or ctx ends. After an error nothing has changed. Otherwise any call may follow: Moved, Resume or Leave where
	// the socket stays here after all, or Pack for yet another node, which makes what was packed before void.
	Pack(ctx context.Context) (state []byte, err error)
	// Moved is called instead of Leave once the socket is another node's. It does not block.
	Moved()
	// Unpack makes the Logic that of a socket which another node has packed, and whose client is away. nil: Resume on the client's
	// next Logic, Leave or Pack follow. ErrEnded: the socket has ended meanwhile, or is another node's; no call follows. Any other
	// error: that is not known yet; Unpack is called again, or Leave.
	Unpack(ctx context.Context, state []byte) error
}

// Describer is a Logic that another server may go on with for its client after this one was killed. It is asked while the
// socket is connected, on any goroutine, and must not block.
type Describer interface {
	// Describe returns what Mover.Unpack takes there; false: it cannot go on.
	Describe() (state []byte, ok bool)
	// Watch has changed called whenever Describe returns something else than before, and withdrawn once Describe reports false from
	// then on. Neither blocks. Watch is called before the socket is connected, where Describe does not report false yet.
	Watch(changed, withdrawn func())
}

// Owner is the server's part of a socket. Leave is called once for every socket, also for one that was refused or that
// went before its turn to enter. Handle may block where Inline is false.
type Owner interface {
	Logic
	// Inline reports whether Handle keeps the promise not to block. It is asked after Enter.
	Inline() bool
	// Order is held across Admit and the CONNECT answer; nil: nothing is. It is asked after Enter.
	Order() sync.Locker
	// Admit is called right before the CONNECT answer is queued, before anything else can reach the socket, and appends what
	// that says behind the id. It runs under the connection's lock, and must not call the connection. An error turns the socket
	// away as one of Enter does.
	Admit(answer []byte) ([]byte, error)
	// Acknowledge passes on an acknowledgement that the socket itself does not wait for; false when nothing does. It must
	// not block.
	Acknowledge(id uint64, args packet.Args) bool
	// Gone is called once as soon as a socket that had joined has gone, on any goroutine and perhaps during another call.
	// It must not block.
	Gone(reason Reason)
}

// What the calls of a socket may answer.
var (
	// ErrClose, returned by Enter or a middleware, closes the connection without an answer.
	ErrClose = errors.New("socketio: close the connection")
	// ErrKicked answers the CONNECT and disconnects the socket at once.
	ErrKicked = errors.New("socketio: disconnected while it was away")
	// ErrEnded: a socket that was to go on here has ended, or is another node's.
	ErrEnded = errors.New("socketio: the socket has ended")
	// ErrDisconnected: the socket has left its namespace, or its connection is gone.
	ErrDisconnected = errors.New("socketio: socket is disconnected")
	// ErrBehind: a volatile event was dropped.
	ErrBehind = errors.New("socketio: the client is behind")
	// ErrParser: the parser of the client cannot carry what was to be sent.
	ErrParser = errors.New("socketio: the client's parser cannot carry this")
	// ErrAcknowledged: the event has been acknowledged before.
	ErrAcknowledged = errors.New("socketio: event is acknowledged already")
)
