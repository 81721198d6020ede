package redisserver

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/internal/redisqueue"
	"github.com/carillon-io/carillon/pkg/adapter"
)

const (
	// publishBatch and publishBytes bound what is on its way at once: each batch costs a round trip, which takes
	// milliseconds when the node is busy, and what is on its way when the connection ends is lost.
	publishBatch = 4096
	publishBytes = 1 << 20
	// flushTime is how long messages may still leave after Run's context has ended.
	flushTime = time.Second
)

// publisher sends the queue of a server: one connection, one batch at a time, so that order is kept. What was sent and not
// answered is counted and never sent again; the next connection first ends the one before at the server, so that what was
// sent on it cannot be carried out after what comes next.
type publisher struct {
	*Server
	answers // to the last batch

	hard   context.Context // ends flushTime after that of run
	wait   redisconn.Backoff
	dial   dialLog
	link   *link // nil while there is none
	batch  []redisqueue.Message
	buffer []byte
	again  []redisqueue.Message
	// shy: Redis has refused for now. One message finds out whether it still does, since those of a batch that are taken
	// could not be overtaken by those that are not.
	shy bool
}

// publish sends messages until ctx ends, and then for at most flushTime what still waits.
func (s *Server) publish(ctx context.Context) {
	hard, cancel := afterwards(ctx, flushTime)
	defer cancel()
	p := &publisher{Server: s, hard: hard}
	defer p.disconnect()
	for p.connect(ctx) {
		for p.sendBatch(ctx) {
		}
		if p.link == nil {
			continue
		}
		select {
		case <-s.queue.Ready():
		case <-p.link.over:
			p.lose()(ctx)
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
	}
	for p.link != nil && p.sendBatch(hard) {
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

// sendBatch sends some messages, and reports whether there may be more.
func (p *publisher) sendBatch(ctx context.Context) bool {
	if ctx.Err() != nil || p.link == nil {
		return false
	}
	most := publishBatch
	if p.shy {
		most = 1
	}
	p.batch = p.queue.Take(p.batch[:0], most, publishBytes)
	if len(p.batch) == 0 {
		return false
	}
	rest := func(context.Context) {}
	p.expect(len(p.batch))
	if !p.link.exchange(p.encode(), &p.answers) {
		rest = p.lose()
	} else if p.demoted() {
		p.log.Warn("server is not a master any more", zap.String("role", p.role))
		p.drop()
	}
	p.settle(ctx)
	clear(p.batch)
	rest(ctx)
	return true
}

// encode puts the batch into commands, with a question for the server's role behind it: a master that has been demoted keeps
// its connections, accepts PUBLISH and passes it on to no other server. What it answered before it says that it is a master
// still has reached the others.
func (p *publisher) encode() []byte {
	b := p.buffer[:0]
	for i := range p.batch {
		m := &p.batch[i]
		b = redisconn.AppendCommand(b, p.speech.publish(), 3)
		b = redisconn.AppendWord(b, m.Channel)
		b = redisconn.AppendWord(b, m.Payload)
	}
	if p.link.conn.TellsRole {
		b = redisconn.AppendCommand(b, "ROLE", 1)
	}
	if p.buffer = b; cap(b) > 2*publishBytes {
		p.buffer = nil // one large message
	}
	return b
}

// settle tells what became of the batch, and puts back what was not carried out.
func (p *publisher) settle(ctx context.Context) {
	p.again = p.again[:0]
	down := false
	if p.errors {
		down = p.sort()
	}
	for i := range p.batch {
		if !p.results[i].again {
			p.finish(&p.batch[i], p.results[i])
		}
	}
	p.events.settled(p.Server, p.again)
	clear(p.again)
	if p.shy = down; down {
		p.events.trouble()
		p.wait.Sleep(ctx)
	} else if p.link != nil {
		p.wait.Reset()
	}
}

// sort finds the messages that Redis refused and would take later, or elsewhere. One can only be sent again when none behind
// it was taken, or they would arrive in another order; on a cluster that holds for each slot. down means that Redis refuses
// for now.
func (p *publisher) sort() (down bool) {
	taken := make(map[uint16]bool)
	for i := len(p.batch) - 1; i >= 0; i-- {
		m, r := &p.batch[i], &p.results[i]
		slot, address, moved := redisconn.MovedTo(r.err, p.address)
		moved = moved && p.events.moved(p.Server, slot, address)
		later := redisconn.NotNow(r.err)
		down = down || later
		switch {
		case m.Answered != nil:
		case (moved || later) && !taken[m.Slot]:
			r.again = true
			p.again = append(p.again, *m)
		case r.err == nil:
			taken[m.Slot] = true
		}
	}
	slices.Reverse(p.again)
	p.overtaken()
	return down
}

// overtaken fails fences before which a message was to be carried out that goes back into the queue.
func (p *publisher) overtaken() {
	again := false
	for i := range p.batch {
		if again = again || p.results[i].again; again && p.batch[i].Answered != nil {
			p.results[i].err = adapter.ErrUnknown
		}
	}
}

func (p *publisher) finish(m *redisqueue.Message, r result) {
	right := RefusedPublish
	if m.Answered != nil {
		right = RefusedProbe
	}
	switch {
	case r.err == nil:
		p.config.Refusals.Granted(right)
		if m.Answered == nil {
			p.config.Metrics.Out.Inc()
		}
		m.Finish(r.receivers, nil)
	case redisconn.IsReply(r.err):
		if !p.config.Refusals.Refused(right, r.err) {
			p.log.Debug("publish refused", zap.Error(r.err))
		}
		p.lost(m, Refused, adapter.ErrAway)
	default:
		p.lost(m, Unknown, adapter.ErrUnknown)
	}
}

func (p *publisher) lost(m *redisqueue.Message, why redisqueue.Drop, err error) {
	if m.Answered == nil {
		p.config.Metrics.Queue.Dropped(why)
	}
	m.Finish(0, err)
}

// connect returns with a connection, or with false when ctx has ended.
func (p *publisher) connect(ctx context.Context) bool {
	for p.link == nil && ctx.Err() == nil {
		c, err := p.outgoing.Dial(ctx)
		if p.dial.report(ctx, p.Server, "publisher", err); err == nil {
			p.attach(c)
			break
		}
		p.queue.DropProbes()
		p.events.trouble()
		p.wait.Sleep(ctx)
	}
	return p.link != nil
}

func (p *publisher) attach(c *redisconn.Conn) {
	p.link = newLink(p.hard, c)
	p.mu.Lock()
	p.out, p.sendsTo = c, c.Server
	p.mu.Unlock()
	p.connected.Store(true)
	p.config.Connected()
	p.config.Refusals.Granted(RefusedLogin)
	p.log.Info("publisher connected")
	wakeUp(p.probing)
}

// lose ends the connection. What it returns waits before the next one, if this one was short.
func (p *publisher) lose() (rest func(context.Context)) {
	p.log.Warn("publisher connection lost", zap.Error(p.link.err))
	short := time.Since(p.link.since) < time.Second
	p.disconnect()
	return func(ctx context.Context) {
		if short {
			p.wait.Sleep(ctx)
		}
	}
}

func (p *publisher) disconnect() {
	if p.link == nil {
		return
	}
	p.link.close()
	p.link = nil
	p.mu.Lock()
	p.out = nil
	p.mu.Unlock()
	p.connected.Store(false)
	p.queue.DropProbes()
	p.config.Connected()
	p.events.trouble()
}
