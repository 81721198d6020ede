//go:build linux

package load

import (
	"fmt"
	"sync/atomic"
)

const roleResident = 2

// churn connects, joins a room, leaves and closes, and again.
type churn struct {
	nothing
	life   int64
	rooms  int
	ending atomic.Bool
	failed atomic.Int64
	gone   atomic.Int64 // residents
}

// churnWorker is a worker's part.
type churnWorker struct {
	from, to      int64 // measured
	connect, join *histogram
	cycles        int64
	living        []*client // in the order in which their lives end
}

func (s *churn) connected(c *client) {
	room := c.count % s.rooms
	if c.role == roleResident {
		room = int(c.room)
	}
	c.w.send(c, []byte(`420["join","`+roomName(room)+`"]`))
}

func (s *churn) closed(c *client, _ error) {
	if c.role == roleResident {
		s.gone.Add(1)
		return
	}
	s.failed.Add(1)
	c.ready = c.w.now
	w := c.w.state.(*churnWorker)
	w.living = append(w.living, c)
}

func (s *churn) ack(c *client, _ int, _ []byte) {
	c.w.settled(c)
	if c.role == roleResident {
		return
	}
	w := c.w.state.(*churnWorker)
	if c.w.now >= w.from && c.w.now < w.to {
		w.cycles++
		w.connect.add(c.answered - c.began)
		w.join.add(c.w.now - c.answered)
	}
	w.living = append(w.living, c)
}

func (s *churn) tick(w *worker, now int64) int64 {
	state, ours := w.state.(*churnWorker)
	if !ours {
		return now + 100e6
	}
	for range len(state.living) { // an attempt that fails at once is in the list again
		c := state.living[0]
		if ends := c.ready + s.life; now < ends {
			return min(ends, now+1e6)
		}
		state.living = state.living[1:]
		if c.stage == clientReady && c.s != nil {
			s.leave(w, c)
		}
		if !s.ending.Load() {
			c.count++
			w.open(c)
		}
	}
	return now + 1e6
}

// leave leaves the namespace and closes the connection as a client does, then resets it, so that its port is free at once.
func (s *churn) leave(w *worker, c *client) {
	polling := w.g.o.Transport == Polling
	if !polling {
		w.send(c, []byte("41"))
		c.s.out = append(c.s.out, 0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8)
		w.write(c.s)
	}
	w.drop(c, polling)
}

func churnScenario(g *generator) (Result, error) {
	s := &churn{life: int64(g.o.Life), rooms: g.o.Rooms}
	g.play(s)
	r := Result{}
	if g.o.Residents > 0 {
		residents := g.newClients(g.o.Residents)
		for i, c := range residents {
			c.role, c.room = roleResident, int32(i/g.o.RoomSize)
		}
		var err error
		if r, err = g.ramp(residents); err != nil {
			return r, err
		}
		if err := pause(g.ctx, g.o.Settle); err != nil {
			return r, err
		}
	}
	clients := g.newClients(g.o.Clients)
	for i, c := range clients {
		c.id, c.count = g.o.Residents+i, i
	}
	dealt := g.deal(clients)
	before := ResidentBytes(g.o.PIDs)
	from := now() + int64(g.o.Warmup)
	to := from + int64(g.o.Duration)
	g.say("churn for %v", g.o.Warmup+g.o.Duration)
	g.do(func(w *worker) {
		w.retries = 0 // every failure counts
		w.state = &churnWorker{from: from, to: to, connect: newHistogram(), join: newHistogram()}
		w.ramp(dealt[w.id], len(dealt[w.id]))
	})
	if err := sleepUntil(g.ctx, from); err != nil {
		return r, err
	}
	a := g.sample()
	if err := sleepUntil(g.ctx, to); err != nil {
		return r, err
	}
	b := g.sample()
	s.ending.Store(true)
	connect, join := newHistogram(), newHistogram()
	var cycles int64
	g.collect(func(w *worker) {
		state := w.state.(*churnWorker)
		connect.merge(state.connect)
		join.merge(state.join)
		cycles += state.cycles
	})
	if err := pause(g.ctx, g.o.Settle+g.o.Life); err != nil {
		return r, err
	}
	r["residents"], r["room_size"], r["residents_gone"] = g.o.Residents, g.o.RoomSize, s.gone.Load()
	r["slots"], r["life_ms"], r["failed"] = g.o.Clients, g.o.Life.Milliseconds(), s.failed.Load()
	r["cycles_s"] = rounded(float64(cycles) / g.o.Duration.Seconds())
	connect.put(r, "connect")
	join.put(r, "join")
	r["rss_before_mb"] = rounded(float64(before) / 1e6)
	r["rss_after_mb"] = rounded(float64(ResidentBytes(g.o.PIDs)) / 1e6)
	g.putCPU(r, a, b, float64(cycles)*float64(b.at-a.at)/float64(to-from))
	if cycles == 0 && s.failed.Load() > 0 {
		return r, fmt.Errorf("no cycle was whole: %v", g.noted())
	}
	return r, nil
}
