package redisconn

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	goredis "github.com/redis/go-redis/v9"
)

// Range is the slots from First to Last and the address of the master that serves them.
type Range struct {
	First, Last int
	Address     string
}

// Topology finds out which master of a Redis Cluster serves which slot. It is for one goroutine.
type Topology struct {
	Client *goredis.ClusterClient

	known []string // addresses of all servers of the last answer, replicas included
}

// answer is what one server says.
type answer struct {
	ranges  []Range
	servers []string
	err     error
}

// Load asks all servers that are known and takes the first answer, so that one that hangs delays nothing. The options are
// those to connect to any of them.
func (t *Topology) Load(ctx context.Context) ([]Range, *goredis.Options, error) {
	options, err := t.options(ctx)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, options.ReadTimeout)
	defer cancel()
	addresses := make(map[string]bool)
	for _, a := range slices.Concat(t.known, t.Client.Options().Addrs) {
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
			t.known = a.servers
			return a.ranges, options, nil
		}
		failures = append(failures, a.err)
	}
	return nil, nil, fmt.Errorf("redis: find the masters of the cluster: %w", errors.Join(failures...))
}

// options are those that the caller's client uses for its servers. go-redis waits for its own timeouts and not for ctx; the
// look-up then ends by itself.
func (t *Topology) options(ctx context.Context) (*goredis.Options, error) {
	type result struct {
		node *goredis.Client
		err  error
	}
	found := make(chan result, 1)
	go func() {
		node, err := t.Client.MasterForKey(ctx, "")
		found <- result{node, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-found:
		if r.err != nil {
			return nil, fmt.Errorf("redis: find a master of the cluster: %w", r.err)
		}
		o := *r.node.Options()
		if o.ReadTimeout <= 0 {
			o.ReadTimeout = DefaultReadTimeout
		}
		return &o, nil
	}
}

// askSlots asks one server, over a connection of its own that ends with ctx.
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
	servers := make(map[string]bool)
	for _, s := range slots {
		if s.Start < 0 || s.Start > s.End || s.End >= Slots {
			continue
		}
		for i, n := range s.Nodes {
			n := sameHost(n.Addr, address)
			servers[n] = true
			if i == 0 {
				a.ranges = append(a.ranges, Range{First: s.Start, Last: s.End, Address: n})
			}
		}
	}
	if len(a.ranges) == 0 {
		a.err = fmt.Errorf("%s: no slots are assigned", address)
	}
	a.servers = slices.Collect(maps.Keys(servers))
	return a
}
