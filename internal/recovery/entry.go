package recovery

import (
	"slices"
	"strings"
	"sync"

	"github.com/carillon-io/carillon/internal/sio/wire"
	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// What an entry takes beside its texts: the entry, its place in the log and in the store's queue, and its place in the list
// of one room, whose list and name in the index it may be alone to use.
const (
	entryOverhead = 240
	roomOverhead  = 96
)

// Event is an event to be kept.
type Event struct {
	Args       packet.Args // event name first
	Target     rooms.Target
	NoCompress bool
	Offset     string // given by the cluster's order; empty: the log makes it
	// Session is set for an event to one socket, whatever rooms that is in; else Target says whom it is for.
	Session *Session
}

// entry is an event in a log.
type entry struct {
	// Static once appended.
	log    logID // that gave it its place: of this node, or of one that a session has come from
	place  uint64
	offset string
	event  Event
	size   int
	payer  *account // of an event to one socket; nil: everybody's

	at int64 // when the event was queued for its last recipient; 0 until then. Log.mu guards it

	mu sync.Mutex // held while message is sent, which is a leaf for this package
	// mu guards the following.
	message *wire.Message // made when the first client is sent it from the log: most never are
	dropped bool          // no longer counted
}

// newEntry copies what it keeps: an event may be a small piece of a large message.
func newEntry(e Event) *entry {
	size := entryOverhead + len(e.Args.JSON)
	for _, a := range e.Args.Attachments {
		size += len(a) + 24
	}
	block := make([]byte, 0, size-entryOverhead)
	keep := func(data []byte) []byte {
		start := len(block)
		block = append(block, data...)
		return block[start:len(block):len(block)]
	}
	kept := Event{Args: packet.Args{JSON: keep(e.Args.JSON)}, NoCompress: e.NoCompress, Session: e.Session}
	if len(e.Args.Attachments) > 0 {
		kept.Args.Attachments = make([][]byte, len(e.Args.Attachments))
		for i, a := range e.Args.Attachments {
			kept.Args.Attachments[i] = keep(a)
		}
	}
	names := func(list []string) []string {
		list = slices.Clone(list)
		for i, name := range list {
			list[i] = strings.Clone(name)
			size += len(name) + roomOverhead
		}
		return list
	}
	kept.Target = rooms.Target{Rooms: names(e.Target.Rooms), Except: names(e.Target.Except)}
	return &entry{event: kept, size: size}
}

// send calls f with the event as a packet. f does not keep it.
func (e *entry) send(l *Log, f func(*wire.Message) bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.message == nil {
		m := wire.Event(l.name, e.event.Args)
		m.Offset, m.NoCompress = e.offset, e.event.NoCompress
		e.message = &m
		if !e.dropped {
			l.store.bytes.Add(int64(e.encoded()))
		}
	}
	return f(e.message)
}

// drop counts the entry out.
func (e *entry) drop(l *Log) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dropped = true
	size := e.size
	if e.message != nil {
		size += e.encoded()
	}
	l.store.bytes.Add(-int64(size))
	if e.payer != nil {
		e.payer.events.Add(-int64(e.size))
		l.store.leave(e.payer)
	}
}

// encoded is what the packet takes beside the event.
func (e *entry) encoded() int { return e.size + entryOverhead }

// isFor reports whether a session whose rooms are in is to receive the event.
func (e *entry) isFor(s *Session, in map[string]struct{}) bool {
	if e.event.Session != nil {
		return e.event.Session == s
	}
	return (len(e.event.Target.Rooms) == 0 || anyIn(e.event.Target.Rooms, in)) && !anyIn(e.event.Target.Except, in)
}

func anyIn(names []string, in map[string]struct{}) bool {
	for _, name := range names {
		if _, ok := in[name]; ok {
			return true
		}
	}
	return false
}
