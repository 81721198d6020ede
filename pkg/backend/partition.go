package backend

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
)

// maxBatch is how many entries are read, claimed or acknowledged with one script.
const maxBatch = 64

// blockTime is for how long Redis lets a read wait for a new entry, and so what a stop may take longer.
const blockTime = 500 * time.Millisecond

// partition consumes one partition for as long as this process holds its lease.
//
// The reader goroutine reads into the window, first what is pending and then what is new. For each queue of the window
// that has something to handle there is one goroutine, work; it is started by whatever gives the queue something to do.
// The committer acknowledges.
type partition struct {
	// Static after construction.
	stream  heldStream
	cfg     *Config
	metrics *metrics
	log     *zap.Logger
	slots   chan struct{} // of all partitions: one for each entry that is handled
	waits   chan struct{} // of all partitions: one for each read that blocks a connection
	commits *committer
	alone   chan struct{} // of this partition: one for the suspect that is handled

	// reading ends when the partition is to be given up, orderly or not; handling, below lost, when handlers have to
	// end; lost when the lease is another process's.
	reading, handling, lost                context.Context
	stopReading, stopHandling, stopWorking context.CancelFunc
	ended                                  chan struct{} // closed by run

	workers sync.WaitGroup

	mu sync.Mutex
	// mu guards the following.
	window  *window
	freed   chan struct{} // closed and replaced when there is more room
	until   time.Time     // the lease is certain to be ours until then
	lapse   *time.Timer   // ends term at that time
	term    context.Context
	endTerm context.CancelFunc
	stalled []*queue  // busy, each of them once: renewed starts them
	closed  bool      // no work is begun any more
	warned  time.Time // when trouble with Redis was logged last
}

func (c *consumption) newPartition(number int, fence int64, until time.Time) *partition {
	p := &partition{
		stream: heldStream{store: c.store, number: number, fence: fence, holder: fmt.Sprintf("%d:%s", fence, c.store.process)},
		cfg:    &c.cfg, metrics: c.metrics, slots: c.slots, waits: c.waits,
		log:    c.cfg.Logger.With(zap.Int("partition", number), zap.Int64("fence", fence)),
		ended:  make(chan struct{}),
		alone:  make(chan struct{}, 1),
		window: newWindow(c.cfg.Prefetch, c.cfg.PrefetchBytes),
		freed:  make(chan struct{}),
	}
	p.lost, p.stopWorking = context.WithCancel(context.Background())
	p.handling, p.stopHandling = context.WithCancel(p.lost)
	p.reading, p.stopReading = context.WithCancel(p.lost)
	p.term, p.endTerm = context.WithCancel(p.handling)
	p.commits = newCommitter(p)
	p.until = until
	p.lapse = time.AfterFunc(time.Until(until), p.lapsed)
	return p
}

// run consumes until stop or lose is called, and gives the lease up.
func (p *partition) run() {
	defer close(p.ended)
	p.metrics.partitions.Inc()
	defer p.metrics.partitions.Dec()
	p.log.Info("partition taken")
	var group sync.WaitGroup
	group.Go(p.commits.run)
	p.read()
	p.close()
	p.workers.Wait()
	p.commits.finish(p.cfg.Grace)
	group.Wait()
	p.lapse.Stop()
	p.forgetAll()
	if p.lost.Err() == nil {
		ctx, cancel := context.WithTimeout(p.lost, p.cfg.Grace+time.Second)
		defer cancel()
		if err := p.stream.release(ctx, p.stream.number, p.stream.holder); err != nil {
			p.log.Warn("lease not released: it lapses", zap.Error(err))
		}
	}
	p.stopWorking()
	p.log.Info("partition given up")
}

// stop makes run end once what is being handled is done. It does not wait.
func (p *partition) stop() {
	p.stopReading()
	time.AfterFunc(p.cfg.Grace, p.stopHandling)
}

// lose makes run end at once: the lease is another process's.
func (p *partition) lose() {
	if p.lost.Err() == nil {
		p.metrics.lost.Inc()
		p.log.Warn("lease lost")
	}
	p.stopWorking()
}

// renewed notes that the lease is certain to be this process's until then.
func (p *partition) renewed(until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = until
	p.lapse.Reset(time.Until(until))
	if p.term.Err() != nil && p.handling.Err() == nil {
		p.term, p.endTerm = context.WithCancel(p.handling)
	}
	for _, q := range p.stalled {
		p.startLocked(q)
	}
	p.stalled = nil
}

// lapsed ends the contexts of handlers: another process may have the partition by now.
func (p *partition) lapsed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Now().Before(p.until) {
		return
	}
	p.endTerm()
}

// close stops all queues from going on; what they have stays pending in Redis.
func (p *partition) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, q := range p.window.queues {
		if q.retry != nil {
			q.retry.Stop()
		}
	}
}

// forgetAll takes what is left out of the metrics.
func (p *partition) forgetAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endTerm()
	p.metrics.inMemory.Sub(float64(p.window.count))
	p.metrics.held.Sub(float64(p.window.held))
}

// read is the reader goroutine.
func (p *partition) read() {
	retry := pause{}
	for p.reading.Err() == nil {
		err := p.commits.recover(p.reading)
		if err == nil {
			err = p.readPending()
		}
		if err == nil {
			retry = pause{} // Redis answers
			err = p.readNew()
		}
		switch {
		case errors.Is(err, errFenced):
			p.lose()
			return
		case errors.Is(err, errGap):
		case err != nil && p.reading.Err() == nil:
			p.complain("reading failed", err)
			retry.sleep(p.reading)
		}
	}
}

// readPending reads what was delivered to some process before, and not acknowledged. Entries of this process that are in
// the window are read again only if reading begins anew after an error; they are passed over.
func (p *partition) readPending() error {
	after := "0-0"
	for {
		list, err := p.stream.pending(p.reading, after, maxBatch)
		if err != nil || len(list) == 0 {
			return err
		}
		after = list[len(list)-1].id
		list = p.unknown(list)
		for len(list) > 0 {
			_, bytes, err := p.awaitRoom()
			if err != nil {
				return err
			}
			entries, err := p.stream.claim(p.reading, list, bytes)
			if err != nil {
				return err
			}
			for i, r := range entries {
				p.add(r, list[i].attempts, true)
			}
			list = list[len(entries):]
		}
	}
}

// unknown leaves out entries that are in the window already, or whose acknowledgement is under way.
func (p *partition) unknown(list []pendingEntry) []pendingEntry {
	known := make(map[string]bool)
	p.mu.Lock()
	for _, q := range p.window.queues {
		for _, it := range q.items {
			known[it.id] = true
		}
	}
	p.mu.Unlock()
	p.commits.addWaiting(known) // after the window: an entry is given to the committer before it leaves its queue
	var others []pendingEntry
	for _, one := range list {
		if !known[one.id] {
			others = append(others, one)
		}
	}
	return others
}

func (p *partition) readNew() error {
	for {
		count, bytes, err := p.awaitRoom()
		if err != nil {
			return err
		}
		entries, after, err := p.stream.read(p.reading, min(count, maxBatch), bytes)
		if err != nil {
			return err
		}
		for _, r := range entries {
			p.add(r, 1, false)
		}
		if len(entries) == 0 {
			if err := p.awaitEntry(after); err != nil {
				return err
			}
		}
	}
}

// awaitEntry waits until there may be an entry. A read that blocks takes a connection of the client's pool; when there
// are too few for all partitions, these take turns.
func (p *partition) awaitEntry(after string) error {
	select {
	case p.waits <- struct{}{}:
	case <-p.reading.Done():
		return p.reading.Err()
	}
	block := blockTime
	if len(p.waits) == cap(p.waits) {
		block /= 10
	}
	err := p.stream.wait(p.reading, after, block)
	<-p.waits
	return err
}

// awaitRoom waits until the window has room.
func (p *partition) awaitRoom() (count, bytes int, err error) {
	for {
		p.mu.Lock()
		count, bytes = p.window.room()
		freed := p.freed
		p.mu.Unlock()
		if count > 0 {
			return count, bytes, p.reading.Err()
		}
		select {
		case <-freed:
		case <-p.reading.Done():
			return 0, 0, p.reading.Err()
		}
	}
}

// freedLocked wakes the reader.
func (p *partition) freedLocked() {
	close(p.freed)
	p.freed = make(chan struct{})
}

// add puts an entry that was read into the window.
func (p *partition) add(r raw, attempts int, recovered bool) {
	if r.state != rawWhole {
		p.missing(r)
		return
	}
	it := item{id: r.id, attempts: attempts, counted: !recovered, suspect: recovered && attempts > 1}
	it.entry, it.fault = p.parse(r)
	p.mu.Lock()
	defer p.mu.Unlock()
	count, held := p.window.count, p.window.held
	q := p.window.add(it)
	p.countLocked(count, held)
	if !q.busy && !q.failing && !p.closed {
		p.startLocked(q)
	}
}

// missing notes that an entry cannot be handled any more.
func (p *partition) missing(r raw) {
	if r.state == rawMissing {
		p.metrics.entries[resultMissing].Inc()
		p.log.Warn("a pending entry is not in the stream any more", zap.String("entry", r.id))
	}
}

func (p *partition) parse(r raw) (*Entry, error) {
	e, err := parseEntry(r.fields)
	e.ID, e.Route, e.Partition, e.Fence = r.id, p.cfg.Route, p.stream.number, p.stream.fence
	return e, err
}

// countLocked keeps the metrics, given what the window had before.
func (p *partition) countLocked(count, held int) {
	p.metrics.inMemory.Add(float64(p.window.count - count))
	p.metrics.held.Add(float64(p.window.held - held))
}

func (p *partition) startLocked(q *queue) {
	if p.closed {
		return
	}
	q.busy = true
	p.workers.Go(func() { p.work(q) })
}

// warnAgain spaces the warnings while Redis is in trouble.
const warnAgain = time.Minute

// complain logs trouble with Redis, once a minute: a partition tries again all the time.
func (p *partition) complain(what string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.warned) >= warnAgain {
		p.warned = time.Now()
		p.log.Warn(what, zap.Error(err))
	}
}

// pause is the wait between tries to reach Redis.
type pause struct{ n int }

func (w *pause) sleep(ctx context.Context) {
	w.n = min(w.n+1, 6)
	timer := time.NewTimer(defaultBackoff(w.n))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
