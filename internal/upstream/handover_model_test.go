package upstream_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/upstream"
)

// The model: clients that come and go between nodes whose connections to Redis break, some of which die, and whose knowledge of
// one another is wrong at times. Each client has a random generator of its own; Redis sees their interleaving.

const (
	modelNodes   = 3
	modelClients = 6
	modelSteps   = 12
)

// modelNode is a node that may die.
type modelNode struct {
	*node

	alive context.Context //nolint:containedctx // ends when the node dies
	kill  context.CancelFunc
}

// roamer is a client that moves between nodes.
type roamer struct {
	t      *testing.T
	sid    string
	random *rand.Rand
	nodes  []*modelNode

	at    *client         // the socket that is connected
	on    *modelNode      // its node
	among []*modelNode    // those whose death may end it in this step
	quiet <-chan struct{} // closed when the node that dies has been forgotten
	stale []*client       // what other nodes still have of it
	next  int             // the number of its next event

	accepted []int
	sending  sync.WaitGroup
	mu       sync.Mutex // guards accepted
}

// send sends an event, and waits for its outcome if that is wanted.
func (r *roamer) send(at *client, on *modelNode, wait bool) {
	number := r.next
	r.next++
	outcome := at.send("orders", "e", strconv.Itoa(number))
	await := func() {
		select {
		case got := <-outcome:
			if got.err != nil {
				r.t.Errorf("%s: event %d: %v", r.sid, number, got.err)
				return
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			r.accepted = append(r.accepted, number)
		case <-on.alive.Done():
		case <-time.After(patience):
			r.t.Errorf("%s: event %d has no outcome", r.sid, number)
		}
	}
	if wait {
		await()
	} else {
		r.sending.Go(await)
	}
}

// other is a node that may be dead.
func (r *roamer) other() *modelNode {
	n := r.nodes[r.random.IntN(len(r.nodes))]
	r.among = append(r.among, n)
	return n
}

// offer has the socket's node offer it; false: the node died, or others have ended the socket.
func (r *roamer) offer() (upstream.Handover, bool) {
	r.at.cancel()
	h, err := r.at.Offer(r.on.alive)
	return h, err == nil
}

// take has a node take the socket; nil: it did not get it.
func (r *roamer) take(on *modelNode, h upstream.Handover) *client {
	c := on.take(r.sid, h)
	if r.random.IntN(4) == 0 { // its first look is too short
		ctx, cancel := context.WithTimeout(on.alive, time.Duration(r.random.IntN(300))*time.Microsecond)
		_ = c.Taken(ctx)
		cancel()
	}
	if err := c.Taken(on.alive); err != nil {
		c.Leave("given up")
		return nil
	}
	return c
}

// resume brings the client back to a socket; false: it must begin anew.
func (r *roamer) resume(c *client, on *modelNode) bool {
	c.connection, c.cancel = newConnection(r.t)
	ok, err := c.Resume(on.alive, c.connection)
	if ok && err == nil {
		r.at, r.on = c, on
	}
	return ok && err == nil
}

// step does one thing; false: the socket has ended.
func (r *roamer) step() bool {
	r.among = append(r.among[:0], r.on)
	for range r.random.IntN(4) {
		r.send(r.at, r.on, r.random.IntN(3) == 0)
	}
	if r.random.IntN(3) == 0 { // a connection that broke
		r.at.cancel()
		return r.resume(r.at, r.on)
	}
	h, ok := r.offer()
	if !ok {
		return false
	}
	from, to := r.at, r.other()
	switch r.random.IntN(6) {
	default: // as it should be
		there := r.take(to, h)
		if there == nil {
			r.stale = append(r.stale, from)
			return false
		}
		from.Moved()
		return r.resume(there, to)
	case 1: // the first node does not learn that it was taken
		there := r.take(to, h)
		r.stale = append(r.stale, from)
		return there != nil && r.resume(there, to)
	case 2: // it gives the socket up at the same time
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			from.Leave("window over")
		}()
		there := r.take(to, h)
		<-ended
		if there == nil {
			r.among = r.nodes // as it may be
			return false
		}
		return r.resume(there, to)
	case 3: // the client comes back where it came from, while or after the other node takes it
		took := make(chan *client, 1)
		go func() { took <- to.take(r.sid, h) }()
		ok := r.resume(from, r.on)
		there := <-took
		if r.random.IntN(2) == 0 {
			r.send(r.at, r.on, true)
		}
		r.stale = append(r.stale, there)
		return ok
	case 4: // two offers
		again, ok := r.offer()
		if !ok {
			return false
		}
		second := r.other()
		first := to.take(r.sid, h)
		there := r.take(second, again)
		r.stale = append(r.stale, first)
		if there == nil {
			r.stale = append(r.stale, from)
			return false
		}
		from.Moved()
		return r.resume(there, second)
	}
}

// live lives a client's life, and has every node that still has something of it end it.
func (r *roamer) live() {
	r.on = r.other()
	r.at = r.on.open(upstream.Client{ID: r.sid})
	r.send(r.at, r.on, true)
	ended := false
	for range modelSteps {
		if ended = !r.step(); ended {
			if !slices.ContainsFunc(r.among, func(n *modelNode) bool { return n.alive.Err() != nil }) && len(r.among) < len(r.nodes) {
				r.t.Errorf("%s has ended", r.sid)
			}
			break
		}
		if n := len(r.stale); n > 0 && r.random.IntN(2) == 0 { // a node that knows no better
			r.stale[n-1].Leave("stale")
			r.stale = r.stale[:n-1]
		}
	}
	<-r.quiet
	if !ended {
		r.send(r.at, r.on, true)
	}
	r.at.leave("bye")
	for _, c := range r.stale {
		c.Leave("stale")
	}
}

// told checks what backends read of the client.
func (r *roamer) told(entries []goredis.XMessage) {
	r.t.Helper()
	var events []int
	for i, e := range entries {
		if e.Values["seq"] != strconv.Itoa(i+1) {
			r.t.Errorf("%s: entry %d has seq %v", r.sid, i+1, e.Values["seq"])
		}
		kind, want := e.Values["t"], "event"
		switch i {
		case 0:
			want = "connected"
		case len(entries) - 1:
			want = "disconnected"
		}
		if kind != want {
			r.t.Errorf("%s: entry %d of %d is %v, want %s", r.sid, i+1, len(entries), kind, want)
		}
		if kind == "event" {
			n, _ := strconv.Atoi(fmt.Sprint(e.Values["data"]))
			events = append(events, n)
		}
	}
	for i := 1; i < len(events); i++ {
		if events[i] <= events[i-1] {
			r.t.Errorf("%s: event %d comes behind %d", r.sid, events[i], events[i-1])
		}
	}
	for _, n := range r.accepted {
		if !slices.Contains(events, n) {
			r.t.Errorf("%s: event %d was accepted, and is not there", r.sid, n)
		}
	}
}

func TestHandoverModel_WhateverNodesBelieveBackendsReadOneLifeOfEachSocket(t *testing.T) {
	seeds := 24
	if testing.Short() {
		seeds = 4
	}
	s := startServer(t)
	for seed := range uint64(seeds) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { modelRun(t, s, seed) })
		if t.Failed() {
			return
		}
	}
}

func modelRun(t *testing.T, s *server, seed uint64) {
	if err := s.Client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(seed, 0))
	f := &faults{random: rand.New(rand.NewPCG(seed, 1))}
	breaks := random.IntN(2) == 0
	var nodes []*modelNode
	for range modelNodes {
		client := goredis.NewClient(&goredis.Options{
			Addr: s.Address, Protocol: 2, MaxRetries: -1, DisableIdentity: true, ReadTimeout: time.Second,
			Dialer: func(ctx context.Context, network, address string) (net.Conn, error) {
				var d net.Dialer
				c, err := d.DialContext(ctx, network, address)
				if err != nil || !breaks {
					return c, err
				}
				return lossy{c, f}, nil
			},
		})
		n := &modelNode{node: startWith(t, client, route(func(r *config.Route) {
			r.Lifecycle, r.Partitions, r.Deadline = true, 2, time.Hour
		}))}
		n.alive, n.kill = context.WithCancel(context.Background())
		t.Cleanup(n.kill)
		nodes = append(nodes, n)
	}
	eventually(t, "all nodes are registered", func() bool { return s.Client.HLen(t.Context(), liveNodes).Val() == modelNodes })
	quiet := make(chan struct{})
	var roamers []*roamer
	var living sync.WaitGroup
	for i := range modelClients {
		r := &roamer{t: t, sid: fmt.Sprint("sid-", i), random: rand.New(rand.NewPCG(seed, uint64(i+2))), nodes: nodes, quiet: quiet}
		roamers = append(roamers, r)
		living.Go(r.live)
	}
	if random.IntN(3) == 0 { // in the middle of it all
		victim := nodes[random.IntN(len(nodes))]
		time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond) // decides nothing: any moment will do
		victim.kill()
		victim.die()
		eventually(t, "the dead node is forgotten", func() bool { return s.Client.HLen(t.Context(), liveNodes).Val() == modelNodes-1 })
	}
	close(quiet)
	living.Wait()
	for _, r := range roamers {
		r.sending.Wait()
	}
	eventually(t, "all sockets have ended", func() bool { return s.live(2) == 0 })
	for _, n := range nodes {
		n.leave(patience)
	}
	told := make(map[string][]goredis.XMessage)
	for p := range 2 {
		for _, e := range s.entries(fmt.Sprintf("carillon:up:{orders.%d}", p)) {
			sid := fmt.Sprint(e.Values["sid"])
			told[sid] = append(told[sid], e)
		}
	}
	for _, r := range roamers {
		r.told(told[r.sid])
	}
}
