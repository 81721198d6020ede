package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// errLinkOver is what go-redis gets when it wants to connect again by itself.
var errLinkOver = errors.New("redis: connection is over")

// identity is how the server knows a connection. Both parts are needed to end it later: a restarted server counts its
// clients anew, so the id alone may by then belong to somebody else.
type identity struct {
	id      string
	address string
}

// link is one connection to Redis, inside a go-redis client of its own that cannot dial. go-redis would otherwise
// replace connections on its own, silently: a subscription would have gaps nobody counts, and a batch of publishes
// could be sent again.
type link struct {
	client   *goredis.Client
	conn     net.Conn
	identity identity // known once the first command was answered; zero where the server cannot tell
}

// source tells where to connect to. For a cluster it is asked anew each time.
type source func(ctx context.Context) (*goredis.Options, error)

// newSource takes the options from the caller's client. On a cluster one master is used for everything: PUBLISH has no
// key, so go-redis would deal the messages out to all masters and lose their order.
func newSource(client goredis.UniversalClient, key string) (source, error) {
	switch c := client.(type) {
	case *goredis.Client:
		options := *c.Options()
		return func(context.Context) (*goredis.Options, error) {
			o := options
			return &o, nil
		}, nil
	case *goredis.ClusterClient:
		return func(ctx context.Context) (*goredis.Options, error) {
			master, err := c.MasterForKey(ctx, key)
			if err != nil {
				return nil, fmt.Errorf("redis: find master for %q: %w", key, err)
			}
			// Where it is wrong, this lets the next attempt find another: go-redis would believe it for a minute.
			c.ReloadState(ctx)
			o := *master.Options()
			return &o, nil
		}, nil
	}
	return nil, fmt.Errorf("redis: clients of type %T are not supported", client)
}

const defaultReadTimeout = 5 * time.Second

// newLink connects; the first command logs in. The predecessor is ended at the server then: a half-open subscription
// would go on to be counted by Node's queries, and a half-sent batch could be carried out late.
func newLink(ctx context.Context, from source, predecessor identity) (*link, error) {
	options, err := from(ctx)
	if err != nil {
		return nil, err
	}
	dialCtx, cancel := context.WithTimeout(ctx, options.DialTimeout)
	defer cancel()
	conn, err := options.Dialer(dialCtx, options.Network, options.Addr)
	if err != nil {
		return nil, fmt.Errorf("redis: dial %s: %w", options.Addr, err)
	}
	l := &link{conn: conn}
	options.Dialer = handOut(conn)
	options.DialerRetries = 1
	connected := options.OnConnect
	options.OnConnect = func(ctx context.Context, conn *goredis.Conn) error {
		if connected != nil {
			if err := connected(ctx, conn); err != nil {
				return err
			}
		}
		return l.introduce(ctx, conn, predecessor)
	}
	options.Protocol = 2
	options.MaxRetries = -1
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	options.ClientSideCache, options.ClientSideCacheConfig = nil, nil
	options.Limiter = nil
	options.PipelinePoolSize = -1
	// PoolSize is more than one because go-redis goes on dialling in the background once as many dials have failed.
	options.PoolSize, options.MaxActiveConns = 4, 1
	options.MinIdleConns, options.MaxIdleConns = 0, 1
	options.ConnMaxIdleTime, options.ConnMaxLifetime = -1, -1
	if options.ReadTimeout <= 0 {
		options.ReadTimeout = defaultReadTimeout
	}
	l.client = goredis.NewClient(options)
	return l, nil
}

// handOut is a dialer that has conn to give, once.
func handOut(conn net.Conn) func(context.Context, string, string) (net.Conn, error) {
	var gone atomic.Bool
	return func(context.Context, string, string) (net.Conn, error) {
		if gone.Swap(true) {
			return nil, errLinkOver
		}
		return conn, nil
	}
}

// introduce learns how the server calls this connection and ends the one before. A server that does not know the
// commands, or refuses them to us, is put up with.
func (l *link) introduce(ctx context.Context, conn *goredis.Conn, predecessor identity) error {
	info, err := conn.Do(ctx, "CLIENT", "INFO").Text()
	if err != nil && !isReply(err) {
		return fmt.Errorf("redis: identify connection: %w", err)
	}
	l.identity = parseIdentity(info)
	if predecessor.id == "" {
		return nil
	}
	err = conn.ClientKillByFilter(ctx, "ID", predecessor.id, "ADDR", predecessor.address).Err()
	if err != nil && !isReply(err) {
		return fmt.Errorf("redis: end previous connection: %w", err)
	}
	return nil
}

func parseIdentity(info string) identity {
	var who identity
	for field := range strings.FieldsSeq(info) {
		switch name, value, _ := strings.Cut(field, "="); name {
		case "id":
			who.id = value
		case "addr":
			who.address = value
		}
	}
	return who
}

// close cuts short whatever is under way. It may be called from any goroutine, and more than once.
func (l *link) close() {
	// Nothing is left to do about a connection that does not even close.
	_ = l.conn.Close()
	_ = l.client.Close()
}

// isReply tells an error that Redis answered with from a failing connection.
func isReply(err error) bool {
	var reply goredis.Error
	return errors.As(err, &reply)
}
