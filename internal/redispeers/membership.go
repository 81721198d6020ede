package redispeers

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisconn"
)

const (
	// leaveTime is how long a node that ends may take to write that it leaves.
	leaveTime = 500 * time.Millisecond
	// warnAgain spaces the warnings of a node whose heartbeats are not accepted.
	warnAgain = time.Minute
)

// Refusal is what a [redisconn.Refusals] calls a heartbeat that Redis refuses for lack of rights.
const Refusal = "heartbeat"

// Config is what a membership needs. All fields are required but Tag.
type Config struct {
	Client goredis.UniversalClient
	Prefix string // of all keys
	ID     string // of this node
	Tag    string // to be claimed; empty: none

	// Describe is what this node writes about itself at present. It must not block.
	Describe func() Record
	// Adopt makes a tag that has been claimed the one for new ids, or declines it. It must not block.
	Adopt func(tag string) bool
	// Gone is called for each node that has left or lapsed. It must not block.
	Gone func(id string)

	Logger       *zap.Logger
	Refusals     *redisconn.Refusals
	Nodes        prometheus.Gauge   // the nodes that are alive, this one included
	TagConflicts prometheus.Counter // times that another node had this node's tag
}

// Membership keeps this node's record in Redis and its tag claimed, and knows the other nodes by their records.
type Membership struct {
	*Peers

	// Static after construction.
	Config
	register register

	announced atomic.Bool           // a heartbeat has been accepted, once
	trouble   atomic.Pointer[error] // of the last heartbeat; nil when it was accepted

	// Owned by Run.
	warned  time.Time // when a failing heartbeat was logged last; zero while they are accepted
	written Record    // by the last heartbeat

	// reading is held while changes are read and applied, one reader at a time: they come in order.
	reading sync.Mutex
	since   string // the last change that was applied; guarded by reading

	mu sync.Mutex
	// mu guards the following.
	tag      string              // the claimed one, or to be claimed
	conflict bool                // another node has it
	lookUps  int                 // of tags since the last heartbeat
	found    map[string][]Record // results of those look-ups by tag; nil before the first
}

// New makes the membership of one node; Run starts it.
func New(cfg Config) *Membership {
	return &Membership{
		Peers:    NewPeers(),
		Config:   cfg,
		register: register{client: cfg.Client, keys: nodeKeys{prefix: cfg.Prefix}},
		tag:      cfg.Tag,
	}
}

// Announced reports whether Redis has ever accepted a heartbeat of this node.
func (m *Membership) Announced() bool { return m.announced.Load() }

// Trouble is why Redis did not accept this node's last heartbeat; nil when it did.
func (m *Membership) Trouble() error {
	if err := m.trouble.Load(); err != nil {
		return *err
	}
	return nil
}

// Run sends heartbeats until ctx ends, and then writes that the node leaves.
func (m *Membership) Run(ctx context.Context) {
	var wait redisconn.Backoff
	for ctx.Err() == nil {
		err := m.beat(ctx)
		m.report(ctx, err)
		if err != nil {
			wait.Sleep(ctx)
			continue
		}
		wait.Reset()
		select {
		case <-ctx.Done():
		case <-time.After(heartbeatInterval):
		}
	}
	if !m.Announced() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
	defer cancel()
	if err := redisconn.Within(ctx, func() error { return m.register.leave(ctx, m.self()) }); err != nil {
		m.Logger.Debug("node leaves without a last record", zap.Error(err))
	}
}

// report logs when heartbeats begin to fail, once a minute while they do, and when they are accepted again.
func (m *Membership) report(ctx context.Context, err error) {
	switch {
	case err == nil:
		m.trouble.Store(nil)
		m.Refusals.Granted(Refusal)
		if !m.warned.IsZero() {
			m.warned = time.Time{}
			m.Logger.Info("heartbeat accepted again")
		}
		return
	case ctx.Err() != nil:
		return
	}
	m.trouble.Store(&err)
	if !m.Refusals.Refused(Refusal, err) && time.Since(m.warned) >= warnAgain {
		m.warned = time.Now()
		m.Logger.Warn("heartbeat not accepted", zap.Error(err))
	}
}

// self is the record of this node.
func (m *Membership) self() Record {
	r := m.Describe()
	r.Tags = m.ClaimedFirst(r.Tags)
	return r
}

// beat is one heartbeat: it writes this node's record, and reads what has changed about the others.
func (m *Membership) beat(ctx context.Context) error {
	self := m.self()
	if err := redisconn.Within(ctx, func() error { return m.exchange(ctx, self) }); err != nil {
		return err
	}
	m.mu.Lock()
	m.lookUps, m.found = 0, nil
	m.mu.Unlock()
	m.announced.Store(true)
	return nil
}

func (m *Membership) exchange(ctx context.Context, self Record) error {
	m.reading.Lock()
	defer m.reading.Unlock()
	changed := self.encode() != m.written.encode()
	holder, news, err := m.register.beat(ctx, self, changed, m.since)
	if err != nil {
		return err
	}
	m.written = self
	if err := m.apply(ctx, news); err != nil {
		return err
	}
	if len(self.Tags) == 0 {
		return nil
	}
	if err := m.settleTag(ctx, self, holder); err != nil {
		return fmt.Errorf("redis: claim tag: %w", err)
	}
	return nil
}

// Refresh reads what has changed about the other nodes since the last heartbeat.
func (m *Membership) Refresh(ctx context.Context) error {
	return redisconn.Within(ctx, func() error {
		m.reading.Lock()
		defer m.reading.Unlock()
		if m.since == "" {
			return nil // the first heartbeat reads everything
		}
		news, err := m.register.since(ctx, m.since)
		if err != nil {
			return err
		}
		return m.apply(ctx, news)
	})
}

// apply records changes. The first of them is the last one known: when it is missing, others may be as well, and all
// records are read. The caller holds reading.
func (m *Membership) apply(ctx context.Context, news []change) error {
	var (
		joined []Record
		gone   []string
		now    = time.Now()
	)
	if m.since == "" || len(news) == 0 || news[0].at != m.since || len(news) > maxChanges+1 {
		all, err := m.register.all(ctx, m.written.ID)
		if err != nil {
			return err
		}
		joined = m.replace(all, now)
	} else {
		joined, gone = m.change(news[1:], now)
	}
	gone = append(gone, m.expire(now)...)
	if m.since = ""; len(news) > 0 {
		m.since = news[len(news)-1].at
	}
	m.Nodes.Set(float64(len(m.Alive()) + 1))
	for _, other := range joined {
		m.Logger.Info("node joined", zap.String("node", other.ID), zap.String("version", other.Version))
	}
	for _, id := range gone {
		m.Logger.Warn("node gone", zap.String("node", id))
		m.Gone(id)
	}
	return nil
}

// change records changes that followed each other.
func (m *Membership) change(news []change, now time.Time) (joined []Record, gone []string) {
	for _, c := range news {
		other, ok := decodeRecord(c.node, c.text)
		isNew, isGone := false, false
		switch {
		case c.node == m.written.ID:
		case c.text == "":
			isGone = m.Lose(c.node, now)
		case ok:
			isNew, isGone = m.Learn(other, now)
		}
		if isNew {
			joined = append(joined, other)
		}
		if isGone {
			gone = append(gone, c.node)
		}
	}
	return joined, gone
}
