package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/podcost"
)

// What leaving may take beyond the drain's delay and window, leaveGrace in all: clients get drainGrace to let go, and
// requests under way get stopGrace on each listener. What is left is for what the cluster still has to say, a second and
// a half, and for a busy machine.
const (
	leaveGrace = 5 * time.Second
	drainGrace = 2 * time.Second
	stopGrace  = 500 * time.Millisecond
)

// Run serves until ctx ends, then drains and leaves within delay + window + 5 s. It returns nil when it was asked to leave and
// did so cleanly, else what failed. It is called once.
func (g *Gateway) Run(ctx context.Context) error {
	defer func() { _ = g.close() }() // the pool has no connection left that could fail to close
	if err := g.ops.listen(); err != nil {
		return err
	}
	if err := g.clients.listen(); err != nil {
		g.ops.abort()
		return err
	}
	if g.peers != nil {
		if err := g.peers.listen(g.logger); err != nil {
			g.ops.abort()
			g.clients.abort()
			return err
		}
	}
	if err := g.api.listen(); err != nil {
		g.ops.abort()
		g.clients.abort()
		if g.peers != nil {
			g.peers.endpoint.abort()
		}
		return err
	}
	g.tracing.start()
	// The cluster outlives ctx: what the drain still has to say goes through it.
	cluster, leaveCluster := context.WithCancel(context.WithoutCancel(ctx))
	defer leaveCluster()

	var running sync.WaitGroup
	failed := make(chan error, 5) // one for each part below
	start := func(part func() error) {
		running.Go(func() {
			if err := part(); err != nil {
				failed <- err
			}
		})
	}
	start(g.ops.serve)
	start(func() error {
		if err := g.socketio.Run(cluster); err != nil {
			return fmt.Errorf("cluster: %w", err)
		}
		return nil
	})
	start(g.clients.serve)
	if g.peers != nil {
		start(g.peers.endpoint.serve)
		running.Go(func() { g.peers.secret.run(cluster) })
		if g.moves != nil {
			running.Go(func() { g.moves.Run(cluster) })
		}
		running.Go(func() { g.peers.sessions.run(cluster, g.logger) })
	}
	if g.api.server != nil {
		start(g.api.endpoint.serve)
		g.logger.Info("serving backends", zap.Stringer("api", g.api.address()))
	}
	if g.upstream != nil {
		running.Go(func() { g.upstream.Run(cluster) })
	}
	// Other nodes go on with the webhooks at once.
	deliver, stopDelivering := context.WithCancel(ctx)
	defer stopDelivering()
	if g.webhooks != nil {
		running.Go(func() { g.webhooks.Run(deliver) })
	}
	running.Go(func() { g.tuneMemory(cluster) })
	running.Go(func() { g.tokens.Run(cluster) })
	if g.pod != nil {
		running.Go(func() {
			podcost.Run(cluster, podcost.Config{Pod: *g.pod, Count: g.socketio.Engine().Sessions, Logger: g.logger.Named("podcost")})
		})
	}
	if g.reloader.source != nil {
		running.Go(func() { watch(cluster, g.reloader.files, g.Reload) })
	}
	g.logger.Info("serving", zap.Stringer("clients", g.clients.listener.Addr()), zap.Stringer("ops", g.ops.listener.Addr()))

	var err error
	delay := g.config.Drain.Delay
	select {
	case <-ctx.Done():
	case err = <-failed:
		delay = 0 // a load balancer that goes on sending clients here would do them no good
	}
	stopDelivering()
	deadline := time.Now().Add(delay + g.config.Drain.Window + leaveGrace)
	g.leaveBy.Store(deadline.Unix())
	err = errors.Join(err, g.leave(delay, leaveCluster))
	running.Wait()
	g.tracing.stop(deadline)
	return err
}

// leave takes the node out in the order that costs nobody a message: out of the balancer, clients away, cluster, and the
// listener that tells how it goes last.
func (g *Gateway) leave(delay time.Duration, leaveCluster func()) error {
	started := time.Now()
	g.draining.Store(true)
	g.logger.Info("leaving", zap.Duration("delay", delay), zap.Duration("window", g.config.Drain.Window),
		zap.Int("sessions", g.socketio.Engine().Sessions()))

	time.Sleep(delay)
	g.drain()
	err := errors.Join(g.stopClients(), g.api.stop())
	if g.peers != nil {
		err = errors.Join(err, g.peers.stop())
	}
	err = errors.Join(err, g.leaveUpstream())
	leaveCluster()
	err = errors.Join(err, stop(&g.ops))
	g.logger.Info("left", zap.Duration("after", time.Since(started)))
	return err
}

// drain closes the clients' transports over the window, and lets go of what it relays for others. A client that has not let
// go soon after is cut: that is no failure of this node.
func (g *Gateway) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), g.config.Drain.Window+drainGrace)
	defer cancel()
	var relayed sync.WaitGroup
	if g.peers != nil {
		relayed.Go(func() {
			if err := g.peers.relay.Drain(ctx, g.config.Drain.Window); err != nil {
				g.logger.Warn("some clients of other nodes did not let go and were cut", zap.Error(err))
			}
		})
	}
	if err := g.socketio.Shutdown(ctx); err != nil {
		g.logger.Warn("some clients did not let go and were cut", zap.Error(err))
	}
	relayed.Wait()
}

// stopClients ends the clients' listener. A client of another node may have come back to this one after the drain let go
// of it: its poll is ended once more, since cutting it would end its session at the owner.
func (g *Gateway) stopClients() error {
	if g.peers == nil {
		return stop(&g.clients)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var letting sync.WaitGroup
	letting.Go(func() { g.peers.relay.LetGo(ctx) })
	err := stop(&g.clients)
	cancel()
	letting.Wait()
	return err
}

func stop(e *endpoint) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	return e.stop(ctx)
}
