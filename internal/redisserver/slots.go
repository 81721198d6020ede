package redisserver

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/internal/redisqueue"
	"github.com/carillon-io/carillon/internal/redissub"
)

const (
	// reloadInterval spaces the attempts to load the map of slots while some master cannot be reached.
	reloadInterval = 300 * time.Millisecond
	// checkInterval spaces them while all is well. A master that was frozen and comes back as a replica serves subscriptions
	// as before, and nothing tells that it was replaced and that messages were missed meanwhile.
	checkInterval = 10 * time.Second
	// busDelay is how long a message may be on its way between two servers of a cluster.
	busDelay = 250 * time.Millisecond
)

// Slots is the placement by hash slot on a Redis Cluster, whose masters come and go. Masters tell when that changes, by
// ending subscriptions and by refusing commands, and the refusal says whom to ask.
type Slots struct {
	// Static after construction.
	config   *Config
	speech   *Speech
	log      *zap.Logger
	topology redisconn.Topology // owned by watch
	nowhere  *redisqueue.Queue  // of messages for slots that no server is known to serve
	stale    chan struct{}      // the map of slots may have changed; never closed
	group    sync.WaitGroup

	routes atomic.Pointer[routes]

	// mu is held for reading while a message is brought to the server of its slot, so that none gets to a server after
	// its slot was taken away. Nothing else is called with it.
	mu sync.RWMutex
	// mu guards the following.
	ctx       context.Context  // of Run; nil before
	options   *goredis.Options // to connect to any master
	byAddress map[string]*Server
	// barriers are slots that have moved while a message was on its way at their old server: the new one holds later
	// messages back until that has been settled.
	barriers map[uint16]*Server
	// late are messages that replaced servers did not carry out, until busDelay is over.
	late     map[*Server][]redisqueue.Message
	homeless map[redissub.Key]redissub.Interest // in slots that no server is known to serve
	waiting  []func()                           // for slots to move
	closed   bool
}

// routes tell which server serves each slot; nil is none known. A table of routes never changes.
type routes [redisconn.Slots]*Server

// NewSlots makes the placement at the masters of the cluster of client.
func NewSlots(client *goredis.ClusterClient, sp *Speech, cfg *Config) *Slots {
	p := &Slots{
		config:    cfg,
		speech:    sp,
		log:       cfg.Logger,
		topology:  redisconn.Topology{Client: client},
		nowhere:   redisqueue.New(cfg.Queue, cfg.Metrics.Queue),
		stale:     make(chan struct{}, 1),
		byAddress: make(map[string]*Server),
		barriers:  make(map[uint16]*Server),
		late:      make(map[*Server][]redisqueue.Message),
		homeless:  make(map[redissub.Key]redissub.Interest),
	}
	p.routes.Store(new(routes))
	return p
}

// Owner implements [Placement].
func (p *Slots) Owner(slot uint16) *Server { return p.routes.Load()[slot] }

// queueOf is where the messages of a slot wait.
func (p *Slots) queueOf(slot uint16) *redisqueue.Queue {
	if s := p.Owner(slot); s != nil {
		return s.queue
	}
	return p.nowhere
}

// Push implements [Placement].
func (p *Slots) Push(m redisqueue.Message) {
	p.mu.RLock()
	lost := p.queueOf(m.Slot).Push(m)
	p.mu.RUnlock()
	lost.Finish()
}

// Servers implements [Placement].
func (p *Slots) Servers() []*Server {
	p.mu.RLock()
	defer p.mu.RUnlock()
	all := make([]*Server, 0, len(p.byAddress))
	for _, s := range p.byAddress {
		all = append(all, s)
	}
	return all
}

// Run implements [Placement].
func (p *Slots) Run(ctx context.Context) {
	p.mu.Lock()
	p.ctx = ctx
	p.mu.Unlock()
	p.watch(ctx)
	p.group.Wait()
	p.mu.Lock()
	p.closed = true
	replaced := slices.Collect(maps.Keys(p.late))
	p.mu.Unlock()
	for _, s := range replaced {
		p.settleReplaced(s)
	}
	p.tellMoved()
	p.nowhere.Close()
}

// watch loads the map of slots at the start, every checkInterval, and whenever something is wrong. It waits a little each
// time, because masters take some time to learn of a move from one another.
func (p *Slots) watch(ctx context.Context) {
	for ctx.Err() == nil {
		ranges, options, err := p.topology.Load(ctx)
		if err == nil {
			p.apply(ranges, options)
		} else if ctx.Err() == nil {
			p.log.Debug("cluster cannot be asked", zap.Error(err))
		}
		if err == nil && !slices.ContainsFunc(p.Servers(), func(s *Server) bool { return !s.Connected() }) {
			select {
			case <-ctx.Done():
			case <-p.stale:
			case <-time.After(checkInterval):
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(reloadInterval):
		}
	}
}

// apply records a map of slots. Those that it does not name stay where they are.
func (p *Slots) apply(ranges []redisconn.Range, options *goredis.Options) {
	p.mu.Lock()
	p.options = options
	next := *p.routes.Load()
	for _, r := range ranges {
		s := p.serverLocked(r.Address, uint16(r.First))
		for slot := r.First; slot <= r.Last; slot++ {
			next[slot] = s
		}
	}
	p.change(&next)
}

// moved records that a server named another one for a slot. Others may have moved as well.
func (p *Slots) moved(from *Server, slot uint16, address string) bool {
	if address == from.address {
		return false
	}
	p.mu.Lock()
	if owner := p.Owner(slot); owner != nil && owner.address == address {
		p.mu.Unlock()
		return true
	}
	next := *p.routes.Load()
	next[slot] = p.serverLocked(address, slot)
	p.change(&next)
	p.trouble()
	return true
}

// trouble has the map of slots loaded again.
func (p *Slots) trouble() { wakeUp(p.stale) }

// serverLocked is the server at an address, made if need be. It is to serve the slot.
func (p *Slots) serverLocked(address string, slot uint16) *Server {
	s := p.byAddress[address]
	if s == nil {
		probe := p.probeIn(func(other uint16) bool { return other == slot })
		s = newServer(p.config, p.speech, address, redisconn.At(p.options, address), true, probe, p)
		if p.config.Fence != "" {
			s.setFence(p.fenceIn(slot))
		}
		p.byAddress[address] = s
		p.log.Info("shard found", zap.String("address", address))
	}
	return s
}

// probeIn finds a name for the channel of this node's probes in one of the slots that serves accepts. There must be one.
func (p *Slots) probeIn(serves func(slot uint16) bool) redissub.Interest {
	tag, slot := tagIn(serves)
	return redissub.Interest{Channel: p.config.Probe + ":{" + tag + "}", Kind: redissub.Probe, Slot: slot}
}

// tagIn finds a hash tag in one of the slots that suits accepts. There must be one.
func tagIn(suits func(slot uint16) bool) (tag string, slot uint16) {
	for i := 0; ; i++ {
		tag := strconv.Itoa(i)
		if slot := redisconn.Slot(tag); suits(slot) {
			return tag, slot
		}
	}
}

// whenMoved implements [Placement].
func (p *Slots) whenMoved(f func()) {
	p.mu.Lock()
	closed := p.closed
	if !closed {
		p.waiting = append(p.waiting, f)
	}
	p.mu.Unlock()
	if closed {
		f()
	}
}

func (p *Slots) tellMoved() {
	p.mu.Lock()
	waiting := p.waiting
	p.waiting = nil
	p.mu.Unlock()
	for _, f := range waiting {
		f()
	}
}
