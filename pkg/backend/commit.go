package backend

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"
)

// outcome is an entry that is done with.
type outcome struct {
	id      string
	size    int // of the entry in the window
	result  result
	effects [][]string // fields of the outbox entries
}

// Fields of the outbox. An entry of it is an answer or a dead letter; the first field tells which.
const (
	fieldNode  = "node"       // of an answer: the gateway it is for; the fields of the answer follow
	fieldGroup = "dead.group" // of a dead letter: what is known of it, then the fields of the entry
)

// outcome is what the verdict about an item means for Redis.
func (p *partition) outcome(it *item, v Verdict) outcome {
	o := outcome{id: it.id, size: it.entry.size, result: resultDone}
	if v.answer != nil && it.entry.WantsAck() {
		o.result = resultAnswered
		o.effects = append(o.effects, append([]string{fieldNode, it.entry.Node}, answerFields(it.entry.Ack, *v.answer)...))
	}
	if v.fate != fateDead {
		return o
	}
	if o.result = resultDead; it.fault != nil {
		o.result = resultMalformed
	}
	reason := "no reason given"
	if v.err != nil {
		reason = v.err.Error()
	}
	p.log.Warn("dead letter", zap.String("entry", it.id), zap.String("socket", it.entry.Socket),
		zap.Int64("seq", it.entry.Seq), zap.Int("attempts", it.attempts), zap.String("reason", reason))
	o.effects = append(o.effects, []string{
		fieldGroup, p.cfg.Group, "dead.reason", reason, "dead.attempts", strconv.Itoa(it.attempts),
		"dead.stream", p.stream.keys.stream(p.stream.number), "dead.id", it.id,
		"dead.ts", strconv.FormatInt(time.Now().UnixMilli(), 10),
	})
	return o
}

// committer acknowledges entries and carries out what was decided about them, in the order of the decisions.
//
// An answer and a dead letter are in other slots of a Redis Cluster than the lease, so no script can do them and compare
// the fence. So it happens in two steps: a script that compares the fence acknowledges the entry and enters the effect in
// the outbox of the partition; then it is carried out and removed. If this process ends in between, the next one carries
// it out, perhaps once more: gateways take the first answer, and dead letters are numbered.
type committer struct {
	p *partition

	ctx    context.Context // ends when there is no time left to reach Redis
	giveUp context.CancelFunc

	carrying sync.Mutex // held while effects are carried out: they have an order

	mu sync.Mutex
	// mu guards the following.
	queue    []outcome
	flying   []outcome // given to Redis, without an answer yet
	wake     chan struct{}
	finished bool // nothing is added any more
}

func newCommitter(p *partition) *committer {
	c := &committer{p: p, wake: make(chan struct{}, 1)}
	c.ctx, c.giveUp = context.WithCancel(p.lost)
	return c
}

func (c *committer) add(o outcome) {
	c.mu.Lock()
	c.queue = append(c.queue, o)
	c.mu.Unlock()
	c.signal()
}

func (c *committer) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// finish makes run end when all is done, or when there was no reaching Redis for some time.
func (c *committer) finish(patience time.Duration) {
	c.mu.Lock()
	c.finished = true
	c.mu.Unlock()
	c.signal()
	time.AfterFunc(patience+time.Second, c.giveUp)
}

// addWaiting adds the entries that are not acknowledged yet to a set.
func (c *committer) addWaiting(ids map[string]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range c.queue {
		ids[o.id] = true
	}
	for _, o := range c.flying {
		ids[o.id] = true
	}
}

func (c *committer) run() {
	defer c.giveUp()
	for {
		batch, finished := c.take()
		switch {
		case len(batch) > 0:
			c.commit(batch)
		case finished:
			return
		default:
			<-c.wake
		}
	}
}

func (c *committer) take() (batch []outcome, finished bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(len(c.queue), maxBatch)
	c.flying, c.queue = c.queue[:n:n], c.queue[n:]
	return c.flying, c.finished
}

// commit makes a batch of outcomes final, or drops them when another process has the lease.
func (c *committer) commit(batch []outcome) {
	ids, err := c.enter(batch)
	for _, o := range batch {
		if err != nil {
			c.p.metrics.entries[resultFenced].Inc()
		} else {
			c.p.metrics.entries[o.result].Inc()
		}
	}
	c.p.free(batch)
	if err != nil {
		return
	}
	if err := c.carryOut(batch, ids); err != nil && c.ctx.Err() == nil {
		c.p.complain("answers and dead letters wait", err)
	}
}

// free gives back what entries took in the window.
func (p *partition) free(batch []outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	count := p.window.count
	for _, o := range batch {
		p.window.forget(o.size)
	}
	p.countLocked(count, p.window.held)
	p.freedLocked()
}

// enter tries until Redis answers. It returns the ids of the effects in the outbox, empty for those that were not entered.
func (c *committer) enter(batch []outcome) ([]string, error) {
	s := &c.p.stream
	keys := append(s.leaseAndStream(), s.keys.outbox(s.number))
	args := []any{s.keys.group}
	effects := 0
	for _, o := range batch {
		args = append(args, o.id, len(o.effects))
		effects += len(o.effects)
		for _, fields := range o.effects {
			args = append(args, len(fields))
			for _, text := range fields {
				args = append(args, text)
			}
		}
	}
	for retry := (pause{}); ; retry.sleep(c.ctx) {
		reply, err := s.call(c.ctx, "acknowledge", commitScript, keys, args)
		if errors.Is(err, errFenced) {
			c.p.lose()
		}
		if c.ctx.Err() != nil {
			return nil, errFenced
		}
		if err != nil {
			c.p.complain("acknowledging failed", err)
			continue
		}
		ids := make([]string, effects)
		list, _ := append(reply, nil)[0].([]any)
		for i := range min(len(list), effects) {
			ids[i], _ = list[i].(string)
		}
		return ids, nil
	}
}

// carryOut carries out the effects of a batch. One that has no id was entered by a call whose reply got lost, or its entry
// was acknowledged by something else: the outbox tells.
func (c *committer) carryOut(batch []outcome, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	c.carrying.Lock()
	defer c.carrying.Unlock()
	var known []raw
	next := 0
	for _, o := range batch {
		for _, fields := range o.effects {
			id := ids[next]
			next++
			if id == "" || fields[0] == fieldGroup { // the fields of a dead letter are in Redis
				return c.clear(c.ctx)
			}
			known = append(known, raw{id: id, fields: fields})
		}
	}
	return c.carry(c.ctx, known)
}

// recover carries out what the process that had the partition before has decided and not done.
func (c *committer) recover(ctx context.Context) error {
	c.carrying.Lock()
	defer c.carrying.Unlock()
	return c.clear(ctx)
}

// clear carries out all there is in the outbox. The caller holds carrying.
func (c *committer) clear(ctx context.Context) error {
	for {
		list, err := c.p.stream.outbox(ctx)
		if err != nil || len(list) == 0 {
			return err
		}
		if err := c.carry(ctx, list); err != nil {
			return err
		}
	}
}

// carry carries out effects, in order, and removes them from the outbox. What it cannot do for now it tries again until
// ctx ends.
func (c *committer) carry(ctx context.Context, list []raw) error {
	s := &c.p.stream
	ids := make([]string, len(list))
	for i, effect := range list {
		ids[i] = effect.id
	}
	for rest := list; len(rest) > 0; {
		n := 0
		for n < len(rest) && isAnswer(rest[n]) {
			n++
		}
		do := func() error { return c.answer(ctx, rest[:n]) }
		if n == 0 {
			n = 1
			do = func() error { return c.bury(ctx, rest[0]) }
		}
		for retry := (pause{}); ; retry.sleep(ctx) {
			err := do()
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return err
			}
			c.p.complain("an answer or dead letter waits", err)
		}
		rest = rest[n:]
	}
	return wrap("clear outbox", s.client.XDel(ctx, s.keys.outbox(s.number), ids...).Err())
}

func isAnswer(effect raw) bool { return len(effect.fields) > 2 && effect.fields[0] == fieldNode }

func (c *committer) bury(ctx context.Context, effect raw) error {
	s := &c.p.stream
	args := []any{s.keys.group + "." + strconv.Itoa(s.number), effect.id, c.p.cfg.DeadLetters}
	for _, text := range effect.fields {
		args = append(args, text)
	}
	return wrap("write dead letter", deadScript.Run(ctx, s.client, []string{s.keys.dead(), s.keys.deadLast()}, args...).Err())
}

// answer hands answers to gateways, in one round trip. One that Redis does not take, whatever else it takes, is dropped.
// With an error all of them are to be sent again: gateways take the first.
func (c *committer) answer(ctx context.Context, answers []raw) error {
	pipe := c.p.stream.client.Pipeline()
	for _, one := range answers {
		pipe.XAdd(ctx, answerTo(c.p.stream.keys.prefix, one.fields[1], one.fields[2:]))
	}
	commands, _ := pipe.Exec(ctx) // its error is that of one of them
	var trouble error
	for _, command := range commands {
		switch err := command.Err(); {
		case err == nil || errors.Is(err, goredis.Nil): // nil: the inbox has gone with its gateway
		case isFinal(err):
			c.p.metrics.answers.Inc()
			c.p.log.Warn("answer refused by Redis", zap.Error(err))
		default:
			trouble = err
		}
	}
	return wrap("answer", trouble)
}

// isFinal reports whether Redis would refuse the same again.
func isFinal(err error) bool {
	for _, code := range []string{"ERR", "WRONGTYPE", "NOPERM"} {
		if strings.HasPrefix(err.Error(), code) {
			return true
		}
	}
	return false
}
