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
	source   source
	naming   naming
	timeout  time.Duration
	log      *zap.Logger
	metrics  *metrics
	refusals *refusals
	// namespaces are shared with the other subscriptions of this node.
	namespaces *namespaces
	// shard is what a subscription to sharded channels belongs to; nil for classic channels.
	shard *shard
	// message takes what arrives, in order; attached hears of each connection that has its probe channel. Both are
	// called by receive and must not block.
	message  func(in interest, payload string)
	attached func()
	// trouble hears that there is no connection.
	trouble func()
	// wake tells command that there may be something to do; never closed.
	wake chan struct{}

	mu sync.Mutex
	// mu guards the following.
	table *table
	epoch *epoch // nil while there is no connection
	probe interest
	// hints are channels somebody may want more or less than before, until command has asked.
	hints map[string]interest
}

func newSubscriber(
	cfg Config, from source, probe interest, known *namespaces, m *metrics, r *refusals,
) *subscriber {
	s := &subscriber{
		source:     from,
		naming:     naming{key: cfg.Key, nodeID: cfg.NodeID, tags: newTags(cfg.Key, cfg.Tag)},
		timeout:    cfg.RequestTimeout,
		log:        cfg.Logger,
		metrics:    m,
		refusals:   r,
		namespaces: known,
		wake:       make(chan struct{}, 1),
		table:      newTable(probe.channel, cfg.Linger),
		probe:      probe,
		hints:      make(map[string]interest),
	}
	s.hint(probe)
	if cfg.Tag != "" {
		s.hint(s.naming.pattern(cfg.Tag))
	}
	return s
}

// setProbe changes the channel of this node's probes.
func (s *subscriber) setProbe(in interest) {
	s.mu.Lock()
	defer s.wakeUp()
	defer s.mu.Unlock()
	s.hintLocked(s.probe, in)
	s.probe = in
	s.table.probe = in.channel
}

func (s *subscriber) currentProbe() interest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.probe
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
	w := &waiter{}
	w.done = func(err error) {
		w.timer.Stop()
		done(err)
	}
	s.update(func(t *table) {
		w.interests = append([]interest{s.probe}, interests...)
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

// redirected takes in that a command came to the wrong master, and reports whether that is what err says.
func (s *subscriber) redirected(err error) bool {
	if s.shard == nil {
		return false
	}
	slot, address, ok := movedTo(err, s.shard.address)
	if !ok || !s.shard.move(slot, address) {
		return false
	}
	s.update(func(t *table) {
		var interests []interest
		if interests, ok = t.refuse(slot); ok {
			s.hintLocked(interests...)
		}
	})
	if ok {
		s.metrics.resubscribes.Inc()
		s.shard.rehome()
	}
	return ok
}

// unserved takes out all interests in slots that another shard serves.
func (s *subscriber) unserved() []interest {
	s.mu.Lock()
	defer s.wakeUp()
	defer s.mu.Unlock()
	var others []interest
	for _, ch := range s.table.channels {
		if !s.shard.serves(ch.slot) {
			others = append(others, ch.interest)
		}
	}
	for _, in := range s.hints {
		if !s.shard.serves(in.slot) {
			others = append(others, in)
		}
	}
	s.hintLocked(others...)
	return others
}
