package backend

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
)

// work handles the entries of one queue until it is empty, has to wait for a retry, or the partition is given up.
func (p *partition) work(q *queue) {
	for p.more(q) {
		leave, ok := p.enter(q)
		if !ok {
			continue
		}
		it, v, handled := p.step(q)
		leave()
		if handled {
			p.settle(q, &it, v)
		}
	}
}

// enter waits for a slot, and for a suspect to be alone. Entries are fetched from Redis only under a slot, or as many as
// queues would be in memory. ok is false when the partition is given up meanwhile.
func (p *partition) enter(q *queue) (leave func(), ok bool) {
	p.mu.Lock()
	suspect := q.items[0].suspect
	p.mu.Unlock()
	if suspect {
		select {
		case p.alone <- struct{}{}:
		case <-p.reading.Done():
			return nil, false
		}
	}
	notAlone := func() {
		if suspect {
			<-p.alone
		}
	}
	select {
	case p.slots <- struct{}{}:
		return func() { <-p.slots; notAlone() }, true
	case <-p.reading.Done():
		notAlone()
		return nil, false
	}
}

// more reports whether the queue has an item that may be handled now. If not, the calling goroutine ends, and the queue is
// no longer busy or waits among the stalled ones.
func (p *partition) more(q *queue) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case len(q.items) == 0:
		q.busy = false
		delete(p.window.queues, q.socket)
		return false
	case p.reading.Err() != nil || p.closed || q.failing:
		q.busy = false
		return false
	case !time.Now().Before(p.until):
		p.stalled = append(p.stalled, q) // still busy: another entry of the socket must not start a second goroutine
		return false
	}
	return true
}

// prepare sees to it that the first item is in memory and that its attempt is entered in Redis. It returns false when the
// item is done with, or the partition is given up.
func (p *partition) prepare(q *queue) bool {
	p.mu.Lock()
	head := q.items[0]
	if head.entry != nil && head.counted || head.attempts >= p.cfg.MaxAttempts && !head.counted && head.entry != nil {
		p.mu.Unlock()
		return true
	}
	// Those behind it are fetched along as far as there is room.
	count, bytes := p.window.room()
	wanted := []pendingEntry{{head.id, head.attempts}}
	for _, it := range q.items[1:min(len(q.items), perSocket)] {
		if it.entry == nil && len(wanted) < count {
			wanted = append(wanted, pendingEntry{it.id, it.attempts})
		}
	}
	p.mu.Unlock()
	if !head.counted && head.attempts < p.cfg.MaxAttempts {
		wanted[0].attempts++
	}
	entries, err := p.claimAgain(wanted, bytes)
	if err != nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refillLocked(q, wanted, entries)
}

// claimAgain claims until Redis answers or the partition is given up.
func (p *partition) claimAgain(wanted []pendingEntry, bytes int) (entries []raw, err error) {
	for retry := (pause{}); ; retry.sleep(p.reading) {
		if entries, err = p.stream.claim(p.reading, wanted, bytes); err == nil {
			return entries, nil
		}
		if errors.Is(err, errFenced) {
			p.lose()
		}
		if p.reading.Err() != nil {
			return nil, err
		}
		p.complain("reading failed", err)
	}
}

// refillLocked puts entries that were claimed into the items of a queue, and reports whether its first item is there.
func (p *partition) refillLocked(q *queue, wanted []pendingEntry, entries []raw) bool {
	count, held := p.window.count, p.window.held
	defer func() { p.countLocked(count, held) }()
	first := true
	for i, r := range entries {
		at := 0
		for at < len(q.items) && q.items[at].id != r.id {
			at++
		}
		if at == len(q.items) {
			continue
		}
		it := &q.items[at]
		if r.state != rawWhole {
			p.missing(r)
			p.removeLocked(q, at)
			first = first && i > 0
			continue
		}
		e, fault := p.parse(r)
		p.window.unpark(q, it, e)
		it.fault = fault
		if i == 0 {
			it.counted = it.counted || it.attempts < wanted[0].attempts
			it.attempts = wanted[0].attempts
		}
	}
	return first && len(entries) > 0
}

// removeLocked takes an item out of a queue whose entry has gone.
func (p *partition) removeLocked(q *queue, at int) {
	it := q.items[at]
	if it.entry != nil {
		p.window.forget(it.entry.size)
		q.inMemory--
	} else {
		p.window.held--
	}
	q.items = append(q.items[:at:at], q.items[at+1:]...)
	p.freedLocked()
}

// step handles the first item of a queue, if the lease is certain and the entry is there. A retry that a handler asks for
// once its context has ended is no failed attempt: handled is false, and the item stays as it is.
func (p *partition) step(q *queue) (it item, v Verdict, handled bool) {
	if !p.prepare(q) {
		return it, v, false
	}
	p.mu.Lock()
	it = q.items[0]
	term, certain := p.term, time.Now().Before(p.until)
	p.mu.Unlock()
	if !certain || p.reading.Err() != nil {
		return it, v, false
	}
	v = p.verdict(term, &it)
	if v.fate == fateRetry && term.Err() != nil {
		return it, v, false
	}
	return it, v, true
}

var (
	errGaveUp = errors.New("the last attempt did not end: its process ended, or lost the lease")
	errPanic  = errors.New("internal error")
)

// verdict asks the handler, where there is something to ask.
func (p *partition) verdict(ctx context.Context, it *item) Verdict {
	switch {
	case it.fault != nil:
		return Dead(it.fault)
	case !it.counted:
		return Dead(errGaveUp)
	}
	it.entry.Attempt = it.attempts
	ctx, span := p.span(ctx, it.entry)
	begun := time.Now()
	v := p.handle(ctx, it.entry)
	p.metrics.seconds.Observe(time.Since(begun).Seconds())
	if span != nil {
		if v.err != nil {
			span.SetStatus(codes.Error, v.err.Error())
		}
		span.End()
	}
	return v
}

// handle calls the handler, and makes a verdict of a panic.
func (p *partition) handle(ctx context.Context, e *Entry) (v Verdict) {
	defer func() {
		if r := recover(); r != nil {
			p.log.Error("handler panicked", zap.Any("panic", r), zap.String("entry", e.ID), zap.String("event", e.Event),
				zap.ByteString("stack", debug.Stack()))
			v = Retry(fmt.Errorf("%w: panic: %v", errPanic, r))
		}
	}()
	return p.cfg.Handler.Handle(ctx, e)
}

// span begins a span of an entry.
func (p *partition) span(ctx context.Context, e *Entry) (context.Context, trace.Span) {
	if p.cfg.Tracer == nil {
		return ctx, nil
	}
	parent, _ := e.Field("tp")
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": parent})
	return p.cfg.Tracer.Start(ctx, "handle", trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
		attribute.String("messaging.system", "redis"),
		attribute.String("messaging.operation.name", "handle"),
		attribute.String("messaging.destination.name", e.Route),
		attribute.String("messaging.message.id", e.Key()),
		attribute.String("carillon.kind", e.Kind.String()),
		attribute.String("carillon.namespace", e.Namespace),
		attribute.Int("carillon.attempt", e.Attempt),
	))
}

// settle does what the verdict says.
func (p *partition) settle(q *queue, it *item, v Verdict) {
	if v.fate == fateRetry && v.err == nil {
		v.err = errors.New("no reason given")
	}
	switch {
	case v.fate == fateRetry && it.attempts < p.cfg.MaxAttempts:
		p.metrics.entries[resultRetried].Inc()
		p.log.Debug("attempt failed", zap.String("entry", it.id), zap.Int("attempt", it.attempts), zap.Error(v.err))
		after := v.after
		if after < 0 {
			after = p.cfg.Backoff(it.attempts)
		}
		p.postpone(q, after)
		return
	case v.fate == fateRetry:
		v.fate = fateDead
	}
	p.commits.add(p.outcome(it, v))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.window.pop(q)
}

// postpone leaves the queue to Redis for some time.
func (p *partition) postpone(q *queue, after time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q.items[0].counted = false
	q.items[0].suspect = false
	count, held := p.window.count, p.window.held
	p.window.park(q)
	p.countLocked(count, held)
	p.freedLocked()
	q.failing = true
	if p.closed {
		return
	}
	q.retry = time.AfterFunc(after, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		q.failing = false
		if !q.busy {
			p.startLocked(q)
		}
	})
}
