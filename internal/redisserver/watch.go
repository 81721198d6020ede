package redisserver

import (
	"context"
	"strconv"
	"time"

	"github.com/carillon-io/carillon/internal/redisqueue"
	"github.com/carillon-io/carillon/internal/redissub"
)

// watch probes the server from outside: through the connection out, so that a connection in that is alive but receives
// nothing, as after a failover, is noticed and replaced.
func (s *Server) watch(ctx context.Context) {
	const usual = redissub.ProbeInterval / 4
	timer := time.NewTimer(usual)
	defer timer.Stop()
	for {
		next := s.check(time.Now())
		if next == 0 {
			next = usual
		}
		timer.Reset(min(next, usual))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-s.probing:
		}
	}
}

// check sends a probe if one is due, and replaces a deaf connection. next is when it is to be called again for a wait; 0:
// there is none.
func (s *Server) check(now time.Time) (next time.Duration) {
	connected := s.Connected()
	s.mu.Lock()
	var number uint64
	var send bool
	if connected {
		number, send = s.table.SendProbe(now)
	}
	next = s.table.NextProbe(now)
	deaf, blame := s.table.Deaf(now)
	deaf = deaf && connected
	news := s.deaf.Swap(deaf) != deaf
	probe, in := s.table.Probe(), s.in
	s.mu.Unlock()
	if send {
		s.queue.Probe(redisqueue.Message{
			Channel:  probe.Channel,
			Slot:     probe.Slot,
			Payload:  strconv.AppendUint(nil, number, 10),
			Answered: func(receivers int64, err error) { s.answered(number, receivers, err) },
		})
	}
	if deaf && news {
		s.log.Warn("subscription is deaf")
	}
	if deaf && blame && in != nil {
		in.Close()
	}
	return next
}

// answered records what became of a probe on its way out.
func (s *Server) answered(number uint64, receivers int64, err error) {
	s.mu.Lock()
	s.table.Answered(number, receivers, err == nil, time.Now())
	s.mu.Unlock()
	s.together()
	wakeUp(s.probing)
}

// returned records what came in on the probe channel.
func (s *Server) returned(payload []byte) {
	var (
		took      time.Duration
		first, ok bool
	)
	s.update(func() {
		if took, first, ok = s.table.Returned(payload, time.Now()); ok {
			s.deaf.Store(false)
		}
	})
	if !ok {
		return
	}
	s.config.Metrics.Probe.Observe(took.Seconds())
	s.ready.Store(true)
	if first {
		s.log.Info("subscribed")
	}
	s.together()
	wakeUp(s.probing)
}

// together drops both connections when they turn out to be with different servers. A subscription at the replica of the
// server that we publish at receives everything, but is not counted among the subscribers.
func (s *Server) together() {
	s.mu.Lock()
	apart := s.table.Apart(time.Now())
	s.mu.Unlock()
	if apart {
		s.log.Warn("the connections are with different servers")
		s.drop()
	}
}
