package pythonbus

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisconn"
)

// batchSize is how many messages are sent before their results are read.
const batchSize = 256

// publish sends what is queued until ctx ends, over one connection after the other. A message whose result is lost is counted
// and never sent again: it may have arrived.
func (b *Bus) publish(ctx context.Context) {
	defer b.queue.close()
	var backoff redisconn.Backoff
	outage := outage{log: b.log, connection: "publisher"}
	for ctx.Err() == nil {
		c, err := b.dialers[1].Dial(ctx)
		if err == nil {
			backoff.Reset()
			outage.over()
			stop := context.AfterFunc(ctx, c.Close)
			err = b.publishOn(ctx, c)
			stop()
			c.Close()
		}
		outage.report(ctx, err)
		backoff.Sleep(ctx)
	}
}

// publishOn sends over one connection until that fails.
func (b *Bus) publishOn(ctx context.Context, c *redisconn.Conn) error {
	probe := time.NewTicker(probeEvery)
	defer probe.Stop()
	if err := b.probe(c); err != nil {
		return err
	}
	var batch [][]byte
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-probe.C:
			if err := b.probe(c); err != nil {
				return err
			}
		case <-b.queue.ready:
			for {
				if batch = b.queue.take(batch[:0], batchSize); len(batch) == 0 {
					break
				}
				if err := b.publishBatch(c, batch); err != nil {
					return err
				}
			}
		}
	}
}

// publishBatch publishes a batch and reads what became of it.
func (b *Bus) publishBatch(c *redisconn.Conn, batch [][]byte) error {
	var commands []byte
	for _, payload := range batch {
		commands = appendPublish(commands, b.config.Channel, payload)
	}
	err := c.Write(commands)
	if err == nil {
		err = c.AwaitReply()
	}
	for i := range batch {
		if err == nil {
			_, err = c.Result()
		}
		switch {
		case err == nil:
			b.metrics.out.Inc()
		case redisconn.IsReply(err):
			b.refuse(dropRefused, err)
			err = nil
		default:
			for range batch[i:] {
				b.metrics.drop(dropUnknown)
			}
			return err
		}
	}
	return nil
}

// probe sends this node a message through Redis, which its subscription must receive, and asks whether Redis is still the
// master: a demoted one keeps its connections, and what is published there reaches no one elsewhere.
func (b *Bus) probe(c *redisconn.Conn) (err error) {
	// Before it is sent: it may be back before Redis' answer to the publisher is.
	b.health.probed(time.Now())
	defer func() {
		if err != nil {
			b.health.heard() // nothing may have been published
		}
	}()
	commands := appendPublish(nil, b.config.Probe, []byte("probe"))
	asks := c.TellsRole
	if asks {
		commands = redisconn.AppendCommand(commands, "ROLE", 1)
	}
	if err := c.Write(commands); err != nil {
		return err
	}
	if err := c.AwaitReply(); err != nil {
		return err
	}
	if _, err := c.Result(); err != nil {
		return err
	}
	if asks {
		if role, err := c.First(); err != nil || role != "master" {
			if err == nil {
				err = redisconn.ErrReplica
			}
			b.health.restart() // the subscription is on the same server
			return err
		}
	}
	return nil
}

func appendPublish(b []byte, channel string, payload []byte) []byte {
	return redisconn.AppendWord(redisconn.AppendWord(redisconn.AppendCommand(b, "PUBLISH", 3), channel), payload)
}

// outage logs that a connection is lost: once, and again when the reason is another, however often it is tried anew.
type outage struct {
	log        *zap.Logger
	connection string
	said       string
}

func (o *outage) report(ctx context.Context, err error) {
	if ctx.Err() == nil && err != nil && err.Error() != o.said {
		o.said = err.Error()
		o.log.Warn("connection to Python's channel lost", zap.String("connection", o.connection), zap.Error(err))
	}
}

func (o *outage) over() { o.said = "" }
