package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

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

	release, err := a.dialect.listen(ctx, nsp)
	if err != nil {
		return []string{unnamed}, fmt.Errorf("redis: listen for answers: %w", err)
	}
	defer release()
	if _, ok := q.(adapter.AllRooms); ok {
		reply = roomsOf(reply)
	}

	id := rand.Text()[:requestIDLength]
	open := newAsk(q)
	if !a.asks.add(id, open) {
		return []string{unnamed}, adapter.ErrAway
	}
	defer a.asks.remove(id)

	request, err := a.dialect.query(id, q)
	if err != nil {
		return nil, fmt.Errorf("redis: encode query: %w", err)
	}
	publish := func(done func(error)) {
		request.done = done
		a.push(request)
	}
	if err := wait(ctx, publish); err != nil {
		return []string{unnamed}, fmt.Errorf("redis: publish query: %w", err)
	}
	asked := time.Now()
	expected, err := a.expect(ctx, nsp)
	if err != nil {
		return []string{unnamed}, fmt.Errorf("redis: count nodes: %w", err)
	}
	open.expect(expected)
	patience := time.NewTimer(a.config.RequestTimeout)
	defer patience.Stop()
	result := open.collect(ctx, patience.C, reply)
	// Who had hardly any time to answer is not silent.
	if len(result.missing) == 0 || time.Since(asked) >= a.config.RequestTimeout/2 {
		a.membership.settle(nsp, expected, result)
	}
	return result.missing, nil
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
		nsp = q.Broadcast.Namespace
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

// expect finds out who else has the namespace: those that listen for requests in it. Our own kind listens on a channel
// with its name as well, so that Redis tells which of them are there. One that is alive and hears nothing at all is cut
// off, and may have it too.
func (a *Adapter) expect(ctx context.Context, nsp string) (expectation, error) {
	request := a.dialect.requests(nsp)
	peers, live := a.membership.known()
	channels := []string{request.channel}
	probes := make([][]string, len(peers)) // of each
	for i, p := range peers {
		probes[i] = a.probesBeside(request, p)
		channels = append(channels, a.dialect.answers(nsp, p.ID))
		channels = append(channels, probes[i]...)
	}
	counts, err := outlive(ctx, func() (map[string]int64, error) { return a.countSubscribers(ctx, channels) })
	if err != nil {
		a.refusals.Refused(refusedQuery, err)
		return expectation{}, err
	}
	a.refusals.Granted(refusedQuery)
	subscribers := int(counts[request.channel])
	if a.dialect.isOn(request) {
		subscribers--
	}
	var present []string
	var suspects []member
	subscribed := func(channel string) bool { return counts[channel] > 0 }
	for i, p := range peers {
		switch {
		case subscribed(a.dialect.answers(nsp, p.ID)):
			present = append(present, p.ID)
		case live[p.ID] && len(probes[i]) > 0 && !slices.ContainsFunc(probes[i], subscribed):
			suspects = append(suspects, p)
		}
	}
	cutOff, err := outlive(ctx, func() ([]string, error) { return a.membership.unchanged(ctx, suspects) })
	if err != nil {
		return expectation{}, err
	}
	return a.membership.expect(nsp, subscribers, present, cutOff), nil
}

// probesBeside are the channels by which a peer tells that it hears the server where requests are published.
func (a *Adapter) probesBeside(request interest, p member) []string {
	var channels []string
	for _, probe := range p.Probes {
		if a.dialect.sameServer(request.channel, probe) {
			channels = append(channels, probe)
		}
	}
	return channels
}

// countSubscribers asks all masters of a cluster: each knows its own subscribers only.
func (a *Adapter) countSubscribers(ctx context.Context, channels []string) (map[string]int64, error) {
	cluster, ok := a.client.(*goredis.ClusterClient)
	if !ok {
		return a.dialect.count(ctx, a.client.(*goredis.Client), channels)
	}
	var mu sync.Mutex
	total := make(map[string]int64, len(channels))
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, master *goredis.Client) error {
		counts, err := a.dialect.count(ctx, master, channels)
		mu.Lock()
		defer mu.Unlock()
		for channel, n := range counts {
			total[channel] += n
		}
		return err
	})
	return total, err
}
