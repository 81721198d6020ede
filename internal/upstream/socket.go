package upstream

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Client is what backends learn about a socket, and what its way to them needs of it.
type Client struct {
	ID        string
	Namespace string
	User      string // empty: none
	Address   string
	Auth      []byte // a JSON object, without token
	Claims    []byte // a JSON object; nil: none
	Connection
}

// Connection is the connection that a socket has at present. Its methods do not block.
type Connection interface {
	// Context ends with the socket on this connection, the channel of Closed with the connection.
	Context() context.Context
	Closed() <-chan struct{}
	// SendAway closes the connection so that the client comes back.
	SendAway()
}

// Socket is one client's way to the backends. Forward, Resume, Leave and Moved are called one at a time; Offer may be under way
// meanwhile.
type Socket struct {
	// Static after construction.
	up     *Upstream
	node   *node
	client Client

	mu sync.Mutex // a leaf, but for what put needs
	// mu guards the following.
	connection Connection
	stays      []*stay // one for each route it has come to
	sealed     bool    // offered to another node, or gone: nothing new is taken
	left       bool    // it has ended here
	held       uint64  // number of the move by which this node has it; 0: it began here
	offered    uint64  // the highest number that a hand-over or claim of this socket had
	claim      *claim  // of the last time that this node took it from another, or back; nil: never

	account account // guarded by the budget's mu

	underWay atomic.Int64                  // entries that Redis may yet store
	quiet    atomic.Pointer[chan struct{}] // closed when there are none; nil: nothing waits for that
}

// stay is a socket's life on one route: what its entries there have in common.
type stay struct {
	// Static after construction.
	socket    *Socket
	partition *partition
	connected bool // a connected entry was its first one, so a disconnected entry must be the last

	// The socket's mu guards the following.
	move string // a space and the number of its move, once it has moved or was offered: what follows seq in entries

	// The partition's mu guards the following.
	seq    uint64 // of the last entry that is part of a batch
	queued int    // events that wait to be part of one
	first  *entry // the connected entry
}

// Open begins a socket's way to the backends, with a connected entry on each route that wants those. It does not block.
func (u *Upstream) Open(c Client) *Socket {
	s := &Socket{up: u, client: c, connection: c.Connection}
	s.client.Connection = nil
	s.node = u.enter(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range u.routes.Load().lifecycle {
		s.onLocked(r)
	}
	return s
}

// onLocked is the socket's stay on a route, from its first entry there on.
func (s *Socket) onLocked(r *route) *stay {
	for _, st := range s.stays {
		if st.partition.route.name == r.name {
			return st
		}
	}
	partitions := r.partitions()
	st := &stay{
		socket: s, partition: partitions[partitionOf(s.client.ID, len(partitions))], connected: r.config.Load().Lifecycle,
	}
	s.stays = append(s.stays, st)
	if st.connected {
		st.first = newConnected(st, time.Now())
		s.put(st.first)
	}
	return st
}

// put queues an entry that cannot be refused.
func (s *Socket) put(e *entry) {
	s.underWay.Add(1)
	s.up.budget.add(&s.account, e.held)
	e.stay.partition.put(e)
}

// begin makes an event one that is under way, and returns its stay and the connection that it comes over. false: the socket
// has left, or is offered to another node.
func (s *Socket) begin(r *route) (*stay, Connection, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sealed {
		return nil, nil, false
	}
	s.underWay.Add(1)
	return s.onLocked(r), s.connection, true
}

// free gives back what an entry held, which Redis has stored or never will.
func (s *Socket) free(e *entry) {
	s.up.budget.release(&s.account, e.held)
	s.passed()
}

// passed ends what begin and put began.
func (s *Socket) passed() {
	if s.underWay.Add(-1) > 0 {
		return
	}
	if quiet := s.quiet.Swap(nil); quiet != nil {
		close(*quiet)
	}
}

// Forward sends an event to its route. It blocks while the socket has too much waiting, until the route's deadline or the
// end of the connection: nothing more is read from the client meanwhile. An error is final, and f's functions are not
// called then.
func (s *Socket) Forward(f *Event) error {
	r := s.up.routes.Load().byName[f.Route]
	switch {
	case r == nil:
		return ErrRoute
	case len(f.Args.Attachments) > maxAttachments:
		r.metrics.invalid.Inc()
		return ErrInvalid
	}
	st, connection, ok := s.begin(r)
	if !ok {
		r.metrics.count(ErrGone)
		return ErrGone
	}
	e := newEvent(st, f, time.Now(), r.config.Load().Deadline)
	held := e.held
	if f.Answered != nil {
		held += pendingHeld
	}
	if err := s.up.budget.admit(&s.account, held, e.deadline, connection); err != nil {
		s.passed()
		r.metrics.count(err)
		return err
	}
	if f.Answered != nil {
		s.await(e, f, connection)
	}
	e.stay.partition.put(e)
	return nil
}

// connected is the connection of the moment.
func (s *Socket) connected() Connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connection
}

// Leave ends the socket's stay on all routes. Where another node has claimed it, nothing changes for backends.
func (s *Socket) Leave(reason string) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left {
		return
	}
	s.left, s.sealed = true, true
	for _, st := range s.stays {
		if !st.partition.withdraw(st, now) {
			s.put(newEnd(st, reason, now))
		}
	}
	s.node.leave(s)
}

// node is this process under one name. A node that was declared lost takes another.
type node struct {
	// Static after construction.
	id         string
	registered chan struct{} // closed once a heartbeat under this name was accepted
	lost       chan struct{} // closed once the name was declared lost

	mu sync.Mutex
	// mu guards the following.
	sockets    map[*Socket]struct{}
	isLost     bool
	partitions map[*partition]struct{} // that have a record of it
}

func newNode(id string) *node {
	return &node{
		id: id, registered: make(chan struct{}), lost: make(chan struct{}),
		sockets: make(map[*Socket]struct{}), partitions: make(map[*partition]struct{}),
	}
}

// enter makes the socket one of the node that has the name of the moment.
func (u *Upstream) enter(s *Socket) *node {
	for {
		n := u.node.Load()
		n.mu.Lock()
		if !n.isLost {
			n.sockets[s] = struct{}{}
			n.mu.Unlock()
			return n
		}
		n.mu.Unlock() // another name is about to take its place
	}
}

func (n *node) leave(s *Socket) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.sockets, s)
}
