//go:build linux

package load

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"syscall"
	"time"
)

// storm has clients that come back by themselves, as official clients do: after all of them were cut at once, after a server
// was killed, or, as roll, whenever a server sends them away, while messages are published to everyone.
type storm struct {
	nothing
	g         *generator
	publisher *client // roll
	stream    *stream
	gap       int64
	until     atomic.Int64 // the publisher publishes until then
	lost      atomic.Int64 // connections
	returned  atomic.Int64
}

// stormWorker is a worker's part.
type stormWorker struct {
	random              *rand.Rand
	clients             []*client
	losses              []int64
	away, over          *histogram // over: beyond the client's own back-off
	got, gaps, disorder int64
	next                int64
	published           int64
}

func (s *storm) connected(c *client) {
	w := c.w.state.(*stormWorker)
	c.w.settled(c)
	c.last[0] = 0
	if c == s.publisher {
		s.anew(c)
	}
	if c.away.since == 0 {
		return
	}
	w.away.add(c.w.now - c.away.since)
	w.over.add(c.w.now - c.away.since - c.away.waited)
	*c.away = away{}
	s.returned.Add(1)
}

// anew begins another stream: what the publisher sent into a broken connection counts as never published.
func (s *storm) anew(c *client) {
	s.stream = newStream(int(c.room)+1, c, "publishAll", 0, 0, s.g.o.Size)
	c.room++
}

func (s *storm) closed(c *client, _ error) {
	w := c.w.state.(*stormWorker)
	if c.away.since == 0 {
		c.away.since = c.w.now
		w.losses = append(w.losses, c.w.now)
		s.lost.Add(1)
	}
	wait := backOff(c.away.attempts, w.random)
	if c.away.attempts == 0 {
		wait += int64(s.g.o.CutFor)
	}
	c.away.attempts++
	c.away.waited += wait
	c.w.comeBack(c, wait)
}

// event counts gaps and repetitions within one connection.
func (s *storm) event(c *client, data []byte) {
	w := c.w.state.(*stormWorker)
	m, ok := parsePublished(data)
	if !ok {
		return
	}
	w.got++
	stream := uint32(m.stream)
	switch last := c.last[0]; {
	case last == 0 || c.last[1] != stream:
	case m.number <= last:
		w.disorder++
		return
	default:
		w.gaps += int64(m.number - last - 1)
	}
	c.last[0], c.last[1] = m.number, stream
}

func (s *storm) tick(thread *worker, now int64) int64 {
	w, ours := thread.state.(*stormWorker)
	if !ours || s.publisher == nil || s.publisher.w != thread || now >= s.until.Load() {
		return now + 10e6
	}
	for w.next = max(w.next, now-int64(time.Second)); w.next <= now; w.next += s.gap {
		if s.publisher.stage == clientReady && s.stream != nil {
			s.stream.publish(w.next)
			w.published++
		}
	}
	return w.next
}

func stormScenario(g *generator) (Result, error) {
	s := &storm{g: g}
	clients := g.newClients(g.o.Clients)
	if g.o.Scenario == "roll" {
		rate, err := g.o.rate()
		if err != nil {
			return nil, err
		}
		s.gap, s.publisher = int64(1e9/rate), &client{id: len(clients)}
		clients = append(clients, s.publisher)
	}
	for _, c := range clients {
		c.last, c.away = make([]uint32, 2), &away{}
	}
	dealt := g.deal(clients)
	g.do(func(w *worker) {
		w.state = &stormWorker{
			random: rand.New(rand.NewPCG(uint64(w.id)+1, g.o.Seed)), clients: dealt[w.id], away: newHistogram(), over: newHistogram(),
		}
		w.scenario = s
	})
	r, err := g.ramp(clients)
	if err != nil {
		return r, err
	}
	if err := pause(g.ctx, g.o.Settle); err != nil {
		return r, err
	}
	g.do(func(w *worker) { w.retries = 0 }) // from here on clients try again as the official one does
	if s.publisher != nil {
		err = s.roll()
	} else {
		err = s.cut()
	}
	s.report(r, len(clients))
	return r, err
}

// roll waits while servers are rolled, and then for those who are not back.
func (s *storm) roll() error {
	s.g.say("publishing for %v: roll the servers now", s.g.o.Duration)
	s.until.Store(now() + int64(s.g.o.Duration))
	for end := s.until.Load(); now() < end; {
		if err := pause(s.g.ctx, min(5*time.Second, time.Duration(end-now()))); err != nil {
			return err
		}
		s.g.say("  %d connections lost, %d back", s.lost.Load(), s.returned.Load())
	}
	const patience = 15 * time.Second // longer than the longest back-off and a handshake
	await(s.g.ctx, patience, func() bool { return s.returned.Load() == s.lost.Load() })
	return s.g.ctx.Err()
}

// cut takes the connections away, and waits until all are back.
func (s *storm) cut() error {
	if len(s.g.o.Kill) > 0 {
		s.g.say("SIGKILL to %v", s.g.o.Kill)
		for _, pid := range s.g.o.Kill {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				return fmt.Errorf("kill %d: %w", pid, err)
			}
		}
	} else {
		s.g.say("all connections cut")
		s.g.do(func(w *worker) {
			for _, c := range w.state.(*stormWorker).clients {
				if c.stage != clientClosed {
					w.drop(c, true)
					s.closed(c, nil)
				}
			}
		})
	}
	const calm = 3 * time.Second // none lost and all back for so long: it is over
	end, since, before := now()+int64(s.g.o.Duration), now(), int64(-1)
	for now() < end {
		if err := pause(s.g.ctx, 20*time.Millisecond); err != nil {
			return err
		}
		lost := s.lost.Load()
		if lost != before || s.returned.Load() < lost {
			before, since = lost, now()
		}
		if now()-since > int64(calm) {
			break
		}
	}
	if s.lost.Load() == 0 {
		return errors.New("no connection was lost")
	}
	return nil
}

func (s *storm) report(r Result, clients int) {
	away, over := newHistogram(), newHistogram()
	var losses []int64
	var got, gaps, disorder, published int64
	there := int64(0)
	s.g.collect(func(w *worker) {
		state := w.state.(*stormWorker)
		away.merge(state.away)
		over.merge(state.over)
		losses = append(losses, state.losses...)
		got, gaps, disorder, published = got+state.got, gaps+state.gaps, disorder+state.disorder, published+state.published
		for _, c := range state.clients {
			if c.stage == clientReady {
				there++
			}
		}
	})
	r["clients"], r["losses"], r["not_back"] = clients, len(losses), int64(clients)-there
	r["back_percent"] = rounded(100 * float64(there) / float64(clients))
	for name, h := range map[string]*histogram{"away": away, "over_backoff": over} {
		r[name+"_p50_ms"], r[name+"_p95_ms"], r[name+"_p99_ms"], r[name+"_max_ms"] = h.ms(.5), h.ms(.95), h.ms(.99), rounded(float64(h.max)/1e6)
	}
	r["closes_in_300ms_percent"] = rounded(100 * fullest(losses, 300e6))
	if s.publisher != nil {
		r["published"], r["received"], r["gaps"], r["out_of_order"] = published, got, gaps, disorder
	}
}

// fullest is the largest share of times that falls into one window.
func fullest(times []int64, window int64) float64 {
	slices.Sort(times)
	most, from := 0, 0
	for to, t := range times {
		for t-times[from] >= window {
			from++
		}
		most = max(most, to-from+1)
	}
	return float64(most) / float64(max(len(times), 1))
}
