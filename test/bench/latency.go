package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// measureLatency has one node publish 2,000 messages a second, ten at a time, to a room that only another one has, and
// returns how long they took from Publish to Deliver. Both are in this process, which has one clock.
func measureLatency(ctx context.Context, address string, short bool) (map[string]float64, error) {
	const batch, pause = 10, 5 * time.Millisecond
	duration := 10 * time.Second
	if short {
		duration = time.Second
	}
	publisher, receiver := newLatencyNode(address), newLatencyNode(address)
	defer func() { _ = publisher.client.Close() }()
	defer func() { _ = receiver.client.Close() }()
	var running sync.WaitGroup
	defer running.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for _, n := range []*latencyNode{publisher, receiver} {
		if err := n.start(ctx, &running); err != nil {
			return nil, err
		}
	}
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	published := 0
	for end := time.Now().Add(duration); time.Now().Before(end); {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		for range batch {
			text := strconv.AppendInt([]byte(`["at",`), time.Now().UnixNano(), 10)
			publisher.Publish(adapter.Broadcast{
				Namespace: "/", Args: packet.Args{JSON: append(text, ']')}, Target: rooms.Target{Rooms: []string{"room"}},
			}, nil)
			published++
		}
	}
	took, err := receiver.await(ctx, published)
	if err != nil {
		return nil, err
	}
	slices.Sort(took)
	at := func(q float64) float64 { return took[int(q*float64(len(took)-1))].Seconds() * 1e3 }
	return map[string]float64{
		"cross_p50_ms": at(.5), "cross_p99_ms": at(.99), "cross_p999_ms": at(.999), "lost": float64(published - len(took)),
	}, nil
}

// latencyNode is a node whose server only takes the time.
type latencyNode struct {
	*redis.Adapter
	client *goredis.Client

	mu   sync.Mutex
	took []time.Duration // guarded by mu
}

func newLatencyNode(address string) *latencyNode {
	return &latencyNode{client: goredis.NewClient(&goredis.Options{Addr: address})}
}

// start runs the node until ctx ends, and returns once it receives what is published for the room.
func (n *latencyNode) start(ctx context.Context, running *sync.WaitGroup) (err error) {
	if n.Adapter, err = redis.New(n.client, redis.Config{}); err != nil {
		return err
	}
	running.Go(func() { _ = n.Run(ctx, n) }) // it fails with ctx only
	n.Open("/")
	certain := make(chan error, 1)
	for {
		n.Confirm("/", []string{"room"}, func(err error) { certain <- err })
		select {
		case err := <-certain:
			if !errors.Is(err, adapter.ErrAway) { // it is connecting
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Deliver implements [adapter.Node].
func (n *latencyNode) Deliver(c adapter.Command) int {
	now := time.Now().UnixNano()
	text := c.(adapter.Broadcast).Args.JSON
	sent, err := strconv.ParseInt(string(text[len(`["at",`):len(text)-1]), 10, 64)
	if err != nil {
		panic(fmt.Sprintf("received %s", text)) // nothing else is on this Redis
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.took = append(n.took, time.Duration(now-sent))
	return 1
}

// Answer implements [adapter.Node].
func (n *latencyNode) Answer(adapter.Query, func(adapter.Reply)) {}

// Holds implements [adapter.Node].
func (n *latencyNode) Holds(string, string) bool { return true }

// await returns what was received once it is all, or no more comes for a second.
func (n *latencyNode) await(ctx context.Context, all int) ([]time.Duration, error) {
	for last, since := 0, time.Now(); ; {
		n.mu.Lock()
		took := n.took
		n.mu.Unlock()
		switch {
		case len(took) == all, len(took) > 0 && len(took) == last && time.Since(since) > time.Second:
			return took, nil
		case len(took) != last:
			last, since = len(took), time.Now()
		case time.Since(since) > 10*time.Second:
			return nil, errors.New("nothing was received")
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
