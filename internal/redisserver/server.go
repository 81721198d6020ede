package redisserver

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/internal/redisqueue"
	"github.com/carillon-io/carillon/internal/redissub"
)

// Server is one Redis server whole.
//
// Four goroutines: receive connects and reads, command writes subscription commands, publish sends, watch probes.
type Server struct {
	// Static after construction.
	config   *Config
	speech   *Speech
	address  string // "" for the one that the caller's client leads to
	events   events
	log      *zap.Logger
	queue    *redisqueue.Queue
	incoming redisconn.Dialer // owned by receive
	outgoing redisconn.Dialer // owned by publish
	wake     chan struct{}    // command may have something to do; never closed
	probing  chan struct{}    // and watch; never closed

	receivesFrom string // the id of the server that the connection in is with, if that is known; owned by receive
	number       uint64 // static: no other server of this process has it

	connected atomic.Bool // the connection out
	ready     atomic.Bool // a probe has come back, once
	deaf      atomic.Bool // written under mu

	mu sync.Mutex
	// mu guards the following.
	table *redissub.Table
	fence redissub.Interest // in the fences of all nodes; zero where there are none
	in    *redisconn.Conn   // nil while there is none
	out   *redisconn.Conn   // to be cut; nil while there is none
	// sendsTo is the id of the server that the last connection out was with, if that is known.
	sendsTo string

	end context.CancelFunc // set by the placement
}

// events are the calls of a server to its placement. They are made without locks and do not block.
type events interface {
	// trouble: there is no connection, or no server for a slot.
	trouble()
	// moved: another server serves a slot; false: that is of no use.
	moved(from *Server, slot uint16, address string) bool
	// settled: the outcome of a batch is known; again are those of its messages that were certainly not carried out.
	settled(from *Server, again []redisqueue.Message)
}

func newServer(
	cfg *Config, sp *Speech, address string, source redisconn.Source, bySlot bool, probe redissub.Interest, ev events,
) *Server {
	s := &Server{
		config:  cfg,
		speech:  sp,
		address: address,
		events:  ev,
		log:     cfg.Logger,
		queue:   redisqueue.New(cfg.Queue, cfg.Metrics.Queue),
		incoming: redisconn.Dialer{
			Source: source, Name: "carillon:" + cfg.Node + ":in", Buffer: 64 << 10, Cluster: cfg.Identify,
		},
		outgoing: redisconn.Dialer{Source: source, Name: "carillon:" + cfg.Node + ":out", Cluster: cfg.Identify},
		wake:     make(chan struct{}, 1),
		probing:  make(chan struct{}, 1),
		table:    redissub.New(cfg.Linger, sp.Sharded, bySlot),
		number:   servers.Add(1),
	}
	if address != "" {
		s.log = s.log.With(zap.String("server", address))
	}
	s.setProbe(probe)
	if cfg.Fence != "" && !bySlot {
		s.setFence(redissub.Interest{Channel: cfg.Fence, Kind: redissub.Fence})
	}
	return s
}

// servers counts those that were made, for their numbers.
var servers atomic.Uint64

// run serves until ctx ends.
func (s *Server) run(ctx context.Context) {
	var group sync.WaitGroup
	group.Go(func() { s.receive(ctx) })
	group.Go(func() { s.command(ctx) })
	group.Go(func() { s.publish(ctx) })
	group.Go(func() { s.watch(ctx) })
	group.Wait()
	s.update(func() { s.table.Close() })
	s.queue.Close()
}

// Connected reports whether there is a connection to publish on.
func (s *Server) Connected() bool { return s.connected.Load() }

// Ready reports whether a probe has ever come back.
func (s *Server) Ready() bool { return s.ready.Load() }

// Deaf reports whether Redis takes probes and none comes back.
func (s *Server) Deaf() bool { return s.deaf.Load() }

// ProbeChannel is the channel of this node's probes at the server.
func (s *Server) ProbeChannel() string { return s.probe().Channel }

func (s *Server) probe() redissub.Interest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table.Probe()
}

func (s *Server) setProbe(in redissub.Interest) {
	s.update(func() { s.table.SetProbe(in, time.Now()) })
}

// touch asks whether interests are wanted now. Asking and recording the answer happen under one lock, and each change is
// followed by a touch: the last answer is right.
func (s *Server) touch(interests []redissub.Interest) { s.update(func() { s.askLocked(interests) }) }

// askLocked reports whether all are wanted.
func (s *Server) askLocked(interests []redissub.Interest) bool {
	now, all := time.Now(), true
	for _, in := range interests {
		wanted := in.Kind == redissub.Fence && in == s.fence || s.speech.Wanted(in)
		s.table.Want(in, wanted, now)
		all = all && wanted
	}
	return all
}

// wait begins a wait for interests to be certain. One that is not wanted ends it.
func (s *Server) wait(interests []redissub.Interest, w *redissub.Wait) {
	s.update(func() {
		if s.askLocked(interests) {
			s.table.Begin(w, interests)
		} else {
			s.table.GiveUp(w)
		}
	})
}

// giveUp ends a wait unless it has ended.
func (s *Server) giveUp(w *redissub.Wait) { s.update(func() { s.table.GiveUp(w) }) }

// certain reports whether what was confirmed in a version of the table still holds.
func (s *Server) certain(version uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table.Version() == version
}

// wants reports whether channels of some slots are wanted.
func (s *Server) wants(slots func(slot uint16) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table.Wants(slots)
}

// release gives up what another server is to serve.
func (s *Server) release(served func(slot uint16) bool) (released []redissub.Interest) {
	s.update(func() { released = s.table.Release(served) })
	return released
}

// IsOn reports whether the channel of an interest is subscribed.
func (s *Server) IsOn(in redissub.Interest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table.IsOn(in)
}

// Exclude calls f unless a channel of the table suits, while none can be added.
func (s *Server) Exclude(suits func(channel string) bool, f func()) {
	s.update(func() {
		if !s.table.Names(suits) {
			f()
		}
	})
}

// update changes the table under the lock, and calls Done of the waits that this ends once the lock is released.
func (s *Server) update(change func()) {
	s.mu.Lock()
	change()
	urgent, ended := s.table.Urgent(), s.table.Ended()
	s.mu.Unlock()
	for _, e := range ended {
		e.Tell()
	}
	wakeUp(s.wake)
	if urgent {
		wakeUp(s.probing)
	}
}

func wakeUp(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// drop ends both connections, to be made anew.
func (s *Server) drop() {
	s.mu.Lock()
	in, out := s.in, s.out
	s.mu.Unlock()
	for _, c := range []*redisconn.Conn{in, out} {
		if c != nil {
			c.Close()
		}
	}
}
