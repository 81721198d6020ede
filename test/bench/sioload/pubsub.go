package main

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// pubsub drives fanout, rooms and multi: streams publish to rooms, members of
// the rooms count, time and check what arrives.
//
// Payload: 8 hex digits stream, 8 hex digits sequence number, 16 hex digits
// monotonic send time, padding. The time is taken when the message is due to
// be written, so time spent in a full socket buffer counts as latency.

const psHeader = 32

const (
	roleSub = iota
	rolePub
	roleResident // churn: stays
)

type stream struct {
	id      int
	c       *Conn
	room    int
	members int64
	seq     uint32
	lost    atomic.Uint32 // up to this number, what has not arrived is given up
	buf     []byte
	off     int
}

type psStep struct {
	start, t0, t1 int64
	rate          float64 // publishes/s in all; 0 means closed loop
	window        int64   // closed loop: publishes outstanding
}

type psWorker struct {
	streams []*stream
	step    psStep
	on      bool
	next    float64
	gap     float64
	rng     *rand.Rand

	lat, local, cross, lag        *Hist
	batch, win                    int64
	gaps, ooo, misrouted, foreign int64
	pub, pubWin                   int64
}

type pubsub struct {
	e        *Engine
	streams  []*stream
	rooms    bool // one stream per room
	members  int  // rooms: of each
	conns    int  // rooms: connections that share the memberships
	all      bool // publishAll instead of publish
	size     int
	expected atomic.Int64
	closed   atomic.Int64
}

const hexDigits = "0123456789abcdef"

var unhex [256]byte

func init() {
	for i := range unhex {
		unhex[i] = 0xff
	}
	for i, c := range []byte(hexDigits) {
		unhex[c] = byte(i)
	}
}

func putHex(b []byte, v uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = hexDigits[v&15]
		v >>= 4
	}
}

func getHex(b []byte) (v uint64, ok bool) {
	var bad byte
	for _, c := range b {
		d := unhex[c]
		bad |= d
		v = v<<4 | uint64(d&15)
	}
	return v, bad < 16
}

func roomName(i int) string { return fmt.Sprintf("room-%d", i) }

func (p *pubsub) newStream(c *Conn, room int, members int64) {
	st := &stream{id: len(p.streams), c: c, room: room, members: members}
	head := `42["publish","` + roomName(room) + `","`
	if p.all {
		head = `42["publishAll","`
	}
	st.buf = append(st.buf, head...)
	st.off = len(st.buf)
	for range p.size {
		st.buf = append(st.buf, 'x')
	}
	putHex(st.buf[st.off:st.off+8], uint64(st.id))
	st.buf = append(st.buf, `"]`...)
	p.streams = append(p.streams, st)
}

// The memberships of the rooms, members 0, 1, ... of room 0, then those of room 1 and so on, are dealt out to the
// connections in turn: connection i has the i-th, the (i+conns)-th and so on. membership tells which of c's own one in a
// room is.
func (p *pubsub) membership(c *Conn, room int) (k int, ok bool) {
	first := room * p.members
	m := (c.id - first%p.conns + p.conns) % p.conns
	return (first + m) / p.conns, m < p.members
}

// join joins the next room of c, or none is left and c is ready.
func (p *pubsub) join(c *Conn) {
	room := int(c.room)
	if p.rooms {
		room = (c.id + c.nextID*p.conns) / p.members
	}
	if c.nextID >= len(c.last) || c.room < 0 {
		c.w.Ready(c)
		return
	}
	if c.nextID++; !p.rooms {
		c.nextID = len(c.last)
	}
	c.w.Send(c, []byte(`420["join","`+roomName(room)+`"]`))
}

func (p *pubsub) OnConnect(c *Conn) {
	c.nextID = 0
	p.join(c)
}

func (p *pubsub) OnAck(c *Conn, id int, _ []byte) { p.join(c) }

func (p *pubsub) OnClose(c *Conn, err error) { p.closed.Add(1) }

func (p *pubsub) OnEvent(c *Conn, d []byte) {
	s := c.w.S.(*psWorker)
	now := c.w.now
	if len(d) < 8+psHeader || string(d[:8]) != `["msg","` {
		s.foreign++
		return
	}
	id, ok1 := getHex(d[8:16])
	sq, ok2 := getHex(d[16:24])
	ts, ok3 := getHex(d[24:40])
	if !ok1 || !ok2 || !ok3 || int(id) >= len(p.streams) || len(d) < 8+p.size {
		s.foreign++
		return
	}
	st := p.streams[id]
	k, member := int(id), p.all || st.room == int(c.room)
	if p.rooms {
		k, member = p.membership(c, st.room)
	}
	if !member {
		s.misrouted++
		return
	}
	seq, lost := uint32(sq), st.lost.Load()
	if seq <= lost {
		return // counted as lost by the step that published it
	}
	s.batch++
	switch last := max(c.last[k], lost); {
	case seq == last+1:
		c.last[k] = seq
	case seq > last:
		s.gaps += int64(seq - last - 1)
		c.last[k] = seq
	default:
		s.ooo++
	}
	if now >= s.step.t0 && now < s.step.t1 {
		s.win++
	}
	if t := int64(ts); t >= s.step.t0 && t < s.step.t1 {
		s.lat.Add(now - t)
		if st.c.url == c.url {
			s.local.Add(now - t)
		} else {
			s.cross.Add(now - t)
		}
	}
}

func (p *pubsub) publish(w *Worker, s *psWorker, now int64) {
	st := s.streams[0]
	if n := len(s.streams); n > 1 {
		st = s.streams[s.rng.IntN(n)]
	}
	st.seq++
	putHex(st.buf[st.off+8:st.off+16], uint64(st.seq))
	putHex(st.buf[st.off+16:st.off+32], uint64(now))
	w.Send(st.c, st.buf)
	p.expected.Add(st.members)
	s.pub++
	if now >= s.step.t0 && now < s.step.t1 {
		s.pubWin++
	}
}

const psIdle = 200_000 // ns between two looks at the counters

func (p *pubsub) OnTick(w *Worker, now int64) int64 {
	s, _ := w.S.(*psWorker)
	if s == nil {
		return now + 100e6
	}
	if s.batch > 0 {
		p.e.delivered.Add(s.batch)
		s.batch = 0
	}
	if !s.on {
		return now + 1e6
	}
	if now >= s.step.t1 || len(s.streams) == 0 {
		return now + psIdle
	}
	if now < s.step.start {
		return min(s.step.start, now+1e6)
	}
	if s.step.rate > 0 {
		for int64(s.next) <= now && int64(s.next) < s.step.t1 {
			s.lag.Add(now - int64(s.next))
			p.publish(w, s, now)
			s.next += s.gap
		}
		return min(int64(s.next), now+psIdle)
	}
	lim := s.step.window * s.streams[0].members
	for i := 0; i < 256 && p.expected.Load()-p.e.delivered.Load() < lim; i++ {
		p.publish(w, s, now)
	}
	return now + 20_000
}

type stepResult struct {
	m          map[string]any
	deliveries float64
	p99        float64 // ms
	lost       int64
	ok         bool
	drained    bool
}

// step publishes for warm+dur seconds, measures the last dur, and waits until
// everything published has arrived.
func (p *pubsub) step(rate float64, window int64, warm, dur, drain time.Duration, p99limit float64) stepResult {
	start := nanotime() + 20e6
	st := psStep{start: start, t0: start + int64(warm), t1: start + int64(warm) + int64(dur), rate: rate, window: window}
	exp0, del0 := p.expected.Load(), p.e.delivered.Load()
	p.e.do(func(w *Worker) {
		s := w.S.(*psWorker)
		for _, h := range []*Hist{s.lat, s.local, s.cross, s.lag} {
			h.Reset()
		}
		s.win, s.gaps, s.ooo, s.misrouted, s.foreign, s.pub, s.pubWin = 0, 0, 0, 0, 0, 0, 0
		s.step, s.on = st, true
		if rate > 0 && len(s.streams) > 0 {
			share := rate * float64(len(s.streams)) / float64(len(p.streams))
			s.gap = 1e9 / share
			s.next = float64(start) + s.gap*(float64(w.id)+.5)/float64(len(p.e.workers))
		}
	})
	time.Sleep(time.Duration(st.t0 - nanotime()))
	a := p.e.sample()
	time.Sleep(time.Duration(st.t1 - nanotime()))
	b := p.e.sample()
	// Drain: give up after `drain` without any progress.
	last, lastT := p.e.delivered.Load(), nanotime()
	drained := true
	for p.e.delivered.Load() < p.expected.Load() {
		time.Sleep(2 * time.Millisecond)
		if d := p.e.delivered.Load(); d != last {
			last, lastT = d, nanotime()
		} else if nanotime()-lastT > int64(drain) {
			drained = false
			break
		}
		if nanotime()-st.t1 > int64(60*time.Second) {
			drained = false
			break
		}
	}
	drainT := nanotime() - st.t1
	tot := &psWorker{lat: newHist(), local: newHist(), cross: newHist(), lag: newHist()}
	p.e.do(func(w *Worker) {
		s := w.S.(*psWorker)
		s.on = false
		p.e.mu.Lock()
		tot.lat.Merge(s.lat)
		tot.local.Merge(s.local)
		tot.cross.Merge(s.cross)
		tot.lag.Merge(s.lag)
		tot.win += s.win
		tot.gaps += s.gaps
		tot.ooo += s.ooo
		tot.misrouted += s.misrouted
		tot.foreign += s.foreign
		tot.pub += s.pub
		tot.pubWin += s.pubWin
		p.e.mu.Unlock()
	})
	sec := float64(st.t1-st.t0) / 1e9
	r := stepResult{m: map[string]any{}, drained: drained}
	r.deliveries = float64(tot.win) / sec
	r.p99 = tot.lat.ms(.99)
	r.lost = (p.expected.Load() - exp0) - (p.e.delivered.Load() - del0)
	m := r.m
	if rate > 0 {
		m["rate_pub_s"] = round3(rate)
	} else {
		m["window"] = window
	}
	m["dur_s"] = sec
	m["published_s"] = round3(float64(tot.pubWin) / sec)
	m["deliveries_s"] = round3(r.deliveries)
	tot.lat.Put(m, "lat")
	if len(p.e.targets) > 1 {
		tot.local.Put(m, "local")
		tot.cross.Put(m, "cross")
		m["cross_deliveries_s"] = round3(float64(tot.cross.n) / sec)
	}
	m["send_lag_p99_ms"] = tot.lag.ms(.99)
	m["lost"] = r.lost
	m["gaps"] = tot.gaps
	m["out_of_order"] = tot.ooo
	m["misrouted"] = tot.misrouted
	m["unknown_events"] = tot.foreign
	m["drain_ms"] = round3(float64(drainT) / 1e6)
	m["disconnects"] = p.closed.Load()
	p.e.putCPU(m, a, b, float64(tot.win)*float64(b.t-a.t)/float64(st.t1-st.t0))
	r.ok = drained && r.lost == 0 && tot.gaps == 0 && p.closed.Load() == 0 && r.p99 < p99limit
	if rate > 0 { // it must also keep up: what is due arrives within the window
		due := rate * sec * float64(p.perPublish())
		r.ok = r.ok && float64(tot.win) > .95*due && float64(tot.pubWin) > .97*rate*sec
	}
	m["ok"] = r.ok
	if r.lost > 0 {
		p.giveUp()
	}
	return r
}

// giveUp begins anew after a loss: the next step counts its own. Nobody publishes meanwhile.
func (p *pubsub) giveUp() {
	for _, st := range p.streams {
		st.lost.Store(st.seq)
	}
	p.e.do(func(w *Worker) {
		s := w.S.(*psWorker)
		p.e.delivered.Add(s.batch)
		s.batch = 0
	})
	p.expected.Store(p.e.delivered.Load())
}

func (p *pubsub) perPublish() int64 { return p.streams[0].members }

// search finds the highest publish rate that holds p99 below the limit with
// no loss: a closed-loop run gives the ceiling, then open-loop steps descend
// from it until one holds and bisect back up.
func (p *pubsub) search(o *options) (stepResult, []map[string]any) {
	var steps []map[string]any
	note := func(r stepResult) stepResult {
		steps = append(steps, brief(r.m))
		logf("  step %v", brief(r.m))
		return r
	}
	sat := note(p.step(0, int64(o.window), 500*time.Millisecond, 2*time.Second, o.drain, 1e12))
	ceil := sat.deliveries / float64(p.perPublish())
	if ceil <= 0 {
		return sat, steps
	}
	lo, hi := 0.0, 0.0
	rate := ceil * .95
	grow := 1.12
	var best stepResult
	for i := 0; i < 24; i++ {
		r := note(p.step(rate, 0, o.warm, o.stepDur, o.drain, o.p99))
		if !r.ok && p.closed.Load() == 0 { // it takes two: the machine may have had something else to do
			r = note(p.step(rate, 0, o.warm, o.stepDur, o.drain, o.p99))
		}
		if p.closed.Load() > 0 {
			break
		}
		if r.ok {
			lo, best = rate, r
			if hi == 0 {
				// A server that batches holds far more than its closed-loop
				// rate: accelerate, or the search ends before the ceiling.
				rate *= grow
				grow = min(2, grow*1.15)
				continue
			}
		} else {
			hi = rate
		}
		if lo == 0 {
			rate *= .85
			continue
		}
		if hi/lo < 1.04 {
			break
		}
		rate = (lo + hi) / 2
	}
	if lo == 0 {
		sat.m["search_failed"] = true
		return sat, steps
	}
	for i := 0; i < 5; i++ {
		r := note(p.step(lo, 0, o.warm, o.dur, o.drain, o.p99))
		if r.ok || p.closed.Load() > 0 {
			best = r
			break
		}
		lo *= .95
	}
	// Without a failing step the figure is where the search stopped, not a
	// ceiling.
	best.m["search_bracketed"] = hi > 0
	best.m["saturated_deliveries_s"] = round3(sat.deliveries)
	best.m["saturated_cpu_s_per_M"] = sat.m["cpu_s_per_M"]
	return best, steps
}

func brief(m map[string]any) map[string]any {
	o := map[string]any{}
	for _, k := range []string{"rate_pub_s", "window", "deliveries_s", "lat_p50_ms", "lat_p99_ms", "lost", "ok", "cpu_s_per_M", "cpu_s_per_M_incl_aux", "gen_cores", "server_cores", "foreign_cores", "send_lag_p99_ms"} {
		if v, ok := m[k]; ok {
			o[k] = v
		}
	}
	return o
}

func runPubsub(e *Engine, o *options, kind string) (map[string]any, error) {
	p := &pubsub{e: e, size: max(o.size, psHeader), all: o.all}
	e.handle(p)
	var all []*Conn
	add := func(room int32, role uint8, url int) *Conn {
		c := &Conn{id: len(all), url: url, room: room, role: role}
		all = append(all, c)
		return c
	}
	switch kind {
	case "rooms":
		total := o.rooms * o.members
		p.rooms, p.members, p.conns = true, o.members, total
		if o.conns > 0 {
			p.conns = o.conns
		}
		if o.members > p.conns {
			return nil, fmt.Errorf("-members %d of %d connections", o.members, p.conns)
		}
		for i := range p.conns {
			c := add(-1, roleSub, i%len(e.targets))
			if i < total { // members of one room alternate over the nodes
				c.room = int32(i / o.members)
				c.url = (i/o.members + i%o.members) % len(e.targets)
				c.last = make([]uint32, (total-i+p.conns-1)/p.conns)
			}
		}
		for r := range o.rooms {
			p.newStream(all[r*o.members%p.conns], r, int64(o.members))
		}
	default:
		np := o.pubs
		if kind == "multi" && o.pubOn == "each" {
			np = max(np, len(e.targets))
		}
		for i := range o.n {
			c := add(0, roleSub, i%len(e.targets))
			c.last = make([]uint32, np)
		}
		for i := range np {
			url := 0
			if kind == "multi" && o.pubOn == "each" {
				url = i % len(e.targets)
			}
			c := add(-1, rolePub, url)
			c.last = make([]uint32, np)
			members := int64(o.n)
			if p.all {
				members += int64(np)
			}
			p.newStream(c, 0, members)
		}
	}
	e.do(func(w *Worker) {
		w.S = &psWorker{lat: newHist(), local: newHist(), cross: newHist(), lag: newHist(),
			rng: rand.New(rand.NewPCG(uint64(w.id)+1, o.seed))}
	})
	rss0 := rssBytes(e.pids)
	ramp, err := rampAll(e, o, all)
	if err != nil {
		return nil, err
	}
	e.do(func(w *Worker) {
		s := w.S.(*psWorker)
		for _, st := range p.streams {
			if st.c.w == w {
				s.streams = append(s.streams, st)
			}
		}
	})
	time.Sleep(o.settle)
	var r stepResult
	var steps []map[string]any
	switch o.rate {
	case "auto":
		r, steps = p.search(o)
	case "max":
		r = p.step(0, int64(o.window), o.warm, o.dur, o.drain, o.p99)
	default:
		var f float64
		if _, err := fmt.Sscanf(o.rate, "%g", &f); err != nil || f <= 0 {
			return nil, fmt.Errorf("-rate %q: a number, auto or max", o.rate)
		}
		r = p.step(f, 0, o.warm, o.dur, o.drain, o.p99)
	}
	m := r.m
	for k, v := range ramp {
		m[k] = v
	}
	if steps != nil && o.steps {
		m["steps"] = steps
	}
	m["subscribers"] = len(all) - len(p.streams)
	if p.rooms {
		m["subscribers"] = len(all)
		m["rooms"], m["members"] = o.rooms, o.members
	}
	m["publishers"] = len(p.streams)
	m["payload_bytes"] = p.size
	m["rss_mb"] = round3(float64(rssBytes(e.pids)) / 1e6)
	m["rss_before_mb"] = round3(float64(rss0) / 1e6)
	m["p99_limit_ms"] = o.p99
	return m, nil
}
