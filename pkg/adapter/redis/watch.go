package redis

import (
	"context"
	"strconv"
	"time"
)

// watch probes the server from outside: through the connection out, so that a connection in that is alive but receives
// nothing, as after a failover, is noticed and replaced.
func (s *server) watch(ctx context.Context) {
	ticker := time.NewTicker(probeInterval / 4)
	defer ticker.Stop()
	for {
		s.check(time.Now())
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-s.probing:
		}
	}
}

func (s *server) check(now time.Time) {
	connected := s.connected.Load()
	s.mu.Lock()
	var number uint64
	var send bool
	if connected {
		number, send = s.prober.send(now)
	}
	deaf, blame := s.prober.deaf(now)
	deaf = deaf && connected
	news := s.deaf.Swap(deaf) != deaf
	probe, in := s.probe, s.in
	s.mu.Unlock()
	if send {
		s.queue.probe(message{
			channel:  probe.channel,
			slot:     probe.slot,
			payload:  strconv.AppendUint(nil, number, 10),
			answered: func(receivers int64, err error) { s.answered(number, receivers, err) },
		})
	}
	if deaf && news {
		s.log.Warn("subscription is deaf")
	}
	if deaf && blame && in != nil {
		in.Close()
	}
}

// answered records what became of a probe on its way out.
func (s *server) answered(number uint64, receivers int64, err error) {
	s.mu.Lock()
	s.prober.answered(number, receivers, err == nil, time.Now())
	s.mu.Unlock()
	s.together()
	wakeUp(s.probing)
}

// returned records what came in on the probe channel.
func (s *server) returned(payload []byte) {
	var (
		took      time.Duration
		ok, first bool
	)
	s.update(func(t *table) {
		var fenced []*waiter
		if took, fenced, ok = s.prober.received(payload, time.Now()); !ok {
			return
		}
		first, s.proven = !s.proven, true
		s.deaf.Store(false)
		for _, w := range fenced {
			t.fenced(w)
		}
	})
	if !ok {
		return
	}
	s.env.metrics.probe.Observe(took.Seconds())
	s.ready.Store(true)
	if first {
		s.log.Info("subscribed")
	}
	s.together()
	wakeUp(s.probing)
}

// together drops both connections when they turn out to be with different servers. A subscription at the replica of the
// server that we publish at receives everything, but is not counted among the subscribers.
func (s *server) together() {
	s.mu.Lock()
	apart := s.prober.apart(time.Now())
	s.mu.Unlock()
	if apart {
		s.log.Warn("the connections are with different servers")
		s.dropBoth()
	}
}
