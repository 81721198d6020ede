package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisconn"
)

// receive connects, reads until the connection ends, and connects again, until ctx ends.
func (s *server) receive(ctx context.Context) {
	var (
		wait        redisconn.Backoff
		connections int
		dial        dialLog
	)
	for ctx.Err() == nil {
		c, err := s.incoming.Dial(ctx)
		if dial.report(ctx, s, "subscriber", err); err != nil {
			s.events.trouble()
			wait.Sleep(ctx)
			continue
		}
		if connections++; connections > 1 {
			s.env.metrics.resubscribes.Inc()
		}
		proven, err := s.serve(ctx, c)
		if ctx.Err() != nil {
			return
		}
		s.events.trouble()
		if !s.env.refusals.Refused(refusedSubscribe, err) {
			s.log.Warn("subscription lost", zap.Error(err))
		}
		if proven {
			wait.Reset()
		}
		wait.Sleep(ctx)
	}
}

// dialLog logs failures to connect: a reason that the operator has to mend once, until a connection is made.
type dialLog struct{ told bool }

func (l *dialLog) report(ctx context.Context, s *server, what string, err error) {
	switch {
	case err == nil:
		l.told = false
	case ctx.Err() != nil || s.env.refusals.Refused(refusedLogin, err):
	case errors.Is(err, redisconn.ErrReplica) && !l.told:
		l.told = true
		s.log.Warn(what+" cannot connect", zap.Error(err))
	default:
		s.log.Debug(what+" cannot connect", zap.Error(err))
	}
}

// serve reads one connection to its end, and reports whether a probe ever came through it.
func (s *server) serve(ctx context.Context, c *redisconn.Conn) (proven bool, err error) {
	defer context.AfterFunc(ctx, c.Close)()
	c.MaxPayload = s.env.config.MaxMessage
	s.update(func(t *table) {
		s.in, s.proven = c, false
		s.prober.alive(time.Now())
		t.attach()
	})
	defer func() {
		c.Close()
		proven = s.disconnected()
	}()
	for {
		p, err := c.Push()
		if err != nil {
			return false, fmt.Errorf("redis: receive: %w", err)
		}
		switch p.Kind {
		case redisconn.Message, redisconn.PatternMessage, redisconn.ShardMessage:
			s.dispatch(&p)
		case redisconn.Failed:
			err = s.refused(p.Err)
		case redisconn.Other:
		default:
			err = s.confirmed(p.Kind, string(p.Channel))
		}
		if err != nil {
			return false, err
		}
	}
}

// disconnected ends all subscriptions, and reports whether a probe had come back.
func (s *server) disconnected() (proven bool) {
	s.update(func(t *table) {
		proven = s.proven
		s.in = nil
		t.detach()
		for _, w := range s.prober.detach() {
			t.advance(w)
		}
	})
	return proven
}

func (s *server) confirmed(k redisconn.Kind, name string) (err error) {
	listening, taken := false, false
	s.update(func(t *table) {
		now, before := time.Now(), t.version
		err = t.confirm(k, name, now)
		taken = t.version != before
		s.prober.alive(now)
		if name == s.probe.channel && t.isOn(s.probe) {
			s.prober.listen(now)
			listening = true
		}
	})
	// All that Redis takes away before it accepts a subscription again is one gap: the channels of a slot go together.
	if taken && !s.gap {
		s.env.metrics.resubscribes.Inc()
	}
	s.gap = taken || s.gap && k != redisconn.ShardSubscribed
	s.env.refusals.Granted(refusedSubscribe)
	if listening {
		wakeUp(s.probing)
	}
	return err
}

// refused acts on an error reply, which answers the oldest command. What concerns one slot or channel leaves the others
// alone; any other error ends the connection.
func (s *server) refused(reply error) (err error) {
	slot, address, moved := redisconn.MovedTo(reply, s.address)
	denied := redisconn.DeniedChannel(reply)
	switch {
	case moved, denied, redisconn.NotNow(reply):
	case s.speech.sharded && redisconn.UnknownCommand(reply):
		return fmt.Errorf("redis: sharded Pub/Sub needs Redis 7 or later: %w", reply)
	default:
		return reply
	}
	// The placement learns of the move first: it takes the rows away, so that nothing subscribes them here again.
	if moved && !s.events.moved(s, slot, address) {
		return reply
	}
	s.update(func(t *table) {
		c, ok := t.refusedHead()
		switch {
		case !ok:
			err = fmt.Errorf("redis: unexpected error reply: %w", reply)
		case !c.verb.joins():
		case denied && len(c.rows) > 1:
			t.split(c)
		default:
			t.refuse(c, denied, time.Now())
		}
	})
	switch {
	case moved:
	case denied:
		s.env.refusals.Refused(refusedSubscribe, reply)
	default:
		s.events.trouble()
	}
	return err
}

// dispatch finds out what a message is about, and drops it as early as possible when it is not for this node.
func (s *server) dispatch(p *redisconn.Push) {
	name := p.Channel
	if p.Kind == redisconn.PatternMessage {
		name = p.Pattern
	}
	interests := s.interestsOf(p.Kind == redisconn.PatternMessage, name)
	if len(interests) == 1 && interests[0].kind == kindProbe {
		s.returned(p.Payload)
		return
	}
	m := s.env.metrics
	m.in.Inc()
	if p.Payload == nil && p.Size > 0 {
		m.receivedDropped[droppedTooLarge].Inc()
		return
	}
	refused := droppedUnknownChannel
	for _, in := range interests {
		// A message names its namespace: of several interests with one channel at most one takes it.
		if refused = s.speech.receive(in, p.Channel, p.Payload); refused == "" {
			return
		}
	}
	m.receivedDropped[refused].Inc()
}

func (s *server) interestsOf(pattern bool, name []byte) []interest {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.table.rows[rowKey{pattern: pattern, name: string(name)}]
	if r == nil {
		return nil
	}
	return r.interests
}

// command turns the table's wishes into commands until ctx ends.
func (s *server) command(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var buffer []byte
	for {
		for {
			var c *redisconn.Conn
			if c, buffer = s.commands(buffer[:0]); c == nil {
				break
			}
			if err := c.Write(buffer); err != nil {
				s.log.Debug("subscription command", zap.Error(err))
				c.Close()
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

// commands appends all that may be sent now, which is one batch: on a cluster that may be a thousand commands. c is where to;
// nil means that there is nothing to send.
func (s *server) commands(b []byte) (c *redisconn.Conn, commands []byte) {
	for {
		to, command, ok := s.next()
		if !ok {
			return c, b
		}
		if to != c {
			c, b = to, b[:0] // what was for a connection that is over is of no use
		}
		b = command.append(b)
	}
}

func (s *server) next() (*redisconn.Conn, command, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.table.due(time.Now())
	if s.in == nil {
		return nil, command{}, false
	}
	c, ok := s.table.next()
	return s.in, c, ok
}
