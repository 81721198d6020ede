//go:build linux

package load

import (
	"maps"
	"math/rand/v2"
	"sync/atomic"
)

// pubsubScenario is fanout, one room of many, and rooms, many rooms of a few.
func pubsubScenario(g *generator) (Result, error) {
	p := &pubsub{g: g, all: g.o.All && g.o.Scenario == "fanout", rooms: g.o.Scenario == "rooms"}
	clients := p.fanout
	if p.rooms {
		clients = p.many
	}
	all := clients(g.o)
	p.lost = make([]atomic.Uint32, len(p.streams))
	g.play(p)
	g.do(func(w *worker) {
		w.state = &pubsubWorker{tally: newTally(), random: rand.New(rand.NewPCG(uint64(w.id)+1, g.o.Seed))}
	})
	before := ResidentBytes(g.o.PIDs)
	ramp, err := g.ramp(all)
	if err != nil {
		return ramp, err
	}
	g.do(func(w *worker) {
		for _, s := range p.streams {
			if s.c.w == w {
				state := w.state.(*pubsubWorker)
				state.streams = append(state.streams, s)
			}
		}
	})
	if err := pause(g.ctx, g.o.Settle); err != nil {
		return ramp, err
	}
	r, err := p.run()
	if r == nil {
		return ramp, err
	}
	maps.Copy(r, ramp)
	r["subscribers"] = len(all) - len(p.streams)
	if p.rooms {
		r["subscribers"], r["rooms"], r["members"] = len(all), g.o.Rooms, g.o.Members
	}
	r["publishers"], r["payload_bytes"], r["p99_limit_ms"] = len(p.streams), g.o.Size, g.o.P99.Milliseconds()
	r["rss_mb"], r["rss_before_mb"] = rounded(float64(ResidentBytes(g.o.PIDs))/1e6), rounded(float64(before)/1e6)
	if err == nil && p.gone.Load() >= r["connected"].(int64) {
		err = errAllLost
	}
	return r, err
}

func (p *pubsub) run() (Result, error) {
	rate, err := p.g.o.rate()
	if err != nil {
		return nil, err
	}
	if rate < 0 {
		return p.search()
	}
	p.g.say("publishing for %v", p.g.o.Warmup+p.g.o.Duration)
	r, err := p.step(rate, p.g.o.Warmup, p.g.o.Duration)
	return r.fields, err
}

// fanout returns the subscribers of one room and its publishers.
func (p *pubsub) fanout(o *Options) []*client {
	clients := p.g.newClients(o.Clients)
	publishers := o.Publishers
	if o.EachNode {
		publishers = max(publishers, len(p.g.targets))
	}
	for i := range publishers {
		c := &client{id: len(clients), room: -1, role: rolePublisher}
		if o.EachNode {
			c.target = i % len(p.g.targets)
		}
		clients = append(clients, c)
		event, members := "publish", int64(o.Clients)
		if p.all {
			event, members = "publishAll", int64(o.Clients+publishers)
		}
		p.streams = append(p.streams, newStream(i, c, event, 0, members, o.Size))
	}
	for _, c := range clients {
		c.last = make([]uint32, publishers)
	}
	return clients
}

// many returns the members of the rooms; the first member of each publishes to it.
func (p *pubsub) many(o *Options) []*client {
	total := o.Rooms * o.Members
	p.members, p.sharing = o.Members, o.connections()
	clients := p.g.newClients(p.sharing)
	for i, c := range clients {
		if c.room = -1; i < total { // the members of one room alternate over the servers
			c.room = int32(i / o.Members)
			c.target = (i/o.Members + i%o.Members) % len(p.g.targets)
			c.last = make([]uint32, (total-i+p.sharing-1)/p.sharing)
		}
	}
	for room := range o.Rooms {
		p.streams = append(p.streams, newStream(room, clients[room*o.Members%p.sharing], "publish", room, int64(o.Members), o.Size))
	}
	return clients
}
