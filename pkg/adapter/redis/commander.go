package redis

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/carillon-io/carillon/pkg/adapter"
)

// command turns hints into wishes and wishes into commands until ctx ends.
func (s *subscriber) command(ctx context.Context, node adapter.Node) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		s.evaluate(node)
		for {
			e, c, ok := s.next()
			if !ok {
				break
			}
			if err := e.send(ctx, c); err != nil {
				s.log.Debug("subscription command", zap.Error(err))
				e.close()
			}
		}
		s.mu.Lock()
		due := s.table.nextDue()
		s.mu.Unlock()
		if !due.IsZero() {
			timer.Reset(max(time.Until(due), 0))
		}
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
	}
}

func (s *subscriber) next() (*epoch, command, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch == nil {
		return nil, command{}, false
	}
	c, ok := s.table.next()
	return s.epoch, c, ok
}

// evaluate asks for each hint, and for each room whose linger has ended, whether it is wanted. Asking and acting on the
// answer happen on this goroutine alone: a change after the question brings another hint, so the last answer is right.
// A "no" that another hint has overtaken is not acted on, since somebody may by now wait for the "yes".
func (s *subscriber) evaluate(node adapter.Node) {
	s.mu.Lock()
	hints := s.hints
	s.hints = make(map[string]interest)
	for _, in := range s.table.due(time.Now()) {
		hints[in.channel] = in
	}
	s.mu.Unlock()
	if len(hints) == 0 {
		return
	}
	wanted := make(map[string]bool, len(hints))
	for name, in := range hints {
		wanted[name] = s.wanted(node, in)
	}
	now := time.Now()
	s.update(func(t *table) {
		for name, in := range hints {
			if _, overtaken := s.hints[name]; wanted[name] || !overtaken {
				t.want(in, wanted[name], now)
			}
		}
	})
	if s.shard != nil {
		s.shard.forward(hints)
	}
}

func (s *subscriber) wanted(node adapter.Node, in interest) bool {
	if s.shard != nil && !s.shard.serves(in.slot) {
		return false
	}
	switch in.kind {
	case kindRoom:
		// The pattern of a tag that is new may have come to cover it.
		return s.naming.tags.covers(in.channel) == "" && node.Holds(in.namespace, in.room)
	case kindBroadcast, kindRequest, kindOwn:
		return s.namespaces.isOpen(in.namespace)
	case kindShared:
		return s.namespaces.isAsking(in.namespace)
	case kindProbe:
		return in.channel == s.currentProbe().channel
	default: // the pattern
		return true
	}
}
