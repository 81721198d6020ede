package redis

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// watchdog probes the subscription from outside: through the publisher, so that a connection that is alive but hears
// nothing, as after a failover, is noticed and replaced.
type watchdog struct {
	// Static after construction.
	subscriber *subscriber
	publisher  *publisher
	metrics    *metrics
	log        *zap.Logger
	wake       chan struct{} // something changed; never closed
	ready      atomic.Bool   // a probe has come back, once
	deaf       atomic.Bool   // written under mu

	mu sync.Mutex
	// mu guards the following.
	prober prober
}

func newWatchdog(s *subscriber, p *publisher) *watchdog {
	return &watchdog{subscriber: s, publisher: p, metrics: s.metrics, log: s.log, wake: make(chan struct{}, 1)}
}

func (w *watchdog) run(ctx context.Context) {
	ticker := time.NewTicker(probeInterval / 2)
	defer ticker.Stop()
	for {
		w.check(time.Now())
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-w.wake:
		}
	}
}

func (w *watchdog) check(now time.Time) {
	w.mu.Lock()
	number, send := w.prober.send(now)
	deaf, blame := w.prober.deaf(now)
	deaf = deaf && w.publisher.connected.Load()
	news := w.deaf.Swap(deaf) != deaf
	w.mu.Unlock()
	if send {
		probe := w.subscriber.currentProbe()
		w.publisher.queue.push(message{
			channel: probe.channel,
			slot:    probe.slot,
			sharded: w.subscriber.shard != nil,
			payload: strconv.AppendUint(nil, number, 10),
			probe:   true,
			done:    func(err error) { w.answered(number, err) },
		})
	}
	if deaf && news {
		w.log.Warn("subscription is deaf")
	}
	if deaf && blame {
		w.subscriber.interrupt()
	}
}

func (w *watchdog) answered(number uint64, err error) {
	w.mu.Lock()
	w.prober.answered(number, err == nil, time.Now())
	w.mu.Unlock()
	w.wakeUp()
}

// listening is told of each connection that hears probes.
func (w *watchdog) listening() {
	w.mu.Lock()
	w.prober.listening(time.Now())
	w.mu.Unlock()
	w.wakeUp()
}

// received takes in what came on the probe channel.
func (w *watchdog) received(payload string) {
	w.mu.Lock()
	took, ok := w.prober.received(payload, time.Now())
	if ok {
		w.deaf.Store(false)
	}
	w.mu.Unlock()
	if !ok {
		return
	}
	w.metrics.probe.Observe(took.Seconds())
	w.subscriber.prove()
	w.ready.Store(true)
}

func (w *watchdog) wakeUp() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}
