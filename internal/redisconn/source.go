package redisconn

import (
	"context"
	"fmt"

	goredis "github.com/redis/go-redis/v9"
)

// Source tells where to connect to, and how to log in. The options are the caller's to change.
type Source func(ctx context.Context) (*goredis.Options, error)

// NewSource takes the options from a client. On a Redis Cluster it names the master that serves the slot of key, and
// looks it up again for each connection.
func NewSource(client goredis.UniversalClient, key string) (Source, error) {
	switch c := client.(type) {
	case *goredis.Client:
		return fixed(*c.Options()), nil
	case *goredis.ClusterClient:
		return func(ctx context.Context) (*goredis.Options, error) {
			master, err := c.MasterForKey(ctx, key)
			if err != nil {
				return nil, fmt.Errorf("redis: find master for %q: %w", key, err)
			}
			// If it is the wrong one, the next attempt finds another: go-redis would keep its view for a minute.
			c.ReloadState(ctx)
			o := *master.Options()
			return &o, nil
		}, nil
	}
	return nil, fmt.Errorf("redis: clients of type %T are not supported", client)
}

// At is the source of the server at an address, with the rest of the options.
func At(options *goredis.Options, address string) Source {
	o := *options
	o.Addr = address
	return fixed(o)
}

func fixed(options goredis.Options) Source {
	return func(context.Context) (*goredis.Options, error) {
		o := options
		return &o, nil
	}
}
