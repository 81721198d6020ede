package upstream

import (
	"encoding/hex"
	"strconv"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// kind is what an entry is about, as its field t says; over, claim and forget store nothing.
type kind string

const (
	kindConnected    kind = "connected"
	kindEvent        kind = "event"
	kindDisconnected kind = "disconnected"
	kindOver         kind = "over"   // a socket leaves a route without lifecycle entries
	kindClaim        kind = "claim"  // a socket is this node's from now on
	kindForget       kind = "forget" // a socket has become another node's
)

// maxAttachments is how many attachments an entry may have: the script hands the fields of an entry to Redis on Lua's
// stack, which takes fewer than 8,000.
const maxAttachments = 1000

// entry is one entry of a stream, and what waits for it.
type entry struct {
	// Static after construction.
	kind    kind
	stay    *stay
	move    string // of its stay
	rest    []any  // its fields behind ts
	held    int    // bytes that it counts for
	arrived time.Time
	// deadline is until when Redis may take it; zero: whenever. An end's counts while no batch has held anything of its stay.
	deadline time.Time
	stored   func(string, error) // called once, with the id or an error; nil: nothing waits
	token    string              // under which an answer is waited for; empty: none is

	// The partition's mu guards the following.
	settled bool   // stored has been called, or is about to be
	seq     uint64 // while it is part of a batch
}

// entryOverhead is what an entry and the words of its fields take beside their bytes.
const (
	entryOverhead = 256
	wordOverhead  = 48
)

// newEvent is the entry of an event. It keeps nothing of what it is given: a few bytes would hold on to the whole message
// that they came in.
func newEvent(st *stay, f *Event, now time.Time, deadline time.Duration) *entry {
	size := len(f.Name) + len(f.Args.JSON)
	for _, a := range f.Args.Attachments {
		size += len(a)
	}
	buffer := make([]byte, 0, size)
	own := func(b []byte) []byte {
		from := len(buffer)
		buffer = append(buffer, b...)
		return buffer[from:len(buffer):len(buffer)]
	}
	name, data := own([]byte(f.Name)), emptyList
	if len(f.Args.JSON) > 0 {
		data = own(f.Args.JSON)
	}
	rest := make([]any, 0, 14+2*len(f.Args.Attachments))
	rest = append(rest, "ev", name, "data", data)
	h := newHash()
	h.add(name)
	h.add(data)
	for i, a := range f.Args.Attachments {
		bytes := own(a)
		rest = append(rest, "b"+strconv.Itoa(i), bytes)
		h.add(bytes)
	}
	rest = append(rest, "h", h.text())
	e := &entry{kind: kindEvent, stay: st, move: st.move, rest: rest, arrived: now, deadline: now.Add(deadline), stored: f.Stored}
	e.user()
	if f.Answered != nil {
		e.token = newToken(e.deadline)
		e.rest = append(e.rest, "ack", e.token, "dl", strconv.FormatInt(e.deadline.UnixMilli(), 10))
	}
	if f.Trace != "" {
		e.rest = append(e.rest, "tp", f.Trace)
	}
	e.held = entryOverhead + size + wordOverhead*len(e.rest)
	return e
}

var emptyList = []byte("[]")

func newConnected(st *stay, now time.Time) *entry {
	c := &st.socket.client
	e := &entry{kind: kindConnected, stay: st, arrived: now, rest: []any{"ip", c.Address, "auth", c.Auth}}
	size := len(c.Address) + len(c.Auth) + len(c.User) + len(c.Claims)
	e.user()
	if len(c.Claims) > 0 {
		e.rest = append(e.rest, "claims", c.Claims)
	}
	e.held = entryOverhead + size + wordOverhead*len(e.rest)
	return e
}

// newMark is an entry that only says whose a socket is.
func newMark(k kind, st *stay, now time.Time) *entry {
	return &entry{kind: k, stay: st, move: st.move, arrived: now, held: entryOverhead}
}

// newEnd is the last entry of a socket on a route.
func newEnd(st *stay, reason string, now time.Time) *entry {
	e := &entry{kind: kindOver, stay: st, move: st.move, arrived: now, deadline: now.Add(st.partition.route.config.Load().Deadline)}
	if st.connected {
		e.kind = kindDisconnected
		e.rest = []any{"reason", reason}
		e.user()
	}
	e.held = entryOverhead + len(reason) + wordOverhead*len(e.rest)
	return e
}

func (e *entry) user() {
	if user := e.stay.socket.client.User; user != "" {
		e.rest = append(e.rest, "user", user)
	}
}

// record is what a survivor must know about the socket to end it; empty where nothing is to be said.
func (st *stay) record() string {
	c := &st.socket.client
	switch {
	case !st.connected:
		return ""
	case c.User == "":
		return c.Namespace
	}
	return c.Namespace + "," + c.User // no namespace has a comma in its name
}

// counts reports whether the entry takes a seq.
func (e *entry) counts() bool { return e.kind != kindClaim && e.kind != kindForget }

// append adds the entry's words for the script.
func (e *entry) append(args []any) []any {
	args = append(args, string(e.kind), e.stay.socket.client.ID, strconv.FormatUint(e.seq, 10)+e.move, e.stay.socket.client.Namespace,
		strconv.FormatInt(e.arrived.UnixMilli(), 10), e.stay.record(), len(e.rest))
	return append(args, e.rest...)
}

// hash is the field h of an event: 128 bits over its name, arguments and attachments, each followed by a zero byte.
type hash struct{ low, high *xxhash.Digest }

func newHash() hash { return hash{xxhash.NewWithSeed(0), xxhash.NewWithSeed(1)} }

func (h hash) add(b []byte) {
	_, _ = h.low.Write(b) // never fails
	_, _ = h.low.Write(zero)
	_, _ = h.high.Write(b)
	_, _ = h.high.Write(zero)
}

var zero = []byte{0}

func (h hash) text() string {
	var sum [16]byte
	copy(sum[:8], h.low.Sum(nil))
	copy(sum[8:], h.high.Sum(nil))
	return hex.EncodeToString(sum[:])
}

// Event is a client's event on its way to a backend.
type Event struct {
	Route string
	Name  string
	Args  packet.Args // of which nothing is kept
	Trace string      // traceparent; empty: none
	// Stored is called once, on any goroutine: with the id of the entry once Redis has stored it, or with ErrOverloaded,
	// ErrUnavailable or ErrLost.
	Stored func(id string, err error)
	// Answered is nil where no answer is wanted. Else it is called once, perhaps before Stored: with the backend's answer,
	// or with ErrTimeout. It is not called after Stored had an error.
	Answered func(args packet.Args, err error)
}
