package redis_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// node is an adapter that runs, with a server above it that remembers what it is given.
type node struct {
	*redis.Adapter

	t        testing.TB
	registry *prometheus.Registry
	end      func()

	mu       sync.Mutex
	held     map[string]bool
	commands []adapter.Command
	answer   func(adapter.Query, func(adapter.Reply))
	arrive   func(adapter.Command, adapter.Arrival) int // nil: as Deliver
	fences   map[adapter.Fence][]adapter.Lane           // lanes that they came in, while the namespace was followed
}

// newNode starts a node in the main namespace. It need not be ready.
func newNode(t testing.TB, s *server, cfg redis.Config) *node {
	t.Helper()
	return newNodeWith(t, s.client(), cfg)
}

func newNodeWith(t testing.TB, client goredis.UniversalClient, cfg redis.Config) *node {
	t.Helper()
	registry := prometheus.NewRegistry()
	cfg.Registry = registry
	a, err := redis.New(client, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Streams != nil {
		a.Sessions().Window(time.Minute)
	}
	n := &node{Adapter: a, t: t, registry: registry, held: make(map[string]bool), fences: make(map[adapter.Fence][]adapter.Lane)}
	n.Open("/")
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx, n) }()
	n.end = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(n.end)
	return n
}

// readyNode is newNode, ready.
func readyNode(t testing.TB, s *server, cfg redis.Config) *node {
	t.Helper()
	n := newNode(t, s, cfg)
	eventually(t, "ready", func() bool { return n.State() == adapter.State{Ready: true, Connected: true} })
	return n
}

// Deliver implements adapter.Node.
func (n *node) Deliver(c adapter.Command) (sockets int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.commands = append(n.commands, c)
	return len(n.commands)
}

// DeliverAt implements adapter.FenceNode: own commands are left out.
func (n *node) DeliverAt(c adapter.Command, at adapter.Arrival) (sockets int) {
	n.mu.Lock()
	arrive := n.arrive
	n.mu.Unlock()
	switch {
	case at.Own:
		return 0
	case arrive != nil:
		return arrive(c, at)
	}
	return n.Deliver(c)
}

// Fenced implements adapter.FenceNode.
func (n *node) Fenced(_ string, f adapter.Fence, lane adapter.Lane) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fences[f] = append(n.fences[f], lane)
}

// Answer implements adapter.Node.
func (n *node) Answer(q adapter.Query, reply func(adapter.Reply)) {
	n.mu.Lock()
	answer := n.answer
	n.mu.Unlock()
	if answer != nil {
		answer(q, reply)
	}
}

// Holds implements adapter.Node.
func (n *node) Holds(_, room string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.held[room]
}

func (n *node) answers(f func(adapter.Query, func(adapter.Reply))) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answer = f
}

func (n *node) arrives(f func(adapter.Command, adapter.Arrival) int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.arrive = f
}

// join holds a room and waits until it is heard.
func (n *node) join(names ...string) {
	n.t.Helper()
	n.hold(names...)
	if err := n.confirm(names...); err != nil {
		n.t.Fatalf("confirm %q: %v", names, err)
	}
}

func (n *node) hold(names ...string) {
	n.mu.Lock()
	for _, name := range names {
		n.held[name] = true
	}
	n.mu.Unlock()
	n.Touch("/", names...)
}

// drop leaves rooms.
func (n *node) drop(names ...string) {
	n.mu.Lock()
	for _, name := range names {
		delete(n.held, name)
	}
	n.mu.Unlock()
	n.Touch("/", names...)
}

func (n *node) confirm(names ...string) error {
	confirmed := make(chan error, 1)
	n.Confirm("/", names, func(err error) { confirmed <- err })
	return <-confirmed
}

// publish publishes and returns the outcome.
func (n *node) publish(c adapter.Command) error {
	published := make(chan error, 1)
	n.Publish(c, func(err error) { published <- err })
	return <-published
}

func (n *node) mustPublish(c adapter.Command) {
	n.t.Helper()
	if err := n.publish(c); err != nil {
		n.t.Fatalf("publish %#v: %v", c, err)
	}
}

// heard returns the arguments of the broadcasts so far, in order.
func (n *node) heard() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var heard []string
	for _, c := range n.commands {
		if b, ok := c.(adapter.Broadcast); ok {
			heard = append(heard, string(b.Args.JSON))
		}
	}
	return heard
}

func (n *node) delivered() []adapter.Command {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.commands)
}

// awaitHeard waits until exactly these broadcasts have been heard.
func (n *node) awaitHeard(want ...string) {
	n.t.Helper()
	late := func() bool { return slices.Equal(n.heard(), want) }
	eventually(n.t, "heard as expected", late)
}

// metric is the value of a counter or gauge; labels are name and value.
func (n *node) metric(name string, label ...string) float64 {
	n.t.Helper()
	families, err := n.registry.Gather()
	if err != nil {
		n.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "carillon_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			if len(label) == 2 && (m.GetLabel()[0].GetName() != label[0] || m.GetLabel()[0].GetValue() != label[1]) {
				continue
			}
			if h := m.GetHistogram(); h != nil {
				return float64(h.GetSampleCount())
			}
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	n.t.Fatalf("no metric %s %q", name, label)
	return 0
}

func broadcast(json string, to ...string) adapter.Broadcast {
	return adapter.Broadcast{
		Namespace: "/",
		Args:      packet.Args{JSON: []byte(json)},
		Target:    rooms.Target{Rooms: to},
	}
}

// observed is a logger and what it logged, from informational on.
func observed() (*zap.Logger, *observer.ObservedLogs) {
	core, logs := observer.New(zap.InfoLevel)
	return zap.New(core), logs
}
