package pythonbus_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/carillon-io/carillon/internal/pythonbus"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"github.com/carillon-io/carillon/test/await"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	channel = "socketio"
	sid     = "abcdefghijklmnopqrst"
)

// node records what the bus does with it. It holds every room but those called "absent…".
type node struct {
	mu    sync.Mutex
	texts []string
	acks  []packet.Args // what a question is answered with
	seen  chan struct{}
}

func (n *node) note(text string) {
	n.mu.Lock()
	n.texts = append(n.texts, text)
	n.mu.Unlock()
	n.seen <- struct{}{}
}

func (n *node) Deliver(c adapter.Command) int {
	if b, ok := c.(adapter.Broadcast); ok {
		b.Received = time.Time{}
		n.note(show(b))
		return 1
	}
	n.note(fmt.Sprintf("%T %+v", c, c))
	return 1
}

func (n *node) Answer(q adapter.Query, reply func(adapter.Reply)) {
	ask := q.(adapter.BroadcastAsk)
	reply(adapter.Count(len(n.acks)))
	for _, args := range n.acks {
		reply(adapter.Acked{Args: args})
	}
	ask.Broadcast.Received = time.Time{}
	n.note("ask " + show(ask.Broadcast))
}

func (n *node) Holds(_, room string) bool { return len(room) < 6 || room[:6] != "absent" }

func show(b adapter.Broadcast) string {
	return fmt.Sprintf("%s %s %q to %q except %q", b.Namespace, b.Args.JSON, b.Args.Attachments, b.Target.Rooms, b.Target.Except)
}

// world is one node with a bus, and a Redis.
type world struct {
	*testing.T
	server   *miniredis.Miniredis
	client   *goredis.Client
	bus      *pythonbus.Bus
	node     *node
	registry *prometheus.Registry
	channel  *goredis.PubSub // sees what everybody publishes
}

func newWorld(t *testing.T, inner adapter.Adapter, change ...func(*pythonbus.Config)) *world {
	t.Helper()
	w := &world{T: t, server: miniredis.RunT(t), node: &node{seen: make(chan struct{}, 1000)}, registry: prometheus.NewRegistry()}
	w.client = goredis.NewClient(&goredis.Options{Addr: w.server.Addr(), MaxRetries: -1, Protocol: 2})
	cfg := pythonbus.Config{
		Channel: channel, Cluster: "socket.io", NodeID: "n1", Probe: "carillon:probe:n1:python", Messages: 1000, Bytes: 1 << 20,
		Age: time.Minute, MaxMessage: 1 << 20, MaxDepth: 128, CallbackTimeout: time.Minute, Registry: w.registry,
	}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	if w.bus, err = pythonbus.New(inner, w.client, cfg); err != nil {
		t.Fatal(err)
	}
	w.channel = w.client.Subscribe(t.Context(), channel)
	if _, err := w.channel.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.bus.Run(ctx, w.node) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		_ = w.channel.Close()
		_ = w.client.Close()
	})
	w.await("carillon_python_up", nil, 1)
	return w
}

// python publishes as a process in Python does.
func (w *world) python(payload string) {
	w.Helper()
	if err := w.client.Publish(w.Context(), channel, payload).Err(); err != nil {
		w.Fatal(err)
	}
}

// delivered returns what the node was given next.
func (w *world) delivered() string {
	w.Helper()
	select {
	case <-w.node.seen:
	case <-time.After(await.Limit):
		w.Fatal("nothing was delivered")
	}
	w.node.mu.Lock()
	defer w.node.mu.Unlock()
	first := w.node.texts[0]
	w.node.texts = w.node.texts[1:]
	return first
}

// published returns what came next on the channel.
func (w *world) published() string {
	w.Helper()
	m, err := w.channel.ReceiveTimeout(w.Context(), await.Limit)
	if err != nil {
		w.Fatal(err)
	}
	return m.(*goredis.Message).Payload
}

// await waits until a metric has a value.
func (w *world) await(name string, labels map[string]string, want float64) {
	w.Helper()
	deadline := await.Deadline()
	for {
		have := value(w, name, labels)
		if have == want {
			return
		}
		if time.Now().After(deadline) {
			w.Fatalf("%s%v is %v, not %v", name, labels, have, want)
		}
		time.Sleep(time.Millisecond)
	}
}

func value(w *world, name string, labels map[string]string) float64 {
	families, err := w.registry.Gather()
	if err != nil {
		w.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && has(m, labels) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	w.Fatalf("no metric %s%v", name, labels)
	return 0
}

func has(m *dto.Metric, labels map[string]string) bool {
	for _, l := range m.GetLabel() {
		if want, ok := labels[l.GetName()]; ok && want != l.GetValue() {
			return false
		}
	}
	return true
}

func dropped(direction, reason string) map[string]string {
	return map[string]string{"direction": direction, "reason": reason}
}

// sameJSON compares texts as values, and reports the difference.
func sameJSON(t *testing.T, got, want string) {
	t.Helper()
	var a, b any
	if err := json.Unmarshal([]byte(got), &a); err != nil {
		t.Fatalf("%s: %v", got, err)
	}
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(a) != fmt.Sprint(b) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
