package main

import (
	"math"
	"slices"
	"testing"

	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"github.com/carillon-io/carillon/test/bench/results"
)

// Round numbers, so that every expectation can be worked out by hand.
var (
	round = coefficients{process: 1000, connection: 10, heartbeat: 1e-6, handshake: 1e-3, delivery: 1e-5, publish: 1e-4, relay: 1e-4, redis: 1e-5, subscriber: 1e-5}
	box   = machine{cores: 2, memory: 10_000, connections: 1e9, share: .5}
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9*math.Max(1, math.Abs(want)) {
		t.Errorf("%s is %v, not %v", what, got, want)
	}
}

func TestDemand_OfIdleConnectionsIsMemory(t *testing.T) {
	d := round.demand(load{connections: 3500}, box)
	near(t, "nodes", d.nodes, 4) // 1,000 connections each
	near(t, "memory", d.memory, 35_000+4*1000)
	near(t, "cores", d.cores, .0035)
	near(t, "Redis", d.redisCores, 0)
	near(t, "network", d.network, 3500*69/25.0/4)
	if d.bound != "memory" {
		t.Errorf("bound by %s", d.bound)
	}
}

func TestDemand_OfDescriptors(t *testing.T) {
	d := round.demand(load{connections: 100}, machine{cores: 2, memory: 10_000, connections: 30, share: .5})
	if near(t, "nodes", d.nodes, 4); d.bound != "descriptors" {
		t.Errorf("bound by %s", d.bound)
	}
}

func TestDemand_OfDeliveriesIsCPU(t *testing.T) {
	// 1,000 × 1,000 deliveries are 10 cores and 1,000 publishes 0.1. With n nodes that all receive everything come 0.1 n, and
	// n nodes have n cores to use: 10.1 + 0.1 n ≤ n from 12 on.
	l := load{publishes: 1000, room: 1000, payload: 100}
	d := round.demand(l, box)
	near(t, "nodes", d.nodes, 12)
	near(t, "deliveries", d.deliveries, 1e6)
	if math.Abs(d.cores-11.3) > .001 || d.bound != "CPU" {
		t.Errorf("%v cores, bound by %s", d.cores, d.bound)
	}
	if math.Abs(d.redisCores-.13) > .001 || d.redisLimits {
		t.Errorf("Redis takes %v, limits: %v", d.redisCores, d.redisLimits)
	}
	near(t, "network", d.network, 1e6*(100+18+66)/12)
	near(t, "spread", d.spread, 1000/12.0*1e-5/2)
	if want := 1000 * 12.0 * 220; math.Abs(d.redisSends-want) > 1 {
		t.Errorf("Redis sends %v, not %v", d.redisSends, want)
	}
}

func TestDemand_NoNumberOfNodesIsEnoughForWhatAllMustHear(t *testing.T) {
	d := round.demand(load{publishes: 20_000, room: 1e6}, box) // 2 cores of receiving alone on each node, 1 to use
	if !math.IsInf(d.nodes, 1) || d.bound != "CPU" {
		t.Errorf("%v nodes, bound by %s", d.nodes, d.bound)
	}
}

func TestDemand_MarksWhatOneRedisCannotDo(t *testing.T) {
	d := round.demand(load{connections: 2000, publishes: 40_000, room: 1}, machine{cores: 100, memory: 10_000, connections: 1e9, share: 1})
	near(t, "nodes", d.nodes, 2)
	near(t, "Redis", d.redisCores, .8)
	if !d.redisLimits {
		t.Error("not marked")
	}
}

// Alone a publish costs Redis 20 µs with one reader, at 1,000 a second of each node half of it, at 100,000 a tenth.
func TestRedisCores_NodesThatPublishMoreCostLessForEach(t *testing.T) {
	c := coefficients{redis: 1e-5, subscriber: 1e-5, gathers: []gathering{{1000, .5}, {100_000, .1}}}
	near(t, "below what was measured", c.redisCores(100, 1, 1), 100*20e-6*.5)
	near(t, "between, by two nodes", c.redisCores(20_000, 2, 1), 20_000*20e-6*.3)
	near(t, "above", c.redisCores(1e6, 1, 1), 1e6*20e-6*.1)
	if got := c.redisCores(c.redisPublishes(.6, 1), 1, 1); math.Abs(got-.6) > 1e-4 {
		t.Errorf("there and back: %v", got)
	}
}

func TestChecks_SetWhatIsCalculatedBesideWhatWasMeasured(t *testing.T) {
	run := results.Run{Results: []results.Result{{Scenario: "check", Peer: "carillon", Round: 1,
		Values: map[string]float64{"server_cores": .5, "aux_cpu_s": .4, "dur_s": 8}}}}
	rows := checks(round, run)
	// 1,000 × (100 µs + 10 × 10 µs + 2.948 × 100 µs) and the heartbeats of 3,000; Redis: 1,000 × (10 µs + 2.948 × 10 µs).
	want := []string{
		"| all nodes, 1,000 publishes a second to rooms of 10 over three nodes | 0.5 | 0.5 | 1.00 |",
		"| Redis, the same | 0.039 | 0.05 | 0.79 |",
	}
	if !slices.Equal(rows, want) {
		t.Errorf("rows %q", rows)
	}
	if rows := checks(round, results.Run{}); len(rows) > 0 {
		t.Errorf("nothing was measured, and there is %q", rows)
	}
}

func TestHolders(t *testing.T) {
	near(t, "one node", holders(1, 5), 1)
	near(t, "one member", holders(50, 1), 1)
	near(t, "two members on two nodes", holders(2, 2), 1.5)
	near(t, "many members", holders(10, 1e6), 10)
}

func TestRead_TakesTheCoefficientsOffARun(t *testing.T) {
	result := func(scenario string, at float64, values map[string]float64) results.Result {
		return results.Result{Scenario: scenario, Peer: "carillon", Round: 1, At: at, Values: values}
	}
	run := results.Run{Results: []results.Result{
		result("idle", 0, map[string]float64{"rss_before_mb": 20, "rss_per_conn_kb": 4, "hold_cpu_cores": .02}),
		result("connect", 0, map[string]float64{"handshake_cpu_s_per_k": .1}),
		result("fixed", 0, map[string]float64{"cpu_s_per_M": 5}),
		result("fanout", 0, map[string]float64{"cpu_s_per_M": .2}),
		// A publish: 100 µs, and 20 µs for each node. Of it 40 µs are the eight deliveries. Redis: 8 µs and 4 µs.
		result("nodes", 1, map[string]float64{"cpu_s_per_M": 120. / 8, "aux_s_per_M": 12. / 8}),
		result("nodes", 2, map[string]float64{"cpu_s_per_M": 140. / 8, "aux_s_per_M": 16. / 8}),
		result("nodes", 4, map[string]float64{"cpu_s_per_M": 180. / 8, "aux_s_per_M": 24. / 8}),
	}}
	c, err := read(run)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "process", c.process, 20e6)
	near(t, "connection", c.connection, 4096)
	near(t, "heartbeat in µs", c.heartbeat*1e6, 2)
	near(t, "handshake in µs", c.handshake*1e6, 100)
	near(t, "delivery in µs", c.delivery*1e6, 5)
	near(t, "gathered in µs", c.gathered*1e6, .2)
	near(t, "publish in µs", c.publish*1e6, 60)
	near(t, "relay in µs", c.relay*1e6, 20)
	near(t, "Redis in µs", c.redis*1e6, 8)
	near(t, "subscriber in µs", c.subscriber*1e6, 4)

	near(t, "kernel", c.kernel, usualKernel)

	// Two nodes receive, of which each publishes half: 8 + 2 × 4 µs alone, 8 and 4 µs measured. 8 KB of the kernel are for two ends.
	run.Results = append(run.Results, result("publishes", 2000, map[string]float64{"aux_s_per_M": .8}),
		result("publishes", 8000, map[string]float64{"aux_s_per_M": .4}), result("scale", 0, map[string]float64{"kernel_kb_per_conn": 8}))
	if c, err = read(run); err != nil {
		t.Fatal(err)
	}
	if want := []gathering{{1000, .5}, {4000, .25}}; !slices.Equal(c.gathers, want) {
		t.Errorf("gathers %v", c.gathers)
	}
	near(t, "kernel", c.kernel, 4096)

	run.Results = run.Results[1:]
	if _, err := read(run); err == nil {
		t.Error("nothing misses the memory of a connection")
	}
}

// What the model takes for the bytes around an argument on Redis is what the wire has, give or take the names.
func TestRedisFrame_IsAboutWhatTheWireHas(t *testing.T) {
	argument := make([]byte, 128)
	for i := range argument {
		argument[i] = 'x'
	}
	b := adapter.Broadcast{Namespace: "/", Target: rooms.Target{Rooms: []string{"room-1"}},
		Args: packet.Args{JSON: []byte(`["msg","` + string(argument) + `"]`)}}
	payload, err := rediswire.AppendBroadcast(nil, "7ODgax", &b)
	if err != nil {
		t.Fatal(err)
	}
	around := len(payload) - len(argument) + len("*3\r\n$7\r\nmessage\r\n$19\r\nsocket.io#/#room-1#\r\n$199\r\n\r\n")
	if math.Abs(float64(around)-redisFrame) > 10 {
		t.Errorf("%d bytes, taken for %d", around, redisFrame)
	}
}
