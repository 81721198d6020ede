package redis

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisconn"
)

// leaveTime is how long a node that ends may take to say so.
const leaveTime = 500 * time.Millisecond

// membership keeps this node's record in Redis and its tag claimed, and knows the other nodes by their records.
type membership struct {
	// Static after construction.
	register register
	log      *zap.Logger
	metrics  *metrics
	refusals *redisconn.Refusals
	gone     func(id string)       // called for each node that has left or lapsed; must not block
	adopt    func(tag string) bool // makes a claimed tag the one for new ids, or declines; must not block
	describe func() record         // what this node writes about itself now, but for its claimed tag

	announced atomic.Bool           // a heartbeat has been accepted, once
	trouble   atomic.Pointer[error] // of the last heartbeat; nil when it was accepted

	// Owned by run.
	warned  time.Time // when a failing heartbeat was logged last; zero while they are accepted
	written record    // by the last heartbeat

	// reading is held while changes are read and applied, one reader at a time: they come in order.
	reading sync.Mutex
	since   string // the last change that was applied; guarded by reading

	mu sync.Mutex
	// mu guards the following.
	peers    *peers
	tag      string              // the claimed one, or to be claimed
	conflict bool                // another node has it
	lookUps  int                 // of tags since the last heartbeat
	found    map[string][]record // by those look-ups; nil before the first
}

func newMembership(a *Adapter) *membership {
	return &membership{
		register: register{client: a.client, keys: nodeKeys{prefix: a.config.Prefix}},
		log:      a.log,
		metrics:  a.metrics,
		refusals: a.refusals,
		gone:     a.questions.leave,
		adopt:    a.adopt,
		describe: a.describe,
		peers:    newPeers(),
		tag:      a.config.Tag,
	}
}

// run sends heartbeats until ctx ends, and then says that the node leaves.
func (m *membership) run(ctx context.Context) {
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
	if !m.announced.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
	defer cancel()
	if _, err := outlive(ctx, func() (struct{}, error) { return struct{}{}, m.register.leave(ctx, m.self()) }); err != nil {
		m.log.Debug("node leaves without saying so", zap.Error(err))
	}
}

// warnAgain is how often a node whose heartbeats are not accepted says so.
const warnAgain = time.Minute

// report logs when heartbeats begin to fail, once a minute while they do, and when they are accepted again.
func (m *membership) report(ctx context.Context, err error) {
	switch {
	case err == nil:
		m.trouble.Store(nil)
		m.refusals.Granted(refusedHeartbeat)
		if !m.warned.IsZero() {
			m.warned = time.Time{}
			m.log.Info("heartbeat accepted again")
		}
		return
	case ctx.Err() != nil:
		return
	}
	m.trouble.Store(&err)
	if !m.refusals.Refused(refusedHeartbeat, err) && time.Since(m.warned) >= warnAgain {
		m.warned = time.Now()
		m.log.Warn("heartbeat not accepted", zap.Error(err))
	}
}

// self is the record of this node.
func (m *membership) self() record {
	r := m.describe()
	r.Tags = m.claimedFirst(r.Tags)
	return r
}

// claimedFirst are the tags of this node, the claimed one first.
func (m *membership) claimedFirst(all []string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	tags := make([]string, 0, len(all)+1)
	if m.tag != "" {
		tags = append(tags, m.tag)
	}
	for _, tag := range all {
		if tag != m.tag {
			tags = append(tags, tag)
		}
	}
	return tags
}

// beat is one heartbeat: write that this node is there, and read what has changed about the others.
func (m *membership) beat(ctx context.Context) error {
	self := m.self()
	_, err := outlive(ctx, func() (struct{}, error) { return struct{}{}, m.exchange(ctx, self) })
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.lookUps, m.found = 0, nil
	m.mu.Unlock()
	m.announced.Store(true)
	return nil
}

func (m *membership) exchange(ctx context.Context, self record) error {
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

// refresh reads what has changed about the other nodes since the last heartbeat.
func (m *membership) refresh(ctx context.Context) error {
	_, err := outlive(ctx, func() (struct{}, error) {
		m.reading.Lock()
		defer m.reading.Unlock()
		if m.since == "" {
			return struct{}{}, nil // the first heartbeat reads everything
		}
		news, err := m.register.since(ctx, m.since)
		if err == nil {
			err = m.apply(ctx, news)
		}
		return struct{}{}, err
	})
	return err
}

// apply notes changes. The first of them is the last one known: when it is missing, others may be as well, and all
// records are read. The caller holds reading.
func (m *membership) apply(ctx context.Context, news []change) error {
	var all []record
	whole := m.since == "" || len(news) == 0 || news[0].at != m.since || len(news) > maxChanges+1
	if whole {
		var err error
		if all, err = m.register.all(ctx, m.written.ID); err != nil {
			return err
		}
	}
	joined, gone := m.note(news, all, whole)
	if m.since = ""; len(news) > 0 {
		m.since = news[len(news)-1].at
	}
	for _, other := range joined {
		m.log.Info("node joined", zap.String("node", other.ID), zap.String("version", other.Version))
	}
	for _, id := range gone {
		m.log.Warn("node gone", zap.String("node", id))
		m.gone(id)
	}
	return nil
}

// note changes what is known of the other nodes: all of it if whole, else what news tell.
func (m *membership) note(news []change, all []record, whole bool) (joined []record, gone []string) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if whole {
		joined = m.peers.replace(all, now)
		news = nil
	}
	for _, c := range news[min(1, len(news)):] {
		other, ok := decodeRecord(c.node, c.text)
		switch {
		case c.node == m.written.ID:
		case c.text == "":
			if m.peers.lose(c.node, now) {
				gone = append(gone, c.node)
			}
		case ok:
			isNew, isGone := m.peers.learn(other, now)
			if isNew {
				joined = append(joined, other)
			}
			if isGone {
				gone = append(gone, c.node)
			}
		}
	}
	for _, other := range m.peers.expire(now) {
		gone = append(gone, other.ID)
	}
	m.metrics.nodes.Set(float64(m.peers.count()))
	return joined, gone
}

// settleTag keeps the tag, or gives it up for another where another node has it: else both nodes would go on to receive
// what is published to a socket of either.
func (m *membership) settleTag(ctx context.Context, self record, holder string) error {
	tag := self.Tags[0]
	m.mu.Lock()
	before := m.conflict
	m.conflict = holder != self.ID
	m.mu.Unlock()
	if holder == self.ID {
		return nil
	}
	if !before {
		m.metrics.tagConflicts.Inc()
		m.log.Warn("tag belongs to another node", zap.String("tag", tag), zap.String("node", holder))
	}
	// Another tag is claimed. What cannot be had is tried again with the next heartbeat.
	tag = NewTag()
	key := m.register.keys.tag(tag)
	taken, err := m.register.client.SetNX(ctx, key, self.ID, heartbeatExpiry).Result()
	if err != nil || !taken {
		return err
	}
	if !m.adopt(tag) {
		return m.register.client.Del(ctx, key).Err()
	}
	m.mu.Lock()
	m.tag, m.conflict = tag, false
	m.mu.Unlock()
	m.log.Info("another tag drawn", zap.String("tag", tag))
	return nil
}

// all are the records of the other nodes that may have a connection to Redis, alive those of the ones that are.
func (m *membership) all() []record {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.peers.all(func(*peer) bool { return true })
}

func (m *membership) alive() []record {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.peers.all((*peer).alive)
}

func (m *membership) expect(nsp string, before, after subscribers) expectation {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.peers.expect(nsp, before, after, time.Now())
}

func (m *membership) settle(nsp string, e expectation, r outcome) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.peers.settle(nsp, e, r.silent, r.silentStrangers, time.Now())
}

// isPeer reports whether a node of that name is one of our kind.
func (m *membership) isPeer(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.peers.byID[id] != nil
}

// answered notes that a node has said something.
func (m *membership) answered(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.peers.answered(id)
}

// outlive calls f and returns its result, or ErrAway when ctx ends first. go-redis waits for its own timeouts and not
// for ctx: f then ends by itself.
func outlive[T any](ctx context.Context, f func() (T, error)) (T, error) {
	value := make(chan T, 1)
	err := wait(ctx, func(done func(error)) {
		go func() {
			v, err := f()
			value <- v
			done(err)
		}()
	})
	if err != nil {
		var zero T
		return zero, err
	}
	return <-value, nil
}
