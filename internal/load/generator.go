//go:build linux

package load

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// generator is a fixed set of workers. A client belongs to one worker for life, so nothing about it is locked.
type generator struct {
	o         *Options
	ctx       context.Context // that of the run: its end ends every wait
	targets   []target
	addresses int    // local ones, 127.0.1.1 and so on; 0: the kernel's choice
	connect   []byte // the members of the CONNECT packet's object, such as "token":"x"
	cpus      map[int]bool
	securing  chan struct{} // holds one for each TLS handshake under way
	workers   []*worker

	_         [64]byte // the counter below has a cache line of its own
	delivered atomic.Int64
	_         [64]byte

	mu     sync.Mutex
	errors map[string]int
}

func newGenerator(ctx context.Context, o *Options) (*generator, error) {
	g := &generator{o: o, ctx: ctx, errors: map[string]int{}, cpus: parseCPUs(o.CPUs), securing: make(chan struct{}, mostSecuring)}
	if err := o.checkDescriptors(); err != nil {
		return nil, err
	}
	loopback := true
	for _, u := range o.URLs {
		t, err := newTarget(u, o)
		if err != nil {
			return nil, err
		}
		g.targets = append(g.targets, t)
		loopback = loopback && t.loopback
	}
	if o.Token != "" {
		g.connect = append([]byte(`"token":`), quoted(o.Token)...)
	}
	if loopback {
		g.addresses = o.addresses()
	}
	for i := range o.Workers {
		w, err := newWorker(g, i)
		if err != nil {
			return nil, err
		}
		g.workers = append(g.workers, w)
	}
	for _, w := range g.workers {
		go w.run()
	}
	return g, nil
}

// addresses is how many local addresses the clients use. Looking for a free port gets slow once an address has half of
// its 28,000 taken, and churn leaves each taken for a minute.
func (o *Options) addresses() int {
	switch n := o.connections(); {
	case o.Addresses > 0:
		return o.Addresses
	case o.Scenario == "churn":
		return 64
	case n > 4000:
		return n/4000 + 1
	}
	return 0
}

// close ends the workers and every connection.
func (g *generator) close() {
	for _, w := range g.workers {
		w.post((*worker).stop)
	}
	for _, w := range g.workers {
		<-w.stopped
	}
}

// do runs f on every worker and waits for all of them.
func (g *generator) do(f func(w *worker)) {
	var wg sync.WaitGroup
	for _, w := range g.workers {
		wg.Add(1)
		w.post(func(w *worker) { defer wg.Done(); f(w) })
	}
	wg.Wait()
}

// collect runs f on every worker, one after the other.
func (g *generator) collect(f func(w *worker)) {
	g.do(func(w *worker) {
		g.mu.Lock()
		defer g.mu.Unlock()
		f(w)
	})
}

// play makes s the scenario of every worker.
func (g *generator) play(s scenario) { g.do(func(w *worker) { w.scenario = s }) }

// note counts what went wrong.
func (g *generator) note(what string) {
	const kinds = 100 // texts of servers end in the report
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, known := g.errors[what]; !known && len(g.errors) >= kinds {
		what = "others"
	}
	g.errors[what]++
}

// noted returns what went wrong, and how often.
func (g *generator) noted() map[string]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.errors)
}

func (g *generator) say(format string, args ...any) {
	if g.o.Progress != nil {
		fmt.Fprintf(g.o.Progress, format+"\n", args...)
	}
}

// deal assigns clients to workers in turn, those that have none, and returns the clients of each worker.
func (g *generator) deal(clients []*client) [][]*client {
	dealt := make([][]*client, len(g.workers))
	for i, c := range clients {
		if c.w == nil {
			c.w = g.workers[i%len(g.workers)]
		}
		dealt[c.w.id] = append(dealt[c.w.id], c)
	}
	return dealt
}

// sum adds what f returns of each worker; f reads atomics only.
func (g *generator) sum(f func(w *worker) int64) (n int64) {
	for w := range slices.Values(g.workers) {
		n += f(w)
	}
	return n
}
