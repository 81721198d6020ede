//go:build linux

package load

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
)

const (
	roleSubscriber = iota
	rolePublisher
)

// pubsub publishes streams to rooms; the members of the rooms count, time and check what arrives.
type pubsub struct {
	g        *generator
	streams  []*stream
	lost     []atomic.Uint32 // of each stream: up to this number, what has not arrived is given up
	rooms    bool            // a stream for each room
	members  int             // of each room
	sharing  int             // clients that share the memberships
	all      bool            // everyone is a member
	expected atomic.Int64
	gone     atomic.Int64
}

// step is a time of publishing.
type step struct {
	start    int64
	from, to int64   // measured
	rate     float64 // publishes/s in all; 0 is a closed loop
	window   int64   // of the closed loop: publishes outstanding
}

// tally is what a worker has counted in a step.
type tally struct {
	latency, local, cross, lag                  *histogram // cross: from a publisher on another server
	arrived, gaps, disorder, misrouted, strange int64
	published                                   int64
}

func newTally() tally {
	return tally{latency: newHistogram(), local: newHistogram(), cross: newHistogram(), lag: newHistogram()}
}

func (t *tally) reset() {
	for _, h := range []*histogram{t.latency, t.local, t.cross, t.lag} {
		h.reset()
	}
	t.arrived, t.gaps, t.disorder, t.misrouted, t.strange, t.published = 0, 0, 0, 0, 0, 0
}

func (t *tally) add(o *tally) {
	t.latency.merge(o.latency)
	t.local.merge(o.local)
	t.cross.merge(o.cross)
	t.lag.merge(o.lag)
	t.arrived, t.gaps, t.disorder = t.arrived+o.arrived, t.gaps+o.gaps, t.disorder+o.disorder
	t.misrouted, t.strange, t.published = t.misrouted+o.misrouted, t.strange+o.strange, t.published+o.published
}

// pubsubWorker is a worker's part.
type pubsubWorker struct {
	tally
	streams   []*stream
	step      step
	on        bool
	next, gap float64
	random    *rand.Rand
	batch     int64 // arrived, and not yet in generator.delivered
}

// The memberships of the rooms, members 0, 1, ... of room 0, then those of room 1 and so on, are dealt out to the clients in
// turn: client i has the i-th, the (i+sharing)-th and so on. membership tells which of c's own one in a room is.
func (p *pubsub) membership(c *client, room int) (k int, ok bool) {
	first := room * p.members
	member := (c.id - first%p.sharing + p.sharing) % p.sharing
	return (first + member) / p.sharing, member < p.members
}

// join joins the next room of c; after the last one c is ready.
func (p *pubsub) join(c *client) {
	if c.count >= len(c.last) || c.room < 0 {
		c.w.settled(c)
		return
	}
	room := int(c.room)
	if p.rooms {
		room = (c.id + c.count*p.sharing) / p.members
		c.count++
	} else {
		c.count = len(c.last)
	}
	c.w.send(c, []byte(`420["join","`+roomName(room)+`"]`))
}

func (p *pubsub) connected(c *client) {
	c.count = 0
	p.join(c)
}

func (p *pubsub) ack(c *client, _ int, _ []byte) { p.join(c) }

func (p *pubsub) closed(*client, error) { p.gone.Add(1) }

func (p *pubsub) event(c *client, data []byte) {
	w, now := c.w.state.(*pubsubWorker), c.w.now
	m, ok := parsePublished(data)
	if !ok || m.stream >= len(p.streams) {
		w.strange++
		return
	}
	s := p.streams[m.stream]
	k, member := m.stream, p.all || s.room == int(c.room)
	if p.rooms {
		k, member = p.membership(c, s.room)
	}
	if !member {
		w.misrouted++
		return
	}
	lost := p.lost[m.stream].Load()
	if m.number <= lost {
		return // counted as lost by the step that published it
	}
	w.batch++
	switch last := max(c.last[k], lost); {
	case m.number == last+1:
		c.last[k] = m.number
	case m.number > last:
		w.gaps += int64(m.number - last - 1)
		c.last[k] = m.number
	default:
		w.disorder++
	}
	if now >= w.step.from && now < w.step.to {
		w.arrived++
	}
	if m.due >= w.step.from && m.due < w.step.to {
		w.latency.add(now - m.due)
		if s.c.target == c.target {
			w.local.add(now - m.due)
		} else {
			w.cross.add(now - m.due)
		}
	}
}

func (p *pubsub) publish(w *pubsubWorker, due int64) {
	s := w.streams[0]
	if n := len(w.streams); n > 1 {
		s = w.streams[w.random.IntN(n)]
	}
	s.publish(due)
	p.expected.Add(s.members)
	if due >= w.step.from && due < w.step.to {
		w.published++
	}
}

func (p *pubsub) tick(thread *worker, now int64) int64 {
	const pause = 200_000 // ns between two looks at the counters
	w, ours := thread.state.(*pubsubWorker)
	if !ours {
		return now + 100e6
	}
	if w.batch > 0 {
		p.g.delivered.Add(w.batch)
		w.batch = 0
	}
	switch {
	case !w.on:
		return now + 1e6
	case now >= w.step.to || len(w.streams) == 0:
		return now + pause
	case now < w.step.start:
		return min(w.step.start, now+1e6)
	case w.step.rate > 0:
		for int64(w.next) <= now && int64(w.next) < w.step.to {
			w.lag.add(now - int64(w.next))
			p.publish(w, int64(w.next))
			w.next += w.gap
		}
		return min(int64(w.next), now+pause)
	}
	const burst = 256
	most := w.step.window * w.streams[0].members
	for i := 0; i < burst && p.expected.Load()-p.g.delivered.Load() < most; i++ {
		p.publish(w, now)
	}
	return now + 20_000
}

// stepResult is what a step came to.
type stepResult struct {
	fields     Result
	deliveries float64 // a second
	holds      bool
}

// step publishes for warmup and duration, measures the duration, and waits until what was published has arrived.
func (p *pubsub) step(rate float64, warmup, duration time.Duration) (stepResult, error) {
	start := now() + 20e6
	st := step{start: start, from: start + int64(warmup), rate: rate, window: int64(p.g.o.Window)}
	st.to = st.from + int64(duration)
	expected, delivered := p.expected.Load(), p.g.delivered.Load()
	p.g.do(func(thread *worker) {
		w := thread.state.(*pubsubWorker)
		w.reset()
		w.step, w.on = st, true
		if rate > 0 && len(w.streams) > 0 {
			w.gap = 1e9 / (rate * float64(len(w.streams)) / float64(len(p.streams)))
			w.next = float64(start) + w.gap*(float64(thread.id)+.5)/float64(len(p.g.workers))
		}
	})
	if err := sleepUntil(p.g.ctx, st.from); err != nil {
		return stepResult{}, err
	}
	a := p.g.sample()
	if err := sleepUntil(p.g.ctx, st.to); err != nil {
		return stepResult{}, err
	}
	b := p.g.sample()
	drained, err := p.drain()
	drain := now() - st.to
	total := newTally()
	p.g.collect(func(thread *worker) {
		w := thread.state.(*pubsubWorker)
		w.on = false
		total.add(&w.tally)
	})
	seconds := duration.Seconds()
	lost := p.expected.Load() - expected - (p.g.delivered.Load() - delivered)
	r := stepResult{fields: Result{"drain_ms": rounded(float64(drain) / 1e6)}, deliveries: float64(total.arrived) / seconds}
	p.fill(r.fields, st, &total, lost, seconds)
	p.g.putCPU(r.fields, a, b, float64(total.arrived)*float64(b.at-a.at)/float64(st.to-st.from))
	p.g.judgeLag(r.fields, total.lag)
	r.holds = drained && lost == 0 && total.gaps == 0 && p.gone.Load() == 0 && total.latency.quantile(.99) < int64(p.g.o.P99)
	if rate > 0 { // it keeps up: what is due arrives in the measured time
		due := rate * seconds * float64(p.streams[0].members)
		r.holds = r.holds && float64(total.arrived) > .95*due && float64(total.published) > .97*rate*seconds
	}
	r.fields["ok"] = r.holds
	if lost > 0 {
		p.giveUp()
	}
	return r, err
}

// drain waits for what was published; it reports whether all of it has arrived.
func (p *pubsub) drain() (bool, error) {
	const most = 60e9
	begin := now()
	last, at := p.g.delivered.Load(), begin
	for p.g.delivered.Load() < p.expected.Load() {
		if err := pause(p.g.ctx, 2*time.Millisecond); err != nil {
			return false, err
		}
		if d := p.g.delivered.Load(); d != last {
			last, at = d, now()
		}
		if now()-at > int64(p.g.o.Drain) || now()-begin > most {
			return false, nil
		}
	}
	return true, nil
}

func (p *pubsub) fill(r Result, st step, t *tally, lost int64, seconds float64) {
	if st.rate > 0 {
		r["rate_pub_s"] = rounded(st.rate)
	} else {
		r["window"] = st.window
	}
	r["dur_s"], r["published_s"], r["deliveries_s"] = seconds, rounded(float64(t.published)/seconds), rounded(float64(t.arrived)/seconds)
	t.latency.put(r, "lat")
	if len(p.g.targets) > 1 {
		t.local.put(r, "local")
		t.cross.put(r, "cross")
		r["cross_deliveries_s"] = rounded(float64(t.cross.n) / seconds)
	}
	r["send_lag_p99_ms"] = t.lag.ms(.99)
	r["lost"], r["gaps"], r["out_of_order"], r["misrouted"], r["unknown_events"] = lost, t.gaps, t.disorder, t.misrouted, t.strange
	r["disconnects"] = p.gone.Load()
}

// giveUp begins anew after a loss, so that the next step counts its own only. Nothing is published meanwhile.
func (p *pubsub) giveUp() {
	for i, s := range p.streams {
		p.lost[i].Store(s.number)
	}
	p.g.do(func(thread *worker) {
		w := thread.state.(*pubsubWorker)
		p.g.delivered.Add(w.batch)
		w.batch = 0
	})
	p.expected.Store(p.g.delivered.Load())
}
