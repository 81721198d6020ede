package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// unnamed stands for a node whose name is not known: Node's servers do not tell theirs.
const unnamed = "?"

// Ask implements [adapter.Adapter]. The question is published first and the nodes are counted then, as Node does it: a
// node that appears in between may be waited for in vain, but none that answers is missed.
func (a *Adapter) Ask(ctx context.Context, q adapter.Query, reply func(adapter.Reply)) (missing []string, err error) {
	nsp, limit := a.about(q)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	a.subscriber.setAsking(nsp, 1)
	defer a.subscriber.setAsking(nsp, -1)
	shared := []interest{a.subscriber.naming.shared(nsp)}
	if err := wait(ctx, func(done func(error)) { a.subscriber.confirm(shared, done) }); err != nil {
		return []string{unnamed}, fmt.Errorf("redis: listen for answers: %w", err)
	}

	id := rand.Text()[:requestIDLength]
	open := newAsk(q)
	if !a.asks.add(id, open) {
		return []string{unnamed}, adapter.ErrAway
	}
	defer a.asks.remove(id)

	payload, err := rediswire.AppendRequest(nil, &rediswire.Request{UID: a.config.NodeID, ID: id, Query: q})
	if err != nil {
		return nil, fmt.Errorf("redis: encode query: %w", err)
	}
	request := message{channel: rediswire.RequestChannel(a.config.Key, nsp), payload: payload}
	publish := func(done func(error)) {
		request.done = done
		a.queue.push(request)
	}
	if err := wait(ctx, publish); err != nil {
		return []string{unnamed}, fmt.Errorf("redis: publish query: %w", err)
	}
	expected, err := a.countNodes(ctx, nsp)
	if err != nil {
		return []string{unnamed}, fmt.Errorf("redis: count nodes: %w", err)
	}
	open.expect(expected)
	return open.collect(ctx, reply), nil
}

const requestIDLength = 12

func (a *Adapter) about(q adapter.Query) (nsp string, limit time.Duration) {
	limit = a.config.RequestTimeout
	switch q := q.(type) {
	case adapter.FetchSockets:
		nsp = q.Namespace
	case adapter.AllRooms:
		nsp = q.Namespace
	case adapter.ServerAsk:
		nsp = q.Namespace
	case adapter.BroadcastAsk:
		nsp = q.Namespace
		if q.Timeout > 0 {
			limit = q.Timeout
		}
	}
	return nsp, limit
}

// wait turns a callback into a call. When ctx ends first, the callback's result is of no interest any more.
func wait(ctx context.Context, start func(done func(error))) error {
	result := make(chan error, 1)
	start(func(err error) { result <- err })
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return errors.Join(adapter.ErrAway, ctx.Err())
	}
}

// countNodes is the number of other nodes that have the namespace: those that listen for requests in it.
func (a *Adapter) countNodes(ctx context.Context, nsp string) (int, error) {
	request := a.subscriber.naming.request(nsp)
	count := make(chan int, 1)
	err := wait(ctx, func(done func(error)) {
		// go-redis waits for its own timeouts and not for ctx: when ctx ends first, this goroutine ends by itself.
		go func() {
			n, err := countSubscribers(ctx, a.client, request.channel)
			count <- n
			done(err)
		}()
	})
	if err != nil {
		return 0, err
	}
	n := <-count
	if a.subscriber.isOn(request) {
		n--
	}
	return max(n, 0), nil
}

// countSubscribers asks all masters of a cluster: each knows its own subscribers only.
func countSubscribers(ctx context.Context, client goredis.UniversalClient, channel string) (int, error) {
	cluster, ok := client.(*goredis.ClusterClient)
	if !ok {
		counts, err := client.PubSubNumSub(ctx, channel).Result()
		return int(counts[channel]), err
	}
	var (
		mu    sync.Mutex
		total int
	)
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, master *goredis.Client) error {
		counts, err := master.PubSubNumSub(ctx, channel).Result()
		mu.Lock()
		total += int(counts[channel])
		mu.Unlock()
		return err
	})
	return total, err
}
