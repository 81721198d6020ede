//go:build linux

package load

import (
	"bytes"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"
)

// echo asks for acknowledgements: in a closed loop, the next request of a client with the answer to one of its requests; or at a
// fixed rate, whatever comes back.
type echo struct {
	nothing
	slots       int // of the times of a client's requests: more than it has under way
	size        int
	returns     bool   // acknowledgements hold the payload
	payload     []byte // the packet behind its id
	rate        float64
	disconnects atomic.Int64
}

// echoWorker is a worker's part.
type echoWorker struct {
	start        int64
	from, to     int64 // measured
	clients      []*client
	next, gap    float64 // of the fixed rate
	turn         int
	latency, lag *histogram
	answered     int64
	bad, skipped int64
}

func (s *echo) send(c *client, id int, due int64) {
	c.slots[id%s.slots] = due
	var head [24]byte
	c.w.send(c, strconv.AppendInt(append(head[:0], "42"...), int64(id), 10), s.payload)
}

func (s *echo) connected(c *client) { c.w.settled(c) }

func (s *echo) closed(*client, error) { s.disconnects.Add(1) }

// eventEcho is acknowledged with what it holds.
const eventEcho = "echo"

// fits reports whether an acknowledgement is the one that was asked for.
func (s *echo) fits(data []byte) bool {
	if s.returns {
		return len(data) == s.size+len(`[""]`)
	}
	return !bytes.Contains(data, []byte(`"ok":false`))
}

func (s *echo) ack(c *client, id int, data []byte) {
	w, now := c.w.state.(*echoWorker), c.w.now
	due := c.slots[id%s.slots]
	c.slots[id%s.slots] = 0
	if !s.fits(data) || due == 0 {
		w.bad++
		return
	}
	if now >= w.from && now < w.to {
		w.answered++
		w.latency.add(now - due)
	}
	if s.rate == 0 && now < w.to {
		s.send(c, id+s.slots, now)
	}
}

func (s *echo) tick(w *worker, now int64) int64 {
	e, ours := w.state.(*echoWorker)
	if !ours || s.rate == 0 || len(e.clients) == 0 || now < e.start {
		return now + 1e6
	}
	for int64(e.next) <= now && int64(e.next) < e.to {
		c := e.clients[e.turn%len(e.clients)]
		e.turn++
		e.lag.add(now - int64(e.next))
		switch {
		case c.stage != clientReady:
		case c.slots[c.count%s.slots] != 0:
			e.skipped++ // as many are under way as can be told apart
		default:
			s.send(c, c.count, int64(e.next))
			c.count++
		}
		e.next += e.gap
	}
	return min(int64(e.next), now+1e6)
}

func echoScenario(g *generator) (Result, error) {
	rate, err := g.o.rate()
	if err != nil {
		return nil, err
	}
	s := &echo{slots: g.o.Inflight, size: g.o.Size, rate: rate, returns: g.o.Event == eventEcho}
	if rate > 0 {
		s.slots = 1024
	}
	s.payload = append(append(append(append([]byte{'['}, quoted(g.o.Event)...), `,"`...), bytes.Repeat([]byte("x"), s.size)...), `"]`...)
	g.play(s)
	clients := g.newClients(g.o.Clients)
	for _, c := range clients {
		c.slots = make([]int64, s.slots)
	}
	r, err := g.ramp(clients)
	if err != nil {
		return r, err
	}
	if err := pause(g.ctx, g.o.Settle); err != nil {
		return r, err
	}
	g.say("echo for %v", g.o.Warmup+g.o.Duration)
	start := now() + 20e6
	from := start + int64(g.o.Warmup)
	to := from + int64(g.o.Duration)
	g.do(func(w *worker) {
		e := &echoWorker{start: start, from: from, to: to, latency: newHistogram(), lag: newHistogram()}
		for _, c := range clients {
			if c.w == w && c.stage == clientReady {
				e.clients = append(e.clients, c)
			}
		}
		if rate > 0 {
			e.gap = 1e9 / rate * float64(len(clients)) / float64(max(len(e.clients), 1))
			e.next = float64(start) + e.gap*(float64(w.id)+.5)/float64(len(g.workers))
		}
		w.state = e
		for _, c := range e.clients {
			for i := 0; rate == 0 && i < s.slots; i++ {
				s.send(c, i, now())
			}
		}
	})
	return r, g.measureEcho(r, s, from, to)
}

func (g *generator) measureEcho(r Result, s *echo, from, to int64) error {
	if err := sleepUntil(g.ctx, from); err != nil {
		return err
	}
	a := g.sample()
	interrupted := sleepUntil(g.ctx, to)
	to = min(to, now()) // then the figures are those of the time until now
	b := g.sample()
	if interrupted == nil {
		interrupted = pause(g.ctx, g.o.Settle)
	}
	latency, lag := newHistogram(), newHistogram()
	var answered, bad, skipped int64
	g.collect(func(w *worker) {
		e := w.state.(*echoWorker)
		latency.merge(e.latency)
		lag.merge(e.lag)
		answered, bad, skipped = answered+e.answered, bad+e.bad, skipped+e.skipped
	})
	r["conns"], r["payload_bytes"], r["bad_replies"], r["disconnects"] = g.o.Clients, s.size, bad, s.disconnects.Load()
	r["req_s"] = rounded(float64(answered) / time.Duration(to-from).Seconds())
	latency.put(r, "lat")
	g.putCPU(r, a, b, float64(answered)*float64(b.at-a.at)/float64(to-from))
	if s.rate == 0 {
		r["inflight"] = s.slots
	} else {
		r["rate_req_s"], r["skipped"], r["send_lag_p99_ms"] = s.rate, skipped, lag.ms(.99)
		g.judgeLag(r, lag)
	}
	if interrupted == nil && s.disconnects.Load() >= r["connected"].(int64) {
		return errAllLost
	}
	if interrupted == nil && answered == 0 {
		return fmt.Errorf("no event %q was acknowledged", g.o.Event)
	}
	return interrupted
}

// judgeLag calls the generator the limit when what it sends at a rate leaves late.
func (g *generator) judgeLag(r Result, lag *histogram) {
	const late = 20e6 // ns
	if lag.quantile(.99) > late {
		r["generator_limited"] = true
	}
}
