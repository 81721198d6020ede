package pythonbus

import (
	"bufio"
	"bytes"
	"os"
	"runtime"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// everywhere is a node that holds every room.
type everywhere struct{ deliver func(adapter.Command) }

func (n everywhere) Deliver(c adapter.Command) int {
	n.deliver(c)
	return 1
}

func (n everywhere) Answer(q adapter.Query, reply func(adapter.Reply)) {
	n.deliver(q.(adapter.BroadcastAsk).Broadcast)
	reply(adapter.Count(1))
	reply(adapter.Acked{})
}

func (everywhere) Holds(string, string) bool { return true }

// newOffline is a bus that is not connected to anything.
func newOffline(t testing.TB, deliver func(adapter.Command)) *Bus {
	t.Helper()
	m, err := newMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Channel: "socketio", Cluster: "c", NodeID: "n", MaxDepth: 128, CallbackTimeout: time.Second}
	return &Bus{
		config: cfg, metrics: m, log: zap.NewNop(), node: everywhere{deliver}, queue: newQueue(10, 1<<20, time.Minute, m),
		writer: writer{host: packet.AppendString(nil, hostID(&cfg))}, peers: []byte(`{"host_id":"carillon:c:`),
	}
}

// FuzzReceive: whatever a message is, it does nothing worse than to be dropped, and what is delivered reads the same after it
// went back to Python.
func FuzzReceive(f *testing.F) {
	file, err := os.Open("testdata/captured.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		f.Add(bytes.Clone(lines.Bytes()))
	}
	f.Add([]byte("\x80\x04."))
	f.Add([]byte(`{"method":"callback","host_id":"carillon:c:n","id":1,"args":[1]}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		bus := newOffline(t, nil)
		bus.node = everywhere{func(c adapter.Command) {
			b, ok := c.(adapter.Broadcast)
			if !ok {
				return
			}
			name, named := b.Args.Name()
			if !named {
				t.Fatalf("an event without name: %s", b.Args.JSON)
			}
			m := bus.writer.emit(&b, nil)
			if m == nil {
				t.Fatalf("%q of %s cannot be written", name, payload)
			}
			e, err := decode(m)
			if err != nil {
				t.Fatalf("%s: %v", m, err)
			}
			again, err := e.args(bus.config.MaxDepth)
			if err != nil {
				t.Fatalf("%s: %v", m, err)
			}
			if again.Len() != b.Args.Len() && (b.Args.Len() != 2 || again.Len() != 1) { // one null is no argument
				t.Fatalf("%s came back as %s", b.Args.JSON, again.JSON)
			}
		}}
		bus.receive(payload, time.Now())
	})
}

func TestReceive_AllocNothingForAMessageOfANode(t *testing.T) {
	bus := newOffline(t, func(adapter.Command) { t.Error("delivered") })
	own := bus.writer.emit(&adapter.Broadcast{Namespace: "/", Args: packet.Args{JSON: []byte(`["news",{"text":"hello"}]`)}}, nil)
	if n := testing.AllocsPerRun(100, func() { bus.receive(own, time.Time{}) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestReceive_AllocWhatAMessageHolds: a message of many small parts must not make a node allocate a multiple of its length.
func TestReceive_AllocWhatAMessageHolds(t *testing.T) {
	many := bytes.Repeat([]byte("0,"), 500_000)
	message := append(append([]byte(`{"method":"emit","event":"a","data":[`), many...), `0]}`...)
	bus := newOffline(t, func(adapter.Command) {})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	bus.receive(message, time.Time{})
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 8*uint64(len(message)) {
		t.Errorf("%d bytes allocated for a message of %d", got, len(message))
	}
}

func BenchmarkReceive(b *testing.B) {
	bus := newOffline(b, func(adapter.Command) {})
	for name, payload := range map[string][]byte{
		"own":    bus.writer.emit(&adapter.Broadcast{Namespace: "/", Args: packet.Args{JSON: []byte(`["news",{"text":"hello"}]`)}}, nil),
		"python": []byte(`{"method": "emit", "event": "news", "data": [{"text": "hello"}], "binary": false, "namespace": "/", "room": "chat:1", "skip_sid": null, "callback": null, "host_id": "00000000000000000000000000000000"}`),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bus.receive(payload, time.Time{})
			}
		})
	}
}

func BenchmarkPublish(b *testing.B) {
	bus := newOffline(b, nil)
	var c adapter.Command = adapter.Broadcast{Namespace: "/", Args: packet.Args{JSON: []byte(`["news",{"text":"hello"}]`)}}
	b.ReportAllocs()
	for b.Loop() {
		bus.send(c)
	}
}
