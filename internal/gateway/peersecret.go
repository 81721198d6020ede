package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/config"
)

// How often the agreed secret is looked at: until there is one, and later, when a Redis that lost its keys needs it again.
const (
	secretAgain = time.Second
	secretCheck = 10 * time.Second
)

// secretKey is where nodes of one Redis keep their secret: with the other keys of nodes, in one slot of a Redis Cluster.
func secretKey(cfg config.Redis) string { return cfg.Prefix + ":{nodes}:secret" }

// peerSecret is the key that signs relayed requests: from the configuration, or agreed on in Redis, where the first node
// draws it.
type peerSecret struct {
	// Static after construction.
	client goredis.UniversalClient // nil: nothing is to be agreed on
	key    string
	log    *zap.Logger
	learnt func(secret []byte) // called with each secret that is used

	present atomic.Pointer[[]byte]
	settled atomic.Bool // it is known, or could not be agreed on at once
}

func (s *peerSecret) use(secret []byte) {
	if s.learnt != nil {
		s.learnt(secret)
	}
	s.present.Store(&secret)
	s.settled.Store(true)
}

// get returns nil while the secret is not known.
func (s *peerSecret) get() []byte {
	if secret := s.present.Load(); secret != nil {
		return *secret
	}
	return nil
}

// run agrees with the other nodes until ctx ends.
func (s *peerSecret) run(ctx context.Context) {
	if s.client == nil {
		return
	}
	for ctx.Err() == nil {
		pause := secretCheck
		if err := s.agree(ctx); err != nil {
			s.log.Debug("no secret among peers yet", zap.Error(err))
			pause = secretAgain
			s.settled.Store(true) // a node that may not agree serves its own clients
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// agree puts this node's secret, or a new one, where there is none, and takes over the one that is there.
func (s *peerSecret) agree(ctx context.Context) error {
	mine := string(s.get())
	if mine == "" {
		mine = rand.Text() + rand.Text()
	}
	// As SET, which nodes have the right to anyway.
	err := s.client.SetArgs(ctx, s.key, mine, goredis.SetArgs{Mode: "NX"}).Err()
	if err != nil && !errors.Is(err, goredis.Nil) {
		return fmt.Errorf("agree on a secret: %w", err)
	}
	theirs, err := s.client.Get(ctx, s.key).Result()
	if err != nil {
		return fmt.Errorf("read the secret: %w", err)
	}
	s.use([]byte(theirs))
	return nil
}
