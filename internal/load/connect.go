//go:build linux

package load

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// newClients are n clients that alternate over the servers.
func (g *generator) newClients(n int) []*client {
	clients := make([]*client, n)
	for i := range clients {
		clients[i] = &client{id: i, target: i % len(g.targets)}
	}
	return clients
}

// ramp connects all clients and waits until each is ready or has failed.
func (g *generator) ramp(clients []*client) (Result, error) {
	g.say("%d handshakes, %d at once", len(clients), g.o.Concurrency)
	dealt := g.deal(clients)
	a := g.sample()
	g.do(func(w *worker) { w.ramp(dealt[w.id], max(1, g.o.Concurrency/len(g.workers))) })
	ready := func() int64 { return g.sum(func(w *worker) int64 { return w.ready.Load() }) }
	failed := func() int64 { return g.sum(func(w *worker) int64 { return w.failed.Load() }) }
	await(g.ctx, g.o.RampTimeout, func() bool { return ready()+failed() >= int64(len(clients)) })
	b := g.sample()
	handshakes := newHistogram()
	var ends []int64
	g.collect(func(w *worker) {
		handshakes.merge(w.handshake)
		for _, c := range clients {
			if c.w == w && c.ready > 0 {
				ends = append(ends, c.ready)
			}
		}
	})
	r := Result{
		"connected": ready(), "connect_failed": failed(), "handshake_retries": g.sum(func(w *worker) int64 { return w.retried.Load() }),
		"ramp_s": rounded(float64(b.at-a.at) / 1e9), "ramp_gen_cores": rounded((b.self - a.self) / float64(b.at-a.at) * 1e9),
		"connect_p50_ms": handshakes.ms(.5), "connect_p99_ms": handshakes.ms(.99), "handshakes_s": 0.0,
	}
	// Up to the 99th of a hundred, so that one lost packet does not decide it.
	slices.Sort(ends)
	if k := len(ends) * 99 / 100; k > 0 {
		r["handshakes_s"] = rounded(float64(k) / (float64(ends[k-1]-a.at) / 1e9))
	}
	if len(g.o.PIDs) > 0 && ready() > 0 {
		r["handshake_cpu_s_per_k"] = rounded((b.server - a.server) / float64(ready()) * 1e3)
	}
	if err := g.ctx.Err(); err != nil {
		return r, err
	}
	if ready() < int64(len(clients)) && !g.o.Tolerate {
		return r, fmt.Errorf("of %d clients %d are ready and %d have failed: %s", len(clients), ready(), failed(),
			strings.Join(listed(g.noted()), ", "))
	}
	return r, nil
}

// errAllLost is the error of a scenario at whose end no connection is left: what it measured is not of a server at work.
var errAllLost = errors.New("every connection was lost")

// idle clients connect and wait, and note when messages came that another process published.
type idle struct {
	nothing
	gone atomic.Int64
}

// arrivals is when an idle worker's clients received messages, in nanoseconds since 1970, which other processes know too.
type arrivals struct {
	first, last, received int64
}

func (s *idle) connected(c *client)   { c.w.settled(c) }
func (s *idle) closed(*client, error) { s.gone.Add(1) }

func (s *idle) event(c *client, _ []byte) {
	a := c.w.state.(*arrivals)
	a.last = time.Now().UnixNano()
	if a.received++; a.received == 1 {
		a.first = a.last
	}
}

// putArrivals reports the messages that came, if there were any.
func (g *generator) putArrivals(r Result) {
	total := arrivals{first: math.MaxInt64}
	g.collect(func(w *worker) {
		if a := w.state.(*arrivals); a.received > 0 {
			total.first, total.last = min(total.first, a.first), max(total.last, a.last)
			total.received += a.received
		}
	})
	if total.received > 0 {
		r["received"], r["first_received_unix_s"], r["last_received_unix_s"] = total.received, float64(total.first)/1e9, float64(total.last)/1e9
	}
}

func connectScenario(g *generator) (Result, error) {
	s := &idle{}
	g.do(func(w *worker) { w.state, w.scenario = &arrivals{}, s })
	before := ResidentBytes(g.o.PIDs)
	r, err := g.ramp(g.newClients(g.o.Clients))
	if err != nil {
		return r, err
	}
	ramped := ResidentBytes(g.o.PIDs)
	g.say("%v connections idle for %v", r["connected"], g.o.Hold)
	a := g.sample()
	interrupted := pause(g.ctx, g.o.Hold)
	b := g.sample()
	held := ResidentBytes(g.o.PIDs)
	r["hold_s"], r["hold_disconnects"] = rounded(float64(b.at-a.at)/1e9), s.gone.Load()
	g.putArrivals(r)
	if interrupted == nil && s.gone.Load() >= r["connected"].(int64) {
		return r, errAllLost
	}
	if n := float64(r["connected"].(int64)); len(g.o.PIDs) > 0 {
		r["rss_before_mb"] = rounded(float64(before) / 1e6)
		r["rss_after_ramp_mb"] = rounded(float64(ramped) / 1e6)
		r["rss_after_hold_mb"] = rounded(float64(held) / 1e6)
		r["rss_per_conn_kb_ramp"] = rounded(float64(ramped-before) / n / 1024)
		r["rss_per_conn_kb"] = rounded(float64(held-before) / n / 1024)
		r["hold_cpu_cores"] = rounded((b.server - a.server) / (float64(b.at-a.at) / 1e9))
	}
	return r, interrupted
}
