package redisserver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/internal/redissub"
)

// receive connects, reads until the connection ends, and connects again, until ctx ends.
func (s *Server) receive(ctx context.Context) {
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
			s.config.Metrics.Resubscribes.Inc()
		}
		proven, err := s.serve(ctx, c)
		if ctx.Err() != nil {
			return
		}
		s.events.trouble()
		if !s.config.Refusals.Refused(RefusedSubscribe, err) {
			s.log.Warn("subscription lost", zap.Error(err))
		}
		if proven {
			wait.Reset()
		}
		wait.Sleep(ctx)
	}
}

// dialLog logs failures to connect. A reason that the operator has to mend is a warning, once until a connection is made.
type dialLog struct{ warned bool }

func (l *dialLog) report(ctx context.Context, s *Server, what string, err error) {
	switch {
	case err == nil:
		l.warned = false
	case ctx.Err() != nil || s.config.Refusals.Refused(RefusedLogin, err):
	case errors.Is(err, redisconn.ErrReplica) && !l.warned:
		l.warned = true
		s.log.Warn(what+" cannot connect", zap.Error(err))
	default:
		s.log.Debug(what+" cannot connect", zap.Error(err))
	}
}

// serve reads one connection to its end, and reports whether a probe ever came through it.
func (s *Server) serve(ctx context.Context, c *redisconn.Conn) (proven bool, err error) {
	defer context.AfterFunc(ctx, c.Close)()
	c.MaxPayload = s.config.MaxMessage
	s.receivesFrom = c.Server
	s.attach(c)
	defer func() {
		c.Close()
		proven = s.disconnected()
	}()
	var p redisconn.Push // one for all, or each would be allocated
	for {
		if p, err = c.Push(); err != nil {
			return false, fmt.Errorf("redis: receive: %w", err)
		}
		switch p.Kind {
		case redisconn.Message, redisconn.PatternMessage, redisconn.ShardMessage:
			s.Dispatch(&p)
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

func (s *Server) attach(c *redisconn.Conn) {
	s.update(func() {
		s.in = c
		s.table.Attach(time.Now())
	})
}

// disconnected ends all subscriptions, and reports whether a probe had come back.
func (s *Server) disconnected() (proven bool) {
	s.update(func() {
		s.in = nil
		proven = s.table.Detach()
	})
	return proven
}

func (s *Server) confirmed(k redisconn.Kind, name string) (err error) {
	var torn, probed bool
	s.update(func() { torn, probed, err = s.table.Confirm(k, name, time.Now()) })
	if torn {
		s.config.Metrics.Resubscribes.Inc()
	}
	s.config.Refusals.Granted(RefusedSubscribe)
	if probed {
		wakeUp(s.probing)
	}
	return err
}

// refused acts on an error reply, which answers the oldest command. What concerns one slot or channel leaves the others
// alone; any other error ends the connection.
func (s *Server) refused(reply error) (err error) {
	slot, address, moved := redisconn.MovedTo(reply, s.address)
	denied := redisconn.DeniedChannel(reply)
	switch {
	case moved, denied, redisconn.NotNow(reply):
	case s.speech.Sharded && redisconn.UnknownCommand(reply):
		return fmt.Errorf("redis: sharded Pub/Sub needs Redis 7 or later: %w", reply)
	default:
		return reply
	}
	// The placement learns of the move first: it takes the rows away, so that nothing subscribes them here again.
	if moved && !s.events.moved(s, slot, address) {
		return reply
	}
	s.update(func() {
		if !s.table.Refuse(denied, time.Now()) {
			err = fmt.Errorf("redis: unexpected error reply: %w", reply)
		}
	})
	switch {
	case moved:
	case denied:
		s.config.Refusals.Refused(RefusedSubscribe, reply)
	default:
		s.events.trouble()
	}
	return err
}

// Dispatch acts on a message as it is read: it finds out what it is about, and drops it as early as possible when it is
// not for this node. One goroutine may call it at a time.
func (s *Server) Dispatch(p *redisconn.Push) {
	name := p.Channel
	if p.Kind == redisconn.PatternMessage {
		name = p.Pattern
	}
	var interests []redissub.Interest
	interests, p.Lane = s.interests(p.Kind == redisconn.PatternMessage, name)
	if len(interests) == 1 {
		switch interests[0].Kind {
		case redissub.Probe:
			s.returned(p.Payload)
			return
		case redissub.Fence:
			if drop := s.speech.Fenced(s.receivesFrom, p); drop != Accepted {
				s.config.Metrics.Dropped(drop)
			}
			return
		}
	}
	m := &s.config.Metrics
	m.In.Inc()
	if p.Payload == nil && p.Size > 0 {
		m.Dropped(TooLarge)
		return
	}
	drop := UnknownChannel
	for _, in := range interests {
		// A message names its namespace: of several interests with one channel at most one accepts it.
		if drop = s.speech.Receive(in, p); drop == Accepted {
			return
		}
	}
	m.Dropped(drop)
}

func (s *Server) interests(pattern bool, name []byte) ([]redissub.Interest, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table.Interests(pattern, name), s.laneLocked()
}

// command turns the table's wishes into commands until ctx ends.
func (s *Server) command(ctx context.Context) {
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
		due := s.table.NextDue()
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
func (s *Server) commands(b []byte) (c *redisconn.Conn, commands []byte) {
	for {
		to, command, ok := s.next()
		if !ok {
			return c, b
		}
		if to != c {
			c, b = to, b[:0] // what was for a connection that is over is of no use
		}
		b = command.Append(b)
	}
}

func (s *Server) next() (*redisconn.Conn, redissub.Command, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.table.Next(time.Now())
	return s.in, c, ok
}
