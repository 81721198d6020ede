package redis

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// subscriber keeps this node subscribed to what it wants. Two goroutines do it: receive connects, reads and hands on;
// command writes. They share the table and the current epoch.
type subscriber struct {
	// Static after construction.
	source  source
	naming  naming
	timeout time.Duration
	log     *zap.Logger
	metrics *metrics
	// message takes what arrives, in order; attached hears of each connection that has its probe channel. Both are
	// called by receive and must not block.
	message  func(in interest, payload string)
	attached func()
	// wake tells command that there may be something to do; never closed.
	wake chan struct{}

	mu sync.Mutex
	// mu guards the following.
	table      *table
	epoch      *epoch // nil while there is no connection
	namespaces map[string]*namespace
	// hints are channels somebody may want more or less than before, until command has asked.
	hints map[string]interest
}

// namespace is one that this node is a member of.
type namespace struct {
	open   bool
	asking int // open queries: while there are any, the shared response channel is wanted
}

func newSubscriber(cfg Config, from source, m *metrics) *subscriber {
	names := naming{
		key:          cfg.Key,
		tag:          cfg.Tag,
		nodeID:       cfg.NodeID,
		probeChannel: cfg.Prefix + ":probe:" + cfg.NodeID,
	}
	s := &subscriber{
		source:     from,
		naming:     names,
		timeout:    cfg.RequestTimeout,
		log:        cfg.Logger,
		metrics:    m,
		wake:       make(chan struct{}, 1),
		table:      newTable(names.probeChannel, cfg.Linger),
		namespaces: make(map[string]*namespace),
		hints:      make(map[string]interest),
	}
	s.hint(s.naming.probe())
	if cfg.Tag != "" {
		s.hint(s.naming.pattern())
	}
	return s
}

func (s *subscriber) setOpen(nsp string, open bool) {
	s.change(nsp, func(n *namespace) { n.open = open },
		s.naming.broadcast(nsp), s.naming.request(nsp), s.naming.own(nsp))
}

func (s *subscriber) setAsking(nsp string, change int) {
	s.change(nsp, func(n *namespace) { n.asking += change }, s.naming.shared(nsp))
}

// change changes a namespace, and hints at the channels that depend on it.
func (s *subscriber) change(nsp string, change func(*namespace), interests ...interest) {
	s.mu.Lock()
	n := s.namespaces[nsp]
	if n == nil {
		n = &namespace{}
		s.namespaces[nsp] = n
	}
	change(n)
	if *n == (namespace{}) {
		delete(s.namespaces, nsp)
	}
	s.hintLocked(interests...)
	s.mu.Unlock()
	s.wakeUp()
}

func (s *subscriber) isOpen(nsp string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.namespaces[nsp]
	return n != nil && n.open
}

func (s *subscriber) isOn(in interest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table.isOn(in.channel)
}

// touch hints at rooms.
func (s *subscriber) touch(nsp string, rooms []string) {
	interests := make([]interest, 0, len(rooms))
	for _, room := range rooms {
		if in := s.naming.room(nsp, room); in.kind == kindRoom {
			interests = append(interests, in)
		}
	}
	if len(interests) > 0 {
		s.hint(interests...)
	}
}

func (s *subscriber) hint(interests ...interest) {
	s.mu.Lock()
	s.hintLocked(interests...)
	s.mu.Unlock()
	s.wakeUp()
}

func (s *subscriber) hintLocked(interests ...interest) {
	if s.table.closed {
		return
	}
	for _, in := range interests {
		s.hints[in.channel] = in
	}
}

func (s *subscriber) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// confirm calls done with nil once the channels of all interests are believed, with ErrAway when that takes too long.
func (s *subscriber) confirm(interests []interest, done func(error)) {
	w := &waiter{interests: append([]interest{s.naming.probe()}, interests...)}
	w.done = func(err error) {
		w.timer.Stop()
		done(err)
	}
	s.update(func(t *table) {
		w.timer = time.AfterFunc(s.timeout, func() { s.update(func(t *table) { t.giveUp(w) }) })
		t.wait(w)
		s.hintLocked(w.interests...)
	})
}

// update changes the table, and tells whose wait has ended by it once the lock is released.
func (s *subscriber) update(change func(*table)) {
	s.mu.Lock()
	change(s.table)
	ended := s.table.resolved
	s.table.resolved = nil
	s.mu.Unlock()
	for _, r := range ended {
		r.waiter.done(r.err)
	}
	s.wakeUp()
}

// close ends every wait. It is called once both goroutines have ended.
func (s *subscriber) close() {
	s.update((*table).close)
}
