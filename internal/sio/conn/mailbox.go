package conn

import (
	"sync"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// What a mailbox holds before its reader waits. A single item of any size fits an empty one.
const (
	mailboxItems = 256
	mailboxBytes = 256 << 10
)

// itemKind says what is to be done with an item.
type itemKind uint8

const (
	itemConnect itemKind = iota // pass the middlewares, answer, call the connect handlers
	itemEvent                   // call the event's handler
	itemLeave                   // call the disconnect handlers, leave all rooms
)

// item is one thing for the worker of a connection to do.
type item struct {
	socket *Socket
	kind   itemKind
	hasID  bool // the client wants an acknowledgement under id
	id     uint64
	args   packet.Args // an event's, the name first
}

// size is what the item counts for against mailboxBytes.
func (it *item) size() int {
	n := len(it.args.JSON)
	for _, a := range it.args.Attachments {
		n += len(a)
	}
	return n
}

// mailbox holds, in order, what a client has sent until its handlers are called with it. It exists while there is
// something in it: most connections are idle. The connection's lock guards it.
type mailbox struct {
	items []item // items[head:] wait
	head  int
	bytes int
	space chan struct{} // made by a reader that waits, closed by the take that makes room
}

var mailboxes = sync.Pool{New: func() any { return new(mailbox) }}

func (m *mailbox) full() bool {
	return m != nil && (len(m.items)-m.head >= mailboxItems || m.bytes >= mailboxBytes)
}

// awaitSpace returns a channel that is closed when something is taken.
func (m *mailbox) awaitSpace() <-chan struct{} {
	if m.space == nil {
		m.space = make(chan struct{})
	}
	return m.space
}

func (m *mailbox) put(it item) {
	m.bytes += it.size()
	if m.head > len(m.items)/2 && len(m.items) == cap(m.items) {
		waiting := copy(m.items, m.items[m.head:])
		clear(m.items[waiting:])
		m.items, m.head = m.items[:waiting], 0
	}
	m.items = append(m.items, it)
}

// take returns the oldest item; false when there is none.
func (m *mailbox) take() (item, bool) {
	if m.head == len(m.items) {
		return item{}, false
	}
	it := m.items[m.head]
	m.items[m.head] = item{}
	m.head++
	m.bytes -= it.size()
	if m.space != nil {
		close(m.space)
		m.space = nil
	}
	return it, true
}

// release gives up an emptied mailbox. One that has grown is not used again.
func (m *mailbox) release() {
	const kept = 16 // items
	if cap(m.items) <= kept {
		m.items, m.head = m.items[:0], 0
		mailboxes.Put(m)
	}
}
