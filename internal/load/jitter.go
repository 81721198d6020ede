//go:build linux

package load

import (
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// jitter publishes numbered messages to everyone while each client's connection is cut now and then, and counts what arrives. Its
// clients recover their sessions as the official client does, where the server offers that.
type jitter struct {
	nothing
	g         *generator
	publisher *client // is never cut
	stream    *stream
	messages  int
	latest    atomic.Uint32 // published
	cutting   atomic.Bool
}

// jitterWorker is a worker's part.
type jitterWorker struct {
	random                             *rand.Rand
	clients                            []*client
	silent                             []int // descriptors that stay open
	replay                             *histogram
	reconnects, recovered, disconnects int64
	got, twice, disorder               int64
}

func (s *jitter) connected(c *client) {
	w := c.w.state.(*jitterWorker)
	c.w.settled(c)
	if c == s.publisher || c.away.since == 0 {
		return
	}
	w.reconnects++
	if c.session.recovered {
		w.recovered++
	}
	c.away.since, c.away.target, c.away.began = 0, s.latest.Load(), c.began
	s.caughtUp(c)
}

// caughtUp notes how long a client took, from its new connection on, to have what was published until then.
func (s *jitter) caughtUp(c *client) {
	if c.away.began != 0 && c.last[0] >= c.away.target {
		c.w.state.(*jitterWorker).replay.add(c.w.now - c.away.began)
		c.away.began = 0
	}
}

func (s *jitter) event(c *client, data []byte) {
	m, ok := parsePublished(data)
	if !ok || c == s.publisher || m.number == 0 || int(m.number) > s.messages {
		return
	}
	c.session.received(data)
	w := c.w.state.(*jitterWorker)
	switch got := &c.away.got[m.number-1]; {
	case *got:
		w.twice++
	case m.number < c.last[0]:
		w.disorder++
		fallthrough
	default:
		*got = true
		w.got++
	}
	c.last[0] = max(c.last[0], m.number)
	s.caughtUp(c)
}

func (s *jitter) closed(c *client, _ error) {
	w := c.w.state.(*jitterWorker)
	if c.away.since == 0 {
		w.disconnects++
		c.away.since = c.w.now
	}
	c.w.comeBack(c, s.retryDelay(w))
}

// retryDelay is that of a client with a reconnectionDelay of 100 ms and at most 500.
func (s *jitter) retryDelay(w *jitterWorker) int64 {
	return int64(100*time.Millisecond) + w.random.Int64N(int64(400*time.Millisecond))
}

// cut ends the connection of c, and the next one, for as long as messages are published.
func (s *jitter) cut(w *worker, c *client) {
	if !s.cutting.Load() {
		return
	}
	state := w.state.(*jitterWorker)
	if c.stage == clientReady {
		for _, x := range []*socket{c.s, c.post} {
			if s.g.o.HalfOpen && x != nil && x.state == socketOpen {
				state.silent = append(state.silent, w.silence(x))
			}
		}
		w.drop(c, false)
		c.away.since, c.away.began = w.now, 0
		w.comeBack(c, int64(s.g.o.CutFor)+s.retryDelay(state))
	}
	w.at(w.now+int64(s.g.o.CutEvery), func(w *worker) { s.cut(w, c) })
}

func jitterScenario(g *generator) (Result, error) {
	s := &jitter{g: g, messages: int(g.o.Duration / g.o.Every), publisher: &client{id: g.o.Clients}}
	s.stream = newStream(0, s.publisher, "publishAll", 0, 0, g.o.Size)
	clients := g.newClients(g.o.Clients)
	for _, c := range clients {
		c.session, c.last, c.away = &session{}, make([]uint32, 1), &away{got: make([]bool, s.messages)}
	}
	s.publisher.away = &away{}
	dealt := g.deal(clients)
	g.do(func(w *worker) {
		w.state = &jitterWorker{random: rand.New(rand.NewPCG(uint64(w.id)+1, g.o.Seed)), clients: dealt[w.id], replay: newHistogram()}
		w.scenario = s
	})
	r, err := g.ramp(append(clients[:len(clients):len(clients)], s.publisher))
	if err != nil {
		return r, err
	}
	if err := s.play(clients); err != nil {
		return r, err
	}
	s.report(r)
	return r, nil
}

// play cuts and publishes.
func (s *jitter) play(clients []*client) error {
	s.g.say("%d messages, one every %v; each client is cut every %v for %v", s.messages, s.g.o.Every, s.g.o.CutEvery, s.g.o.CutFor)
	s.cutting.Store(true)
	defer s.cutting.Store(false)
	begin := now()
	s.g.do(func(w *worker) {
		w.retries = 0 // from here on clients try again as the official one does
		for _, c := range w.state.(*jitterWorker).clients {
			w.at(begin+int64(float64(c.id)/float64(len(clients))*float64(s.g.o.CutEvery)), func(w *worker) { s.cut(w, c) })
		}
	})
	for i := range s.messages {
		s.latest.Add(1)
		s.publisher.w.post(func(*worker) { s.stream.publish(now()) })
		if err := sleepUntil(s.g.ctx, begin+int64(s.g.o.Every)*int64(i+1)); err != nil {
			return err
		}
	}
	s.cutting.Store(false)
	complete := func() bool {
		missing := int64(len(clients) * s.messages)
		s.g.collect(func(w *worker) { missing -= w.state.(*jitterWorker).got })
		return missing == 0
	}
	for end := now() + int64(s.g.o.CutFor+6*time.Second); now() < end && !complete(); {
		if err := pause(s.g.ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return s.g.ctx.Err()
}

func (s *jitter) report(r Result) {
	total := jitterWorker{replay: newHistogram()}
	s.g.collect(func(w *worker) {
		state := w.state.(*jitterWorker)
		total.replay.merge(state.replay)
		total.reconnects, total.recovered = total.reconnects+state.reconnects, total.recovered+state.recovered
		total.disconnects += state.disconnects
		total.got, total.twice, total.disorder = total.got+state.got, total.twice+state.twice, total.disorder+state.disorder
		for _, fd := range state.silent {
			_ = unix.Close(fd)
		}
	})
	due := s.g.o.Clients * s.messages
	r["due"], r["got"], r["twice"], r["out_of_order"] = due, total.got, total.twice, total.disorder
	r["delivered_percent"] = math.Floor(1e4*float64(total.got)/float64(due)) / 100 // 100 means all
	r["reconnects"], r["recovered"], r["disconnects"] = total.reconnects, total.recovered, total.disconnects
	r["replay_p50_ms"], r["replay_p99_ms"], r["replay_max_ms"] = total.replay.ms(.5), total.replay.ms(.99), rounded(float64(total.replay.max)/1e6)
}
