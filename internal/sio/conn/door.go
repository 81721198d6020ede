package conn

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carillon-io/carillon/internal/native"
	"github.com/carillon-io/carillon/internal/sio/tally"
	"github.com/carillon-io/carillon/internal/sio/wire"
	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Door is how a client without Socket.IO has come in: its connection is one socket, in the namespace that its request named.
type Door struct {
	Protocol  native.Protocol
	Namespace string
	// Last is what a reader of events says it has received last: the id of an event. The zero value: nothing.
	Last EventID
	// Answered, when not nil, is called once: with nil when the socket is connected, else with why it is not. It must not block.
	Answered func(*Refused)
}

// EventID names an event of a stream whose reader may come back: its session's secret, and the event's offset in the log.
type EventID struct{ PID, Offset string }

// ParseEventID reads an id as streams write it; ok is false for what cannot be one, which a client may have from elsewhere.
func ParseEventID(text string) (id EventID, ok bool) {
	const longest = 128
	pid, offset, ok := strings.Cut(text, ".")
	if !ok || pid == "" || len(text) > longest {
		return EventID{}, false
	}
	return EventID{pid, offset}, true
}

// claim is the id as a client of Socket.IO would say it with CONNECT; nil for none.
func (id EventID) claim() []byte {
	if id.PID == "" {
		return nil
	}
	claim := packet.AppendString([]byte(`{"pid":`), id.PID)
	if id.Offset != "" {
		claim = packet.AppendString(append(claim, `,"offset":`...), id.Offset)
	}
	return append(claim, '}')
}

// Refused is why a socket of a door was not connected.
type Refused struct {
	Code    int // of the Close frame
	Message string
}

// door is that side of a Conn.
type door struct {
	Door
	decoder  native.Decoder // static
	required bool           // static: without a hello the socket is refused
	answered sync.Once
	pid      atomic.Pointer[string] // of a stream whose reader may come back; nil: of another, or not known yet

	greeted bool // the client's first message was a hello, or its time for one is over; owned by the reader
	begun   bool // the socket is being connected, or was; guarded by the Conn's mu
}

// The codes of Close frames, and of an error's message before one.
const (
	codeAway     = 1001 // drain: the client is to come back
	codeTooLarge = 1009 // in the engine; 4413 for the client
	codeOverload = 1013
	codeInvalid  = 4400 // a message that its protocol does not have
	CodeToken    = 4401
	CodeDenied   = 4403
	codeNoHello  = 4408
	codeSize     = 4413
)

// parting is how a connection is closed: the Close frame's code, and the error in the message before it.
type parting struct {
	code          int
	name, message string
}

var (
	overload = parting{codeOverload, "overloaded", "try again later"}
	noHello  = parting{codeNoHello, "no_hello", "no hello with a token came in time"}
	noToken  = parting{CodeToken, tokenMissing, "a hello with a token has to come first"}
)

// The codes of refusals that are about a token.
const (
	tokenMissing = "token_missing"
	tokenInvalid = "token_invalid"
	tokenExpired = "token_expired"
)

var errHello = errors.New("hello comes once, before anything else")

// newDoor opens a connection whose socket is connected at once, or when its client has said hello.
func newDoor(set *Set, session *engine.Session, config Door) *Conn {
	d := &door{Door: config}
	d.decoder = native.Decoder{Protocol: d.Protocol, MaxAttachments: set.config.MaxAttachments, MaxDepth: set.config.MaxDepth}
	var wait time.Duration
	if d.Protocol == native.JSON && set.config.Hello != nil {
		wait, d.required = set.config.Hello(session, d.Namespace)
	}
	c := openConn(set, session, d)
	switch {
	case wait == 0:
		c.begin(config.Last.claim())
	case !d.required: // else the time for a namespace is that for a hello
		c.mu.Lock()
		c.stopTimerLocked()
		c.idle = time.AfterFunc(wait, func() { c.begin(nil) })
		c.mu.Unlock()
	}
	return c
}

// begin connects the socket, with what its client proves itself with. It does nothing when that has happened before, or the
// connection has ended. With auth only the reader calls it, or its maker.
func (c *Conn) begin(auth []byte) {
	c.mu.Lock()
	if c.door.begun || c.closed {
		c.mu.Unlock()
		return
	}
	c.door.begun = true
	if len(auth) > 0 && !c.session.Hold(len(auth)) {
		c.mu.Unlock()
		c.overMemory()
		return
	}
	defer c.mu.Unlock()
	c.awaitNamespaceLocked()
	s := c.newSocket(c.door.Namespace, auth)
	c.sockets = append(c.sockets, s)
	c.putLocked(item{socket: s, kind: itemConnect})
}

// takeNative handles one message of a client of a door. It blocks while the mailbox is full.
func (c *Conn) takeNative(data []byte, binary bool) {
	p, err := c.door.decoder.Decode(data, binary)
	first := !c.door.greeted
	c.door.greeted = true
	if err != nil {
		c.refuse(tally.Malformed, err)
		return
	}
	p.Namespace = c.door.Namespace
	switch {
	case p.Type == packet.Connect && !first:
		c.refuse(tally.Violation, errHello)
	case p.Type == packet.Connect:
		c.hello(&p)
	case c.waits():
		c.refused = true
		c.partAs(noToken)
	case p.Type == packet.Event:
		c.begin(nil)
		c.event(&p)
	default:
		c.begin(nil)
		c.ack(&p)
	}
}

// waits reports whether only a hello can connect the socket.
func (c *Conn) waits() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.door.required && !c.door.begun
}

// hello connects the socket with what the client has said. Where that was not waited for, it changes nothing.
func (c *Conn) hello(p *packet.Packet) {
	if len(p.Data) > c.set.config.MaxAuth {
		c.set.tally.Dropped(tally.Auth)
		c.refused = true
		c.partAs(parting{codeSize, "too_large", "the hello is too large"})
		return
	}
	c.begin(p.Data)
}

// late ends a connection whose socket is not connected in time.
func (c *Conn) late() {
	if c.waits() {
		c.partAs(noHello)
		return
	}
	c.sendAway(engine.ForcedClose) // its rules wait for something that passes by itself
}

// answer reports once whether the socket was connected. It does nothing for a nil d.
func (d *door) answer(r *Refused) {
	if d != nil && d.Answered != nil {
		d.answered.Do(func() { d.Answered(r) })
	}
}

// streams reports whether the client reads an event stream.
func (d *door) streams() bool { return d != nil && d.Protocol == native.Events }

// numbered returns the frames of an event with the line before them that names it, which is the client's alone.
func (d *door) numbered(m *wire.Message, frames []*engine.Frame) []*engine.Frame {
	pid := d.pid.Load()
	if pid == nil || m.Offset == "" || len(frames) == 0 {
		return frames
	}
	line := native.AppendID(nil, *pid, m.Offset)
	return append([]*engine.Frame{engine.NewPlainFrame(line, false, time.Time{})}, frames...)
}

// open begins a stream: with a comment, and for a reader that may come back with the id of the place where it begins. answer
// is the data of the CONNECT answer.
func (c *Conn) open(answer []byte) {
	d := c.door
	out := native.AppendComment(nil, "connected to "+d.Namespace)
	packet.EachMember(answer, func(name, value []byte) bool {
		if string(name) != `"pid"` {
			return true
		}
		pid := string(value[1 : len(value)-1]) // it needs no escaping
		d.pid.Store(&pid)
		offset := ""
		if pid == d.Last.PID {
			offset = d.Last.Offset
		}
		out = append(native.AppendID(out, pid, offset), '\n')
		return false
	})
	c.session.Send(false, engine.NewPlainFrame(out, false, time.Time{}))
}

// partAs queues the reason for the client and closes the connection behind it. It may be called under mu.
func (c *Conn) partAs(p parting) {
	c.door.answer(&Refused{p.code, p.message})
	if f := c.lastWord(p); f != nil {
		c.session.Send(false, f)
	}
	c.session.CloseWith(engine.ForcedClose, p.code, text(p.message))
}

// lastWord is the message before a Close frame; nil where the protocol has none.
func (c *Conn) lastWord(p parting) *engine.Frame {
	out, ok := native.AppendError(nil, c.door.Protocol, p.name, p.message)
	if !ok {
		return nil
	}
	return engine.NewPlainFrame(out, false, time.Time{})
}

// text shortens a message to what fits a Close frame.
func text(message string) string {
	const most = 123 // RFC 6455, 5.5: 125 with the code
	if len(message) <= most {
		return message
	}
	end := most
	for end > 0 && message[end]&0xc0 == 0x80 { // within a character
		end--
	}
	return message[:end]
}

// Farewell is how the engine asks to tell the client of an end that the engine has found: see engine.Farewell.
func (c *Conn) Farewell(code int) (int, string, *engine.Frame) {
	p := parting{code: code}
	switch code {
	case codeAway:
		p.name, p.message = "going_away", "connect again"
	case codeTooLarge:
		p = parting{codeSize, "too_large", "the message is too large"}
	case 0:
		return 0, "", nil
	default:
		p.name, p.message = "invalid", "the frames are not as RFC 6455 wants them"
	}
	return p.code, p.message, c.lastWord(p)
}

// rejection is the parting of a connection whose socket was refused.
func (c *Conn) rejection(cause error) parting {
	p := parting{CodeDenied, "denied", cause.Error()}
	var refused *ConnectError
	switch {
	case errors.Is(cause, ErrInvalidNamespace):
		p.name = "invalid_namespace"
	case errors.As(cause, &refused) && refused.Data != nil:
		var data struct{ Code string }
		if err := json.Unmarshal(c.set.JSON(refused.Data), &data); err == nil && data.Code != "" {
			p.name = data.Code
		}
	}
	switch p.name {
	case tokenMissing, tokenInvalid, tokenExpired:
		p.code = CodeToken
	}
	return p
}

// dismissal is the parting of a connection whose socket the server disconnects.
func dismissal(reason Reason) parting {
	if reason == "token expired" {
		return parting{CodeToken, tokenExpired, string(reason)}
	}
	return parting{CodeDenied, "disconnected", string(reason)}
}
