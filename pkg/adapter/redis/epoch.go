package redis

import (
	"context"
	"fmt"

	goredis "github.com/redis/go-redis/v9"
)

// epoch is the life of one subscribed connection. Whatever goes wrong on it ends it; the next one starts from the
// table.
type epoch struct {
	link   *link
	pubsub *goredis.PubSub
	cancel context.CancelFunc
}

// newEpoch connects, without subscribing to anything yet. The epoch ends with ctx at the latest.
func newEpoch(ctx context.Context, from source, predecessor identity) (*epoch, error) {
	ctx, cancel := context.WithCancel(ctx)
	l, err := newLink(ctx, from, predecessor)
	if err != nil {
		cancel()
		return nil, err
	}
	context.AfterFunc(ctx, l.close)
	e := &epoch{link: l, pubsub: l.client.Subscribe(ctx), cancel: cancel}
	if err := e.pubsub.Ping(ctx); err != nil {
		e.close()
		return nil, fmt.Errorf("redis: connect subscriber: %w", err)
	}
	return e, nil
}

// send writes one command; its confirmations come through receive. It waits for the socket at most.
func (e *epoch) send(ctx context.Context, c command) error {
	var err error
	switch c.verb {
	case subscribe:
		err = e.pubsub.Subscribe(ctx, c.names()...)
	case unsubscribe:
		err = e.pubsub.Unsubscribe(ctx, c.names()...)
	case psubscribe:
		err = e.pubsub.PSubscribe(ctx, c.names()...)
	case punsubscribe:
		err = e.pubsub.PUnsubscribe(ctx, c.names()...)
	case ssubscribe:
		err = e.pubsub.SSubscribe(ctx, c.names()...)
	case sunsubscribe:
		err = e.pubsub.SUnsubscribe(ctx, c.names()...)
	}
	if err != nil {
		return fmt.Errorf("redis: %s %d channels: %w", c.verb, len(c.channels), err)
	}
	return nil
}

// receive waits for the next message or confirmation. It has no deadline, since one that struck inside a message would
// leave the reader between two: close is what ends it.
func (e *epoch) receive(ctx context.Context) (any, error) {
	m, err := e.pubsub.Receive(ctx)
	if err != nil {
		return nil, fmt.Errorf("redis: receive: %w", err)
	}
	return m, nil
}

// close may be called from any goroutine, and more than once.
func (e *epoch) close() {
	e.cancel()
	// The link goes first: PubSub waits for a command being written, which the link cuts short.
	e.link.close()
	// A second Close says that it is one.
	_ = e.pubsub.Close()
}
