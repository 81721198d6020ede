package main

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// rampAll opens all connections and waits until every one is ready.
func rampAll(e *Engine, o *options, all []*Conn) (map[string]any, error) {
	nw := len(e.workers)
	per := make([][]*Conn, nw)
	for i, c := range all {
		c.w = e.workers[i%nw]
		per[i%nw] = append(per[i%nw], c)
	}
	a := e.sample()
	e.do(func(w *Worker) { w.Ramp(per[w.id], max(1, o.concurrency/nw)) })
	var ready, failed, retried int64
	waitUntil(o.rampTimeout, func() bool {
		ready, failed, retried = 0, 0, 0
		for _, w := range e.workers {
			ready += w.ready.Load()
			failed += w.failed.Load()
			retried += w.retried.Load()
		}
		return ready+failed >= int64(len(all))
	})
	b := e.sample()
	h := newHist()
	e.do(func(w *Worker) {
		e.mu.Lock()
		h.Merge(w.connHist)
		e.mu.Unlock()
	})
	sec := float64(b.t-a.t) / 1e9
	m := map[string]any{}
	m["connected"] = ready
	m["connect_failed"] = failed
	m["handshake_retries"] = retried
	m["ramp_s"] = round3(sec)
	m["handshakes_s"] = 0.0
	// Rate up to the 99th percentile, so that a few stragglers (a lost SYN, a
	// handshake that never ends) do not decide it.
	var ends []int64
	for _, c := range all {
		if t := c.tReady; t > 0 {
			ends = append(ends, t)
		}
	}
	slices.Sort(ends)
	if k := len(ends) * 99 / 100; k > 0 {
		m["handshakes_s"] = round3(float64(k) / (float64(ends[k-1]-a.t) / 1e9))
	}
	m["connect_p50_ms"] = h.ms(.5)
	m["connect_p99_ms"] = h.ms(.99)
	if len(e.pids) > 0 && ready > 0 {
		m["handshake_cpu_s_per_k"] = round3((b.srv - a.srv) / float64(ready) * 1e3)
	}
	m["ramp_gen_cores"] = round3((b.self - a.self) / sec)
	if failed > 0 || ready < int64(len(all)) {
		e.mu.Lock()
		defer e.mu.Unlock()
		if !o.tolerate {
			return m, fmt.Errorf("ramp: %d ready, %d failed of %d: %v", ready, failed, len(all), e.errs)
		}
	}
	return m, nil
}

// connect ---------------------------------------------------------------

type idle struct{ closed atomic.Int64 }

func (h *idle) OnConnect(c *Conn)                 { c.w.Ready(c) }
func (h *idle) OnEvent(c *Conn, _ []byte)         {}
func (h *idle) OnAck(c *Conn, _ int, _ []byte)    {}
func (h *idle) OnClose(c *Conn, _ error)          { h.closed.Add(1) }
func (h *idle) OnTick(w *Worker, now int64) int64 { return now + 100e6 }

func runConnect(e *Engine, o *options) (map[string]any, error) {
	h := &idle{}
	e.handle(h)
	all := make([]*Conn, o.n)
	for i := range all {
		all[i] = &Conn{id: i, url: i % len(e.targets)}
	}
	rss0 := rssBytes(e.pids)
	m, err := rampAll(e, o, all)
	if err != nil {
		return m, err
	}
	rss1 := rssBytes(e.pids)
	a := e.sample()
	time.Sleep(o.hold)
	b := e.sample()
	rss2 := rssBytes(e.pids)
	n := float64(m["connected"].(int64))
	m["hold_s"] = o.hold.Seconds()
	m["hold_disconnects"] = h.closed.Load()
	if len(e.pids) > 0 {
		m["rss_before_mb"] = round3(float64(rss0) / 1e6)
		m["rss_after_ramp_mb"] = round3(float64(rss1) / 1e6)
		m["rss_after_hold_mb"] = round3(float64(rss2) / 1e6)
		m["rss_per_conn_kb_ramp"] = round3(float64(rss1-rss0) / n / 1024)
		m["rss_per_conn_kb"] = round3(float64(rss2-rss0) / n / 1024)
		m["hold_cpu_cores"] = round3((b.srv - a.srv) / (float64(b.t-a.t) / 1e9))
	}
	return m, nil
}

// echo ------------------------------------------------------------------

type echoWorker struct {
	lat *Hist
	win int64
	bad int64
}

type echo struct {
	k, size       int
	payload       []byte
	start, t0, t1 int64
	closed        atomic.Int64
}

func (h *echo) send(c *Conn, id int) {
	c.slots[id%h.k] = nanotime()
	var b [24]byte
	n := putInt(b[:], id)
	c.w.Send(c, []byte("42"), b[n:], []byte(`["echo","`), h.payload, []byte(`"]`))
}

func putInt(b []byte, v int) int {
	i := len(b)
	for {
		i--
		b[i] = byte('0' + v%10)
		if v /= 10; v == 0 {
			return i
		}
	}
}

func (h *echo) OnConnect(c *Conn)         { c.w.Ready(c) }
func (h *echo) OnEvent(c *Conn, _ []byte) {}
func (h *echo) OnClose(c *Conn, _ error)  { h.closed.Add(1) }
func (h *echo) OnTick(w *Worker, now int64) int64 {
	return now + 100e6
}
func (h *echo) OnAck(c *Conn, id int, d []byte) {
	s := c.w.S.(*echoWorker)
	now := c.w.now
	if len(d) != h.size+4 {
		s.bad++
	}
	if now >= h.t0 && now < h.t1 {
		s.lat.Add(now - c.slots[id%h.k])
		s.win++
	}
	if now < h.t1 {
		h.send(c, id+h.k)
	}
}

func runEcho(e *Engine, o *options) (map[string]any, error) {
	h := &echo{k: max(1, o.inflight), size: o.size}
	e.handle(h)
	for range o.size {
		h.payload = append(h.payload, 'x')
	}
	all := make([]*Conn, o.n)
	for i := range all {
		all[i] = &Conn{id: i, url: i % len(e.targets), slots: make([]int64, h.k)}
	}
	e.do(func(w *Worker) { w.S = &echoWorker{lat: newHist()} })
	m, err := rampAll(e, o, all)
	if err != nil {
		return m, err
	}
	time.Sleep(o.settle)
	h.start = nanotime()
	h.t0 = h.start + int64(o.warm)
	h.t1 = h.t0 + int64(o.dur)
	e.do(func(w *Worker) {
		for _, c := range all {
			if c.w == w {
				for i := range h.k {
					h.send(c, i)
				}
			}
		}
	})
	time.Sleep(time.Duration(h.t0 - nanotime()))
	a := e.sample()
	time.Sleep(time.Duration(h.t1 - nanotime()))
	b := e.sample()
	time.Sleep(100 * time.Millisecond)
	lat := newHist()
	var win, bad int64
	e.do(func(w *Worker) {
		s := w.S.(*echoWorker)
		e.mu.Lock()
		lat.Merge(s.lat)
		win += s.win
		bad += s.bad
		e.mu.Unlock()
	})
	m["conns"], m["inflight"], m["payload_bytes"] = o.n, h.k, o.size
	m["req_s"] = round3(float64(win) / o.dur.Seconds())
	m["bad_replies"] = bad
	m["disconnects"] = h.closed.Load()
	lat.Put(m, "lat")
	e.putCPU(m, a, b, float64(win)*float64(b.t-a.t)/float64(h.t1-h.t0))
	return m, nil
}

// churn -----------------------------------------------------------------

type churnWorker struct {
	conn, join *Hist
	cycles     int64
	pending    []*Conn // waiting for their life to end, in order
}

type churn struct {
	t0, t1 int64
	life   int64
	rooms  int
	stop   atomic.Bool
	failed atomic.Int64
	gone   atomic.Int64 // residents
}

func (h *churn) OnConnect(c *Conn) {
	if c.role == roleResident {
		c.w.Send(c, []byte(`420["join","`+roomName(int(c.room))+`"]`))
		return
	}
	c.w.Send(c, []byte(`420["join","`+roomName(c.nextID%h.rooms)+`"]`))
}
func (h *churn) OnEvent(c *Conn, _ []byte) {}
func (h *churn) OnClose(c *Conn, _ error) {
	if c.role == roleResident {
		h.gone.Add(1)
		return
	}
	h.failed.Add(1)
	c.tReady = c.w.now
	s := c.w.S.(*churnWorker)
	s.pending = append(s.pending, c)
}
func (h *churn) OnAck(c *Conn, _ int, _ []byte) {
	w := c.w
	w.Ready(c)
	if c.role == roleResident {
		return
	}
	s := w.S.(*churnWorker)
	if w.now >= h.t0 && w.now < h.t1 {
		s.cycles++
		s.conn.Add(c.tConn - c.tStart)
		s.join.Add(w.now - c.tConn)
	}
	s.pending = append(s.pending, c)
}
func (h *churn) OnTick(w *Worker, now int64) int64 {
	s, _ := w.S.(*churnWorker)
	if s == nil {
		return now + 100e6
	}
	for len(s.pending) > 0 {
		c := s.pending[0]
		if now-c.tReady < h.life {
			return min(c.tReady+h.life, now+1e6)
		}
		s.pending = s.pending[1:]
		if c.state == stReady && c.s != nil {
			// Leave the namespace and close properly; then reset, so that
			// the port is free again at once.
			if !w.e.polling {
				w.Send(c, []byte("41"))
				c.s.out = append(c.s.out, 0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8)
				c.s.dirty = true // written here, not by flush
				w.write(c.s)
				c.s.dirty = false
			}
			w.Close(c, w.e.polling)
		}
		if !h.stop.Load() {
			c.nextID++
			w.Open(c)
		}
	}
	return now + 1e6
}

func runChurn(e *Engine, o *options) (map[string]any, error) {
	h := &churn{life: int64(o.life), rooms: max(1, o.rooms)}
	e.handle(h)
	m := map[string]any{}
	if o.resident > 0 {
		residents := make([]*Conn, o.resident)
		for i := range residents {
			residents[i] = &Conn{id: i, url: i % len(e.targets), role: roleResident, room: int32(i / max(1, o.roomSize))}
		}
		ramp, err := rampAll(e, o, residents)
		if err != nil {
			return nil, err
		}
		m = ramp
		time.Sleep(o.settle)
	}
	e.retries = 0 // churn counts every failure
	h.t0 = nanotime() + int64(o.warm)
	h.t1 = h.t0 + int64(o.dur)
	all := make([]*Conn, o.n)
	for i := range all {
		all[i] = &Conn{id: o.resident + i, url: i % len(e.targets), nextID: i}
		all[i].w = e.workers[i%len(e.workers)]
	}
	rss0 := rssBytes(e.pids)
	e.do(func(w *Worker) {
		w.S = &churnWorker{conn: newHist(), join: newHist()}
		var mine []*Conn
		for _, c := range all {
			if c.w == w {
				mine = append(mine, c)
			}
		}
		w.Ramp(mine, len(mine))
	})
	time.Sleep(time.Duration(h.t0 - nanotime()))
	a := e.sample()
	time.Sleep(time.Duration(h.t1 - nanotime()))
	b := e.sample()
	h.stop.Store(true)
	conn, join := newHist(), newHist()
	var cycles int64
	e.do(func(w *Worker) {
		s := w.S.(*churnWorker)
		e.mu.Lock()
		conn.Merge(s.conn)
		join.Merge(s.join)
		cycles += s.cycles
		e.mu.Unlock()
	})
	time.Sleep(o.settle + time.Duration(h.life))
	m["residents"], m["room_size"], m["residents_gone"] = o.resident, o.roomSize, h.gone.Load()
	m["slots"], m["life_ms"] = o.n, o.life.Milliseconds()
	m["cycles_s"] = round3(float64(cycles) / o.dur.Seconds())
	m["failed"] = h.failed.Load()
	conn.Put(m, "connect")
	join.Put(m, "join")
	m["rss_before_mb"] = round3(float64(rss0) / 1e6)
	m["rss_after_mb"] = round3(float64(rssBytes(e.pids)) / 1e6)
	e.putCPU(m, a, b, float64(cycles)*float64(b.t-a.t)/float64(h.t1-h.t0))
	return m, nil
}
