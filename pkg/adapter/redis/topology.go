package redis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	goredis "github.com/redis/go-redis/v9"
)

// topology finds out which master of a Redis Cluster serves which slot. It is owned by one goroutine.
type topology struct {
	client *goredis.ClusterClient
	known  []string // addresses of all nodes of the last answer, replicas included
}

// answer is what one node says.
type answer struct {
	ranges []slotRange
	nodes  []string
	err    error
}

// load asks all nodes that are known and takes the first answer: one that hangs keeps nobody waiting. The options are
// those to connect to any of them.
func (t *topology) load(ctx context.Context) ([]slotRange, *goredis.Options, error) {
	options, err := t.options(ctx)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, options.ReadTimeout)
	defer cancel()
	addresses := make(map[string]bool)
	for _, a := range slices.Concat(t.known, t.client.Options().Addrs) {
		addresses[a] = true
	}
	answers := make(chan answer, len(addresses))
	for a := range addresses {
		go func() { answers <- askSlots(ctx, *options, a) }()
	}
	var failures []error
	for range addresses {
		a := <-answers
		if a.err == nil {
			t.known = a.nodes
			return a.ranges, options, nil
		}
		failures = append(failures, a.err)
	}
	return nil, nil, fmt.Errorf("redis: find the masters of the cluster: %w", errors.Join(failures...))
}

// options are those that the caller's client uses for its nodes.
func (t *topology) options(ctx context.Context) (*goredis.Options, error) {
	node, err := outlive(ctx, func() (*goredis.Client, error) { return t.client.MasterForKey(ctx, "") })
	if err != nil {
		return nil, fmt.Errorf("redis: find a master of the cluster: %w", err)
	}
	o := *node.Options()
	if o.ReadTimeout <= 0 {
		o.ReadTimeout = defaultReadTimeout
	}
	return &o, nil
}

// askSlots asks one node, over a connection of its own that ends with ctx.
func askSlots(ctx context.Context, options goredis.Options, address string) answer {
	options.Addr = address
	options.MaxRetries = -1
	options.DialerRetries = 1
	options.PoolSize, options.MinIdleConns = 1, 0
	options.ContextTimeoutEnabled = true
	client := goredis.NewClient(&options)
	// Nothing is left to do about a connection that does not even close.
	defer func() { _ = client.Close() }()
	slots, err := client.ClusterSlots(ctx).Result() //nolint:staticcheck // Redis 6.2 does not know CLUSTER SHARDS.
	if err != nil {
		return answer{err: fmt.Errorf("%s: %w", address, err)}
	}
	var a answer
	nodes := make(map[string]bool)
	for _, s := range slots {
		for i, n := range s.Nodes {
			n := sameHost(n.Addr, address)
			nodes[n] = true
			if i == 0 {
				a.ranges = append(a.ranges, slotRange{first: s.Start, last: s.End, address: n})
			}
		}
	}
	if len(a.ranges) == 0 {
		a.err = fmt.Errorf("%s: no slots are assigned", address)
	}
	a.nodes = slices.Collect(maps.Keys(nodes))
	return a
}
