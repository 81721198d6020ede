package redis

import (
	"context"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/rediswire"
)

// receive connects, reads until the connection ends, and connects again, until ctx ends.
func (s *subscriber) receive(ctx context.Context) {
	var (
		wait        backoff
		predecessor identity
		connections int
	)
	for ctx.Err() == nil {
		e, err := newEpoch(ctx, s.source, predecessor)
		if err != nil {
			if ctx.Err() == nil && !s.refusals.refused(refusedLogin, err) {
				s.log.Debug("subscriber cannot connect", zap.Error(err))
			}
			s.trouble()
			wait.sleep(ctx)
			continue
		}
		if connections++; connections > 1 {
			s.metrics.resubscribes.Inc()
		}
		predecessor = e.link.identity
		proven, err := s.serve(ctx, e)
		if ctx.Err() != nil {
			return
		}
		s.trouble()
		switch {
		case s.refusals.refused(refusedSubscribe, err):
		case proven:
			s.refusals.granted(refusedSubscribe)
			wait.reset()
			fallthrough
		default:
			s.log.Warn("subscription lost", zap.Error(err))
		}
		wait.sleep(ctx)
	}
}

// serve reads one connection to its end, and reports whether anything ever came through it.
func (s *subscriber) serve(ctx context.Context, e *epoch) (proven bool, err error) {
	s.mu.Lock()
	s.epoch = e
	s.table.attach()
	s.mu.Unlock()
	s.wakeUp()
	defer func() {
		e.close()
		s.mu.Lock()
		proven = s.table.proven
		s.epoch = nil
		s.table.detach()
		s.mu.Unlock()
	}()
	for {
		m, err := e.receive(ctx)
		if err != nil && s.redirected(err) {
			continue
		}
		if err != nil && s.shard != nil && isUnknownCommand(err) {
			return false, fmt.Errorf("redis: sharded Pub/Sub needs Redis 7 or later: %w", err)
		}
		if err != nil {
			return false, err
		}
		switch m := m.(type) {
		case *goredis.Message:
			s.dispatch(m)
		case *goredis.Subscription:
			if err := s.confirmed(m); err != nil {
				return false, err
			}
		}
	}
}

func (s *subscriber) confirmed(m *goredis.Subscription) error {
	var err error
	s.update(func(t *table) { err = t.confirm(verb(m.Kind), m.Channel, time.Now()) })
	if err == nil && m.Channel == s.currentProbe().channel && verb(m.Kind) != sunsubscribe {
		s.attached()
	}
	return err
}

// dispatch finds out what a message is about, and drops it as early as possible when it is not for this node.
func (s *subscriber) dispatch(m *goredis.Message) {
	in, ok := s.lookUp(m)
	if !ok {
		s.metrics.receivedDropped[droppedUnknownChannel].Inc()
		return
	}
	s.message(in, m.Payload)
}

func (s *subscriber) lookUp(m *goredis.Message) (interest, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.Pattern == "" {
		ch := s.table.channels[m.Channel]
		if ch == nil {
			return interest{}, false
		}
		return ch.interest, true
	}
	nsp, room, ok := rediswire.SplitChannel(s.naming.key, m.Channel, s.namespaces.isOpen)
	return interest{channel: m.Channel, kind: kindRoom, namespace: nsp, room: room}, ok
}

// prove tells that a probe came back on the current connection.
func (s *subscriber) prove() {
	var news bool
	s.update(func(t *table) { news = t.prove() })
	if news {
		s.log.Info("subscribed")
	}
}

// interrupt ends the current connection, if there is one, so that another is made.
func (s *subscriber) interrupt() {
	s.mu.Lock()
	e := s.epoch
	s.mu.Unlock()
	if e != nil {
		e.close()
	}
}
