package redis

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/pkg/adapter"
)

const (
	// publishBatch and publishBytes bound what is on its way at once: each batch costs a round trip, which takes milliseconds
	// when the node is busy, and what is on its way when the connection ends is lost.
	publishBatch = 4096
	publishBytes = 1 << 20
	// flushTime is how long messages may still leave after the adapter was told to end.
	flushTime = time.Second
)

// publisher sends the queue to Redis: one goroutine, one connection, one pipeline at a time, so that order is kept.
// What was sent and not answered is counted and never sent again; before another connection is used, the one on which
// it was sent is ended at the server, so that it cannot be carried out after what comes next.
type publisher struct {
	source    source
	queue     *queue
	lane      *lane
	log       *zap.Logger
	metrics   *metrics
	refusals  *refusals
	connected atomic.Bool
	// changed hears that connected did, trouble that there is no connection, or nobody serves a slot; moved, that
	// another master serves it, and reports whether that helps.
	changed, trouble func()
	moved            func(err error) bool

	// Owned by run.
	link        *link
	unhook      func() bool // keeps the end of the context from closing link
	predecessor identity
	wait        backoff
}

// run publishes until ctx ends, and then for at most flushTime what still waits.
func (p *publisher) run(ctx context.Context) {
	hard, cancel := afterwards(ctx, flushTime)
	defer cancel()
	defer p.disconnect()
	for {
		select {
		case <-p.lane.ready:
		case <-ctx.Done():
			p.flush(hard)
			return
		}
		for p.connect(ctx, hard) && p.sendBatch(hard) {
		}
	}
}

// afterwards is a context that ends some time after ctx does.
func afterwards(ctx context.Context, later time.Duration) (context.Context, context.CancelFunc) {
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(later, cancel)
		context.AfterFunc(hard, func() { timer.Stop() })
	})
	return hard, func() {
		stop()
		cancel()
	}
}

// flush sends what is left over the connection there is.
func (p *publisher) flush(ctx context.Context) {
	for p.link != nil && p.sendBatch(ctx) {
	}
}

// sendBatch sends some messages, and reports whether there may be more.
func (p *publisher) sendBatch(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	batch := p.queue.take(p.lane, publishBatch, publishBytes)
	if len(batch) == 0 {
		return false
	}
	pipeline := p.link.client.Pipeline()
	results := make([]*goredis.IntCmd, len(batch))
	for i, m := range batch {
		if m.sharded {
			results[i] = pipeline.SPublish(ctx, m.channel, m.payload)
		} else {
			results[i] = pipeline.Publish(ctx, m.channel, m.payload)
		}
	}
	_, err := pipeline.Exec(ctx)
	if errors.Is(err, errLinkOver) { // not even sent
		p.lose(err)
		p.queue.putBack(p.lane, batch)
		return true
	}
	// An answer to the last one is an answer to all.
	if last := results[len(results)-1].Err(); last != nil && !isReply(last) {
		p.lose(last)
	}
	p.settle(ctx, batch, results)
	return true
}

// settle tells what became of messages, and puts those back that only came to the wrong place.
func (p *publisher) settle(ctx context.Context, batch []message, results []*goredis.IntCmd) {
	var done, again []message
	down := false
	for i, m := range batch {
		err := results[i].Err()
		switch {
		case m.sharded && isDown(err):
			down = true
			again = append(again, m)
		case m.sharded && p.moved(err):
			again = append(again, m)
		default:
			p.finish(m, err)
			done = append(done, m)
		}
	}
	p.queue.landed(p.lane, done)
	if len(again) > 0 {
		p.queue.putBack(p.lane, again)
	}
	if down {
		p.trouble()
		p.wait.sleep(ctx)
	}
}

func (p *publisher) finish(m message, err error) {
	switch {
	case err == nil:
		p.refusals.granted(m.right())
		if !m.probe {
			p.metrics.out.Inc()
		}
		m.finish(nil)
	case isReply(err):
		if !p.refusals.refused(m.right(), err) {
			p.log.Debug("publish refused", zap.Error(err))
		}
		p.queue.drop([]message{m}, dropRefused, adapter.ErrAway)
	default:
		p.queue.drop([]message{m}, dropUnknown, adapter.ErrUnknown)
	}
}

// connect returns with a connection, which lives until hard ends at most, or with false when ctx has ended.
func (p *publisher) connect(ctx, hard context.Context) bool {
	for p.link == nil && ctx.Err() == nil {
		l, err := p.login(ctx)
		if err == nil {
			p.attach(hard, l)
			return true
		}
		if !p.refusals.refused(refusedLogin, err) {
			p.log.Debug("publisher cannot connect", zap.Error(err))
		}
		p.trouble()
		p.wait.sleep(ctx)
	}
	return p.link != nil
}

// login connects for as long as ctx lasts; go-redis itself would wait for an answer without heeding it.
func (p *publisher) login(ctx context.Context) (*link, error) {
	l, err := newLink(ctx, p.source, p.predecessor)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, l.close)
	defer stop()
	if err := l.client.Ping(ctx).Err(); err != nil {
		l.close()
		return nil, fmt.Errorf("redis: connect publisher: %w", err)
	}
	return l, nil
}

func (p *publisher) attach(hard context.Context, l *link) {
	p.link = l
	p.predecessor = l.identity
	p.wait.reset()
	p.unhook = context.AfterFunc(hard, l.close)
	p.connected.Store(true)
	p.changed()
	p.refusals.granted(refusedLogin)
	p.log.Info("publisher connected")
}

func (p *publisher) lose(err error) {
	p.log.Warn("publisher connection lost", zap.Error(err))
	p.disconnect()
}

func (p *publisher) disconnect() {
	if p.link == nil {
		return
	}
	p.unhook()
	p.link.close()
	p.link = nil
	p.connected.Store(false)
	p.changed()
	p.trouble()
}
