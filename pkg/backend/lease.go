package backend

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// store is what this package does in Redis, one method for each script.
type store struct {
	client  goredis.UniversalClient
	keys    keys
	process string // unique for each Run
	expiry  time.Duration
}

// partitions asks how many partitions the route has; 0 while no gateway has said so.
func (s *store) partitions(ctx context.Context) (int, error) {
	n, err := s.client.HGet(ctx, s.keys.routes(), s.keys.route).Int()
	switch {
	case errors.Is(err, goredis.Nil):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("backend: read number of partitions: %w", err)
	case n < 0 || n > maxPartitions:
		return 0, fmt.Errorf("backend: route %q has %d partitions", s.keys.route, n)
	}
	return n, nil
}

// maxPartitions bounds what a process believes of the number in Redis.
const maxPartitions = 4096

// beat enters this process among the consumers of the route, and returns how many partitions of n it is entitled to: they
// are divided evenly, and those left over go to the first by name.
func (s *store) beat(ctx context.Context, n int) (share int, err error) {
	reply, err := beatScript.Run(ctx, s.client, []string{s.keys.members()}, s.process, s.expiry.Milliseconds()).Int64Slice()
	if err == nil && (len(reply) != 2 || reply[0] < 1) {
		err = errReply
	}
	if err != nil {
		return 0, fmt.Errorf("backend: enter as consumer: %w", err)
	}
	members, before := int(reply[0]), int(reply[1])
	share = n / members
	if before < n%members {
		share++
	}
	return share, nil
}

var errReply = errors.New("unexpected reply of a script")

// leave removes this process from the consumers of the route.
func (s *store) leave(ctx context.Context) error {
	return s.client.ZRem(ctx, s.keys.members(), s.process).Err()
}

// acquire takes the lease of a partition; a fence of 0 means that another process has it. The group exists afterwards.
func (s *store) acquire(ctx context.Context, p int) (fence int64, err error) {
	fence, err = acquireScript.Run(ctx, s.client, []string{s.keys.lease(p)}, s.process, s.expiry.Milliseconds()).Int64()
	if err != nil || fence == 0 {
		return 0, wrap("take lease", err)
	}
	err = s.client.XGroupCreateMkStream(ctx, s.keys.stream(p), s.keys.group, "0").Err()
	if err != nil && !strings.HasPrefix(err.Error(), "BUSYGROUP") {
		return 0, wrap("create group", err)
	}
	return fence, nil
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("backend: %s: %w", what, err)
}

// renew prolongs a lease, and reports whether it is still the holder's.
func (s *store) renew(ctx context.Context, p int, holder string) (held bool, err error) {
	held, err = renewScript.Run(ctx, s.client, []string{s.keys.lease(p)}, holder, s.expiry.Milliseconds()).Bool()
	return held, wrap("renew lease", err)
}

func (s *store) release(ctx context.Context, p int, holder string) error {
	return wrap("release lease", releaseScript.Run(ctx, s.client, []string{s.keys.lease(p)}, holder).Err())
}
