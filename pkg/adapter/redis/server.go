package redis

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// server is one Redis server whole: a connection in, for which the table says what it is subscribed to, a connection out
// with its queue, and the probes that go out on one and must come back on the other.
//
// Four goroutines: receive connects and reads, command writes subscription commands, publish sends, watch probes.
type server struct {
	// Static after construction.
	address  string // "" for the one that the caller's client leads to
	speech   *speech
	env      *env
	log      *zap.Logger
	queue    *queue
	incoming redisconn.Dialer // owned by receive
	outgoing redisconn.Dialer // owned by publish
	wake     chan struct{}    // command may have something to do; never closed
	probing  chan struct{}    // and watch; never closed
	// events tell the placement what concerns more than this server. They are called without locks and do not block.
	events events

	gap bool // Redis has taken subscriptions away and accepted none since; owned by receive

	connected atomic.Bool // the connection out
	ready     atomic.Bool // a probe has come back, once
	deaf      atomic.Bool // written under mu

	mu sync.Mutex
	// mu guards the following.
	table  *table
	prober prober
	probe  interest
	in     *redisconn.Conn // nil while there is none
	out    *redisconn.Conn // to be cut; nil while there is none
	proven bool            // a probe has come back on in

	end context.CancelFunc // set by the placement
}

// speech is how a kind of channels is spoken: its commands, and what is done with its messages.
type speech struct {
	publish string // the command
	sharded bool
	// wanted reports whether this node wants an interest at this moment. It is called with the server's lock.
	wanted func(in interest) bool
	// receive acts on a message that came for an interest; refused is why it was not for this node, empty when it was.
	receive func(in interest, channel []byte, payload []byte) (refused receiveDrop)
}

// events are what a server tells its placement.
type events struct {
	connected func()                                               // connected has changed
	trouble   func()                                               // no connection, or no server for a slot
	moved     func(from *server, slot uint16, address string) bool // false: that is of no use
	settled   func(from *server, again []message)                  // the outcome of a batch is known
}

// env is what all servers of a node share.
type env struct {
	config     Config
	metrics    *metrics
	refusals   *redisconn.Refusals
	namespaces *namespaces
}

func newServer(address string, source redisconn.Source, sp *speech, bySlot bool, probe interest, e *env, ev events) *server {
	cfg := &e.config
	s := &server{
		address: address,
		speech:  sp,
		env:     e,
		log:     cfg.Logger,
		queue:   newQueue(cfg.Queue, e.metrics),
		wake:    make(chan struct{}, 1),
		probing: make(chan struct{}, 1),
		events:  ev,
		table:   newTable(cfg.Linger, sp.sharded, bySlot),
	}
	if address != "" {
		s.log = s.log.With(zap.String("server", address))
	}
	s.incoming = redisconn.Dialer{Source: source, Name: "carillon:" + cfg.NodeID + ":in", Buffer: 64 << 10}
	s.outgoing = redisconn.Dialer{Source: source, Name: "carillon:" + cfg.NodeID + ":out"}
	s.setProbe(probe)
	return s
}

// run serves until ctx ends.
func (s *server) run(ctx context.Context) {
	var group sync.WaitGroup
	group.Go(func() { s.receive(ctx) })
	group.Go(func() { s.command(ctx) })
	group.Go(func() { s.publish(ctx) })
	group.Go(func() { s.watch(ctx) })
	group.Wait()
	s.update((*table).close)
	s.queue.close()
}

func wakeUp(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// setProbe changes the channel of this node's probes.
func (s *server) setProbe(in interest) {
	s.update(func(t *table) {
		now := time.Now()
		if s.probe.channel != "" {
			t.want(s.probe, false, now)
		}
		s.probe = in
		t.want(in, true, now)
	})
}

func (s *server) currentProbe() interest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.probe
}

// touch asks whether interests are wanted now. Asking and recording the answer happen under one lock, and each change is
// followed by a touch: the last answer is right.
func (s *server) touch(interests []interest) {
	s.update(func(t *table) { s.askLocked(interests) })
}

// askLocked reports whether all are wanted.
func (s *server) askLocked(interests []interest) bool {
	now, all := time.Now(), true
	for _, in := range interests {
		wanted := s.speech.wanted(in)
		s.table.want(in, wanted, now)
		all = all && wanted
	}
	return all
}

// confirm calls w.done with nil once all interests are subscribed and a fence has come back, with an error when one is not
// wanted.
func (s *server) confirm(interests []interest, w *waiter) {
	s.update(func(t *table) {
		if !s.askLocked(interests) {
			t.resolve(w, adapter.ErrAway)
			return
		}
		w.keys = make([]rowKey, 0, len(interests)+1)
		w.keys = append(w.keys, s.probe.key())
		for _, in := range interests {
			w.keys = append(w.keys, in.key())
		}
		t.wait(w)
	})
}

// giveUp ends a wait unless it has ended.
func (s *server) giveUp(w *waiter) { s.update(func(t *table) { t.resolve(w, adapter.ErrAway) }) }

// certain reports whether what was confirmed in a version of the table still holds.
func (s *server) certain(version uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table.version == version
}

// release gives up what another server is to serve.
func (s *server) release(served func(slot uint16) bool) (released []interest) {
	s.update(func(t *table) { released = t.release(served) })
	return released
}

func (s *server) isOn(in interest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table.isOn(in)
}

// update changes the table, and ends the waits that this decides once the lock is released.
func (s *server) update(change func(*table)) {
	s.mu.Lock()
	change(s.table)
	fence := len(s.table.toFence) > 0
	s.prober.waiting = append(s.prober.waiting, s.table.toFence...)
	s.table.toFence = s.table.toFence[:0]
	ended := s.table.resolved
	s.table.resolved = nil
	s.mu.Unlock()
	for _, r := range ended {
		r.waiter.done(r.version, r.err)
	}
	wakeUp(s.wake)
	if fence {
		wakeUp(s.probing)
	}
}

// drop ends both connections, to be made anew.
func (s *server) dropBoth() {
	s.mu.Lock()
	in, out := s.in, s.out
	s.mu.Unlock()
	for _, c := range []*redisconn.Conn{in, out} {
		if c != nil {
			c.Close()
		}
	}
}
