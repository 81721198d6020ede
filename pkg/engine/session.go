package engine

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/carillon-io/carillon/internal/alarm"
	"github.com/carillon-io/carillon/internal/flush"
	"github.com/carillon-io/carillon/internal/frame"
	"github.com/carillon-io/carillon/internal/outbox"
	"github.com/carillon-io/carillon/internal/polling"
	"github.com/carillon-io/carillon/internal/wsconn"
	"github.com/carillon-io/carillon/internal/wsframe"
)

// Handler opens sessions.
type Handler interface {
	// Open is called once for each session, before its first message; the handshake has been answered or is about to
	// be. It may call Send and Close on the session. It must not block, and must not return nil.
	Open(s *Session) Receiver
}

// Receiver receives what one session's client sends. Calls for one session never overlap.
type Receiver interface {
	// Message hands over one message. data is valid until Message returns. While it blocks, nothing more is read from
	// this client, whose silence is not held against it; but a client of revision 3, which is not answered either, leaves
	// after the two intervals of the heartbeat.
	Message(data []byte, binary bool)
	// Closed is called once, after the last Message, never from inside Send or Close.
	Closed(reason CloseReason)
}

type state uint8

const (
	stateOpen    state = iota
	stateClosing       // Close was called: the outbox is still being delivered, but nothing is received or queued
	stateClosed        // over; Receiver.Closed was called or is about to be
)

// lease is the right to take frames from the outbox and write them. One poll or one flush has it at a time.
type lease uint8

const (
	leaseNone lease = iota
	leasePoll
	leaseFlush
)

// Session is one client, whatever its transport. All methods are safe for concurrent use.
//
// A message is either in the outbox or with the one holder of the lease, so an upgrade can neither lose nor repeat it.
//
// All that mu guards is declared in this file; what happens to it stands in the files of its subjects.
type Session struct {
	// What each message for the client needs comes first, and together: of thousands of sessions none is in the processor's cache.

	server *host                // static after construction
	link   flush.Link[*Session] // the flushers guard it

	// mu guards the following. It is held for state changes only, never across a write or a call into another package
	// that could wait.
	mu        sync.Mutex
	state     state
	lease     lease
	tombstone bool // closed by the client, and one late GET may still be answered
	returns   bool // SendAway was called: the client is to come back
	outbox    outbox.Outbox[*frame.Frame]
	socket    *wsconn.Conn // the transport; nil while polling
	pong      *frame.Frame // the newest one that the client of a WebSocket is owed; nil: none
	slow      *slowness    // nil: no more than Config.Outbox waits
	room      func()       // of AwaitRoom; nil: none waits
	beat      heartbeat
	polling   *longPolling // nil for a session that began on a WebSocket
	closing   *closing     // of a WebSocket in stateClosing
	reason    CloseReason
	done      chan struct{} // of Done; nil until it is asked for
	asked     *asked        // nil: no Ping waits for an answer
	held      int           // bytes that count towards Limits.Inbound until the session ends

	// inbound is held while Receiver is called: by the POST handler, the WebSocket reader or endTransport. It is taken with
	// mu free, or by TryLock under mu.
	inbound sync.Mutex

	// Static after construction.
	receiver  Receiver
	id        string
	codec     frame.Codec // of the polling transport; a WebSocket has its own
	byAddress bool        // counted by address, too: static once admitted
	request   kept
	context   context.Context
	opened    time.Duration
}

// heartbeat is a session's one deadline and what it is for, see heartbeat.go. The deadline also serves a session that is closing,
// and a closed one that is kept as a tombstone.
type heartbeat struct {
	due       time.Duration // since the server's epoch
	armed     time.Duration // when alarms call; 0: they do not. Later than due never, earlier often
	place     alarm.Place   // the alarms guard it
	awaiting  bool          // a ping is unanswered
	extended  bool          // and other traffic has extended the wait
	blocked   bool          // Receiver.Message runs since blockedAt
	suspended bool          // and a deadline passed meanwhile; revision 4 only
	blockedAt time.Duration

	unanswered uint8         // pings that are on their way; 255: it is not known how many
	pinged     time.Duration // when the last of them was queued
	proof      time.Duration // when the last ping was queued that is certainly answered
}

// asked are the callers of Ping that wait for an answer.
type asked struct {
	pongs []func(alive bool)
	late  *time.Timer // for the first of them
}

// slowness watches a client for which more than Config.Outbox waits: one that makes progress is only behind, however fast
// more comes.
type slowness struct {
	progress time.Duration // when the client last made progress
	acked    uint64        // bytes that its kernel had acknowledged then; 0 where that is unknown
}

// longPolling is the part of a session that only its polling transport uses.
type longPolling struct {
	// Static after construction.
	stream   bool   // one GET takes all answers, see plain.go
	jsonp    bool   // answers are JavaScript calls
	callback string // the index of the function they call

	// Session.mu guards the following.
	seats    polling.Seats
	posting  *polling.Post // a POST arriving or being delivered
	upgrade  *upgrade      // a WebSocket that wants to become the transport
	lastPoll time.Duration // when a GET last sat or was answered
}

// cutPost cuts a POST whose body is still arriving. It may be called only while the handler runs.
func (p *longPolling) cutPost() {
	if p != nil {
		p.posting.Cut()
	}
}

// upgrade is a WebSocket that wants to become the transport of a polling session, see upgrade.go.
type upgrade struct {
	conn *wsconn.Conn

	// Session.mu guards the following.
	timeout *time.Timer
	tick    *time.Timer
	probed  bool        // 3probe was sent, or is about to be
	away    CloseReason // SendAway was called with it after that; else empty. Static once the upgrade is over
}

func (u *upgrade) stopTimers() {
	u.timeout.Stop()
	if u.tick != nil {
		u.tick.Stop()
	}
}

// closing is what is known of a WebSocket session that closes and has still to deliver its outbox.
type closing struct {
	wsconn.Patience
	farewell
}

// farewell is the last that a WebSocket's client receives.
type farewell struct {
	code    wsframe.CloseCode // 0: none
	text    string
	message *Frame // a message before the Close frame; nil: none
}

// init fills in a session that r opens.
func (s *Session) init(server *host, c frame.Codec, r *http.Request) {
	s.server = server
	s.id = newID(server.config.Tag())
	s.codec = c
	address, secure := server.config.client(r)
	s.request = keep(r, address, secure)
	s.context = server.config.keptContext(r)
	s.opened = server.now()
	s.held = s.request.size()
}

// ID is the session's id, twenty URL-safe characters: a secret between client and server.
func (s *Session) ID() string { return s.id }

// Revision is the Engine.IO protocol revision, 3 or 4, or 0 for a plain session.
func (s *Session) Revision() int { return int(s.codec.Revision) }

// Transport is the transport in use now: "polling" or "websocket", "native" for a plain WebSocket, "sse" for an event stream.
func (s *Session) Transport() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.transportLocked()
}

func (s *Session) transportLocked() string {
	switch {
	case s.streams():
		return transportStream
	case s.socket == nil:
		return transportPolling
	}
	return socketTransport(s.codec)
}

// Done returns a channel that is closed when the session has ended. A Receiver that blocks in Message should return then:
// its Closed is called after that, and Server.Close waits for it.
func (s *Session) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done == nil {
		s.done = make(chan struct{})
		if s.state == stateClosed {
			close(s.done)
		}
	}
	return s.done
}

// ended reports whether the session has ended: the table keeps such a one for a late GET and for nothing else.
func (s *Session) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == stateClosed
}

// Handshake describes the request that opened the session.
func (s *Session) Handshake() Handshake {
	h := s.request.parse()
	h.Time = s.server.epoch.Add(s.opened)
	return h
}

// Context returns a context with the values that Config.Context kept of the session's first request. It is cancelled when
// the session has ended.
func (s *Session) Context() context.Context { return sessionContext{s.context, s} }

// sessionContext has the values of one context and the life of a session.
type sessionContext struct {
	context.Context
	session *Session
}

func (c sessionContext) Done() <-chan struct{} { return c.session.Done() }

func (c sessionContext) Err() error {
	if c.session.ended() {
		return context.Canceled
	}
	return nil
}

// streams reports whether the session is an event stream: a GET whose answer is written piece by piece. Between two pieces
// the GET waits in the seat like that of any polling session.
func (s *Session) streams() bool { return s.polling != nil && s.polling.stream }

func (s *Session) alarmPlace() *alarm.Place { return &s.beat.place }

// setDueLocked moves the deadline. The alarm is only touched when it would come too late; when it comes too early it is set
// again, which saves a change for each pong.
func (s *Session) setDueLocked(due time.Duration) {
	s.beat.due = due
	s.armLocked(due)
}

// armLocked has onTimer called at a time, or before it.
func (s *Session) armLocked(at time.Duration) {
	b := &s.beat
	if b.armed != 0 && b.armed <= at {
		return
	}
	b.armed = at
	s.server.alarms.Set(s, at)
}

// disarmLocked gives the deadline up.
func (s *Session) disarmLocked() {
	if s.beat.armed != 0 {
		s.server.alarms.Cancel(s)
		s.beat.armed = 0
	}
}
