package pythonbus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisconn"
)

const (
	probeEvery = 5 * time.Second
	// deafAfter is how long a probe that was published may take to come back. Then the subscription is deaf, as it can be after
	// a failover, and is made anew.
	deafAfter = 5 * time.Second
)

var errDeaf = errors.New("pythonbus: the subscription receives nothing, not even this node's own probe")

// subscribe receives from the channel until ctx ends, over one connection after the other. Messages published between two
// connections are lost, as they are for python-socketio's own servers.
func (b *Bus) subscribe(ctx context.Context) {
	var backoff redisconn.Backoff
	outage := outage{log: b.log, connection: "subscription"}
	for ctx.Err() == nil {
		c, err := b.dialers[0].Dial(ctx)
		if err == nil {
			stop := context.AfterFunc(ctx, c.Close)
			err = b.receiveOn(c, func() {
				backoff.Reset()
				outage.over()
			})
			stop()
			c.Close()
			b.metrics.up.Set(0)
		}
		outage.report(ctx, err)
		backoff.Sleep(ctx)
	}
}

// receiveOn subscribes and receives over one connection until that fails. joined is called once it is subscribed.
func (b *Bus) receiveOn(c *redisconn.Conn, joined func()) error {
	c.MaxPayload = b.config.MaxMessage
	b.health.begin(c.Close)
	defer b.health.end()
	command := redisconn.AppendCommand(nil, "SUBSCRIBE", 3)
	command = redisconn.AppendWord(redisconn.AppendWord(command, b.config.Channel), b.config.Probe)
	if err := c.Write(command); err != nil {
		return err
	}
	for {
		p, err := c.Push()
		switch {
		case err != nil && b.health.deaf():
			return errDeaf
		case err != nil:
			return err
		case p.Kind == redisconn.Failed:
			return fmt.Errorf("pythonbus: subscribe to %s: %w", b.config.Channel, p.Err)
		case p.Kind == redisconn.Subscribed && string(p.Channel) == b.config.Channel:
			b.metrics.up.Set(1)
			joined()
			b.log.Info("joined Python's channel", zap.String("channel", b.config.Channel))
		case p.Kind != redisconn.Message:
		case string(p.Channel) == b.config.Probe:
			b.health.heard()
		case p.Payload == nil:
			b.metrics.in.Inc()
			b.refuse(dropTooLarge, fmt.Errorf("pythonbus: %d bytes are over adapter.max_message", p.Size))
		default:
			b.receive(p.Keep(), p.At)
		}
	}
}

// health tells whether the subscription receives what the publisher's probes send. Nothing is wrong while no probe is sent.
type health struct {
	mu    sync.Mutex
	close func()    // ends the subscription's connection; nil: there is none
	sent  time.Time // the oldest probe that has not come back; zero: none
	over  bool      // the connection was closed for being deaf
}

// begin is called with each new connection of the subscription.
func (h *health) begin(closeConnection func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.close, h.sent, h.over = closeConnection, time.Time{}, false
}

func (h *health) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.close = nil
}

// probed records that a probe is about to be published. A subscription that has not received an earlier one in time is closed.
func (h *health) probed(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.close == nil:
	case h.sent.IsZero():
		h.sent = now
	case now.Sub(h.sent) >= deafAfter:
		h.over = true
		h.close()
	}
}

func (h *health) heard() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sent = time.Time{}
}

// restart ends the subscription's connection.
func (h *health) restart() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.close != nil {
		h.close()
	}
}

func (h *health) deaf() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.over
}
