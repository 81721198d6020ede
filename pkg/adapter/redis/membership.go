package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisconn"
)

// leaveTime is how long a node that ends may take to say so.
const leaveTime = 500 * time.Millisecond

// membership keeps this node's heartbeat in Redis, claims its tag there, and knows the other nodes by theirs.
type membership struct {
	// Static after construction.
	client   goredis.UniversalClient
	keys     memberKeys
	log      *zap.Logger
	metrics  *metrics
	refusals *redisconn.Refusals
	gone     func(id string)       // hears of each node whose heartbeats have ended; must not block
	adopt    func(tag string) bool // makes a tag that is ours the one for new ids, or declines; must not block
	probes   func() []string       // what others are told in member.Probes
	// announced: a heartbeat has been taken, once.
	announced atomic.Bool

	// Owned by run.
	failing bool // the last heartbeat was not taken

	mu sync.Mutex
	// mu guards the following.
	roster   *roster
	self     member // but for its id; Tag is that of new ids
	conflict bool   // another node has our tag
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
	if _, err := outlive(ctx, func() (struct{}, error) { return struct{}{}, m.leave(ctx) }); err != nil {
		m.log.Debug("node leaves without saying so", zap.Error(err))
	}
}

// report logs changes only.
func (m *membership) report(ctx context.Context, err error) {
	switch {
	case err == nil:
		m.refusals.Granted(refusedHeartbeat)
		if m.failing {
			m.failing = false
			m.log.Info("heartbeat taken again")
		}
	case ctx.Err() != nil:
	case m.refusals.Refused(refusedHeartbeat, err):
	case !m.failing:
		m.failing = true
		m.log.Warn("heartbeat not taken", zap.Error(err))
	}
}

// beat is one heartbeat: say that we are there, and see who else is.
func (m *membership) beat(ctx context.Context) error {
	members, err := outlive(ctx, func() ([]member, error) { return m.exchange(ctx) })
	if err != nil {
		return err
	}
	now := time.Now()
	m.mu.Lock()
	joined, gone := m.roster.heard(members, now)
	m.metrics.nodes.Set(float64(m.roster.count(now)))
	m.mu.Unlock()
	for _, other := range joined {
		m.log.Info("node joined", zap.String("node", other.ID), zap.String("version", other.Version))
	}
	for _, other := range gone {
		m.log.Warn("node gone", zap.String("node", other.ID))
		m.gone(other.ID)
	}
	m.announced.Store(true)
	return nil
}

func (m *membership) exchange(ctx context.Context) ([]member, error) {
	self, _ := m.tagged()
	self.Probes = m.probes()
	pipe := m.client.Pipeline()
	pipe.Set(ctx, m.keys.node(self.ID), self.encode(), heartbeatExpiry)
	pipe.SAdd(ctx, m.keys.list(), self.ID)
	pipe.Expire(ctx, m.keys.list(), listExpiry)
	ids := pipe.SMembers(ctx, m.keys.list())
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("redis: send heartbeat: %w", err)
	}
	if err := m.claim(ctx); err != nil {
		return nil, fmt.Errorf("redis: claim tag %q: %w", self.Tag, err)
	}
	return m.read(ctx, self.ID, ids.Val())
}

// tagged is what this node says of itself, and whether it has the tag in it.
func (m *membership) tagged() (self member, ours bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.self, m.self.Tag != "" && !m.conflict
}

// claim holds the tag for as long as a heartbeat lasts. One that another node has is given up for another: else both
// nodes would go on to hear what is published to a socket of either.
func (m *membership) claim(ctx context.Context) error {
	self, before := m.tagged()
	if self.Tag == "" {
		return nil
	}
	holder, err := m.hold(ctx, self.Tag)
	if err != nil {
		return err
	}
	ours := holder == self.ID
	m.settleTag(self.Tag, ours)
	if ours {
		return nil
	}
	if before {
		m.metrics.tagConflicts.Inc()
		m.log.Warn("tag belongs to another node", zap.String("tag", self.Tag), zap.String("node", holder))
	}
	return m.redraw(ctx)
}

func (m *membership) settleTag(tag string, ours bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.self.Tag, m.conflict = tag, !ours
}

// redraw claims another tag. What cannot be had is tried again with the next heartbeat.
func (m *membership) redraw(ctx context.Context) error {
	tag := NewTag()
	holder, err := m.hold(ctx, tag)
	if err != nil || holder != m.self.ID {
		return err
	}
	if !m.adopt(tag) {
		return m.client.Del(ctx, m.keys.tag(tag)).Err()
	}
	m.settleTag(tag, true)
	m.log.Info("another tag drawn", zap.String("tag", tag))
	return nil
}

// hold claims a tag, or keeps it, unless another node has it; holder is who does then.
func (m *membership) hold(ctx context.Context, tag string) (holder string, err error) {
	key := m.keys.tag(tag)
	holder, err = m.client.Get(ctx, key).Result()
	if errors.Is(err, goredis.Nil) {
		var taken bool
		if taken, err = m.client.SetNX(ctx, key, m.self.ID, heartbeatExpiry).Result(); taken {
			holder = m.self.ID
		}
	} else if err == nil && holder == m.self.ID {
		err = m.client.PExpire(ctx, key, heartbeatExpiry).Err()
	}
	return holder, err
}

// read reads the heartbeats of the other nodes, and takes those who have none any more off the list. One that is only
// late puts itself back.
func (m *membership) read(ctx context.Context, self string, ids []string) ([]member, error) {
	var others, keys []string
	for _, id := range ids[:min(len(ids), maxMembers)] {
		if id != self {
			others, keys = append(others, id), append(keys, m.keys.node(id))
		}
	}
	if len(others) == 0 {
		return nil, nil
	}
	texts, err := m.client.MGet(ctx, keys...).Result()
	if err != nil {
		return nil, fmt.Errorf("redis: read heartbeats: %w", err)
	}
	var members []member
	var dead []any
	for i, id := range others {
		text, there := texts[i].(string)
		if !there {
			dead = append(dead, id)
		} else if other, ok := decodeMember(id, text); ok {
			members = append(members, other)
		}
	}
	if len(dead) > 0 {
		if err := m.client.SRem(ctx, m.keys.list(), dead...).Err(); err != nil {
			return nil, fmt.Errorf("redis: take dead nodes off the list: %w", err)
		}
	}
	return members, nil
}

func (m *membership) leave(ctx context.Context) error {
	pipe := m.client.Pipeline()
	last, ours := m.tagged()
	last.Left = true
	pipe.Set(ctx, m.keys.node(last.ID), last.encode(), heartbeatExpiry)
	if ours {
		pipe.Del(ctx, m.keys.tag(last.Tag))
	}
	_, err := pipe.Exec(ctx)
	return err
}

// known are the other nodes that may have a connection to Redis, and which of them are alive.
func (m *membership) known() (all []member, live map[string]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.roster.known(time.Now())
}

// unchanged leaves out those that have left since this node read their heartbeats, or probe elsewhere now. One whose
// heartbeat is gone stays: Redis may have lost it.
func (m *membership) unchanged(ctx context.Context, members []member) ([]string, error) {
	if len(members) == 0 {
		return nil, nil
	}
	keys := make([]string, len(members))
	for i, known := range members {
		keys[i] = m.keys.node(known.ID)
	}
	texts, err := m.client.MGet(ctx, keys...).Result()
	if err != nil {
		return nil, fmt.Errorf("redis: read heartbeats: %w", err)
	}
	var same []string
	for i, known := range members {
		text, there := texts[i].(string)
		now, ok := decodeMember(known.ID, text)
		if !there || ok && !now.Left && slices.Equal(now.Probes, known.Probes) {
			same = append(same, known.ID)
		}
	}
	return same, nil
}

func (m *membership) expect(nsp string, subscribers int, present, cutOff []string) expectation {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.roster.expect(nsp, subscribers, present, cutOff, time.Now())
}

func (m *membership) settle(nsp string, e expectation, o outcome) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.roster.silent(nsp, e, o.silent, o.others, time.Now())
}

// isPeer reports whether a node of that name is one of our kind, as its heartbeats have shown.
func (m *membership) isPeer(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.roster.peers[id] != nil
}

// answered takes in that a node has said something.
func (m *membership) answered(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.roster.answered(id)
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
