package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// scenario is one load, and what is read off it.
type scenario struct {
	name, title string
	load        func(at float64) string // the generator's arguments
	// here measures in this process instead of by the generator; redis is the address of one, if there is one.
	here     func(ctx context.Context, redis string, at float64, short bool) (map[string]float64, error)
	peers    []string
	redis    bool
	token    bool                 // clients bring an ES256 token
	recovery bool                 // of connections that break
	nodes    func(at float64) int // nil: one
	figures  []figure
	growth   *growth // nil for a comparison at one point
}

// growth is a scenario at several points.
type growth struct {
	axis  string
	steps []float64
}

// figure is a field of the generator's answer.
type figure struct {
	field, text string
	target      target
}

// target is what we want of a figure as a ratio to Node's in the same run: at the least, and hoped for. Zero: none.
// The plain ones are values, not ratios.
type target struct {
	floor, goal           float64
	plainFloor, plainGoal float64
	lower                 bool // the lower, the better
}

func atLeast(floor, goal float64) target { return target{floor: floor, goal: goal} }
func atMost(floor, goal float64) target  { return target{floor: floor, goal: goal, lower: true} }

// Servers by the names that results have for them.
const (
	node     = "node"
	gorilla  = "gorilla"
	epoll    = "epoll"
	carillon = "carillon"
	index    = "index" // no server: pkg/rooms on its own
)

var (
	all   = []string{node, gorilla, epoll, carillon}
	whole = []string{node, carillon} // what the bare ones cannot do
)

func deliveries(t target) figure {
	return figure{field: "deliveries_s", text: "deliveries/s", target: t}
}
func cpu(t target) figure { return figure{field: "cpu_s_per_M", text: "CPU s per million", target: t} }
func cpuRedis(t target) figure {
	return figure{field: "cpu_s_per_M_incl_aux", text: "CPU s per million, Redis included", target: t}
}

var (
	p99  = figure{field: "lat_p99_ms", text: "p99 ms", target: target{plainFloor: 100, lower: true}}
	lost = figure{field: "lost", text: "lost"}

	// between is how long messages take from one node to another.
	between = []figure{
		{field: "cross_p50_ms", text: "p50 ms between nodes"}, {field: "cross_p99_ms", text: "p99 ms between nodes"},
		{field: "cross_p999_ms", text: "p99.9 ms between nodes"}, lost,
	}
)

func load(args string) func(float64) string { return func(float64) string { return args } }

func two(float64) int { return 2 }

// scenarios are all that is measured; top is how many connections a process can have here.
func scenarios(top int) []scenario {
	return append([]scenario{
		{name: "connect", title: "10,000 handshakes, 100 at once", load: load("connect --clients 10000 --hold 100ms"), peers: all, figures: []figure{
			{field: "handshakes_s", text: "handshakes/s", target: atLeast(2, 4)},
			{field: "handshake_cpu_s_per_k", text: "CPU ms per handshake", target: atMost(.5, 0)},
			{field: "connect_p99_ms", text: "p99 ms"},
		}},
		{name: "connect-token", title: "the same with an ES256 token each", load: load("connect --clients 10000 --hold 100ms"), token: true,
			peers: []string{carillon}, figures: []figure{
				{field: "handshakes_s", text: "handshakes/s"}, {field: "handshake_cpu_s_per_k", text: "CPU ms per handshake"},
			}},
		{name: "idle", title: "10,000 idle connections, 30 s", load: load("connect --clients 10000 --hold 30s"), peers: all, figures: []figure{
			{field: "rss_per_conn_kb", text: "RSS KB per connection", target: target{floor: .4, plainGoal: 2, lower: true}},
			{field: "hold_cpu_cores", text: "CPU cores for all"},
		}},
		{name: "echo", title: "100 clients, an acknowledgement at a time each", load: load("echo --clients 100"), peers: all, figures: []figure{
			{field: "req_s", text: "acknowledgements/s", target: atLeast(2.5, 2.8)}, cpu(atMost(.7, .6)),
			{field: "lat_p99_ms", text: "p99 ms"},
		}},
		{name: "fanout", title: "one to a room of 1,000, highest rate", load: load("fanout --clients 1000 --p99 100ms"), peers: all,
			figures: []figure{deliveries(atLeast(25, 40)), cpu(target{}), p99, lost}},
		{name: "fanout5k", title: "one to a room of 5,000, highest rate", load: load("fanout --clients 5000 --p99 100ms"), peers: all,
			figures: []figure{deliveries(atLeast(40, 60)), cpu(target{}), p99, lost}},
		{name: "rooms", title: "1,000 rooms of 10, highest rate", load: load("rooms --rooms 1000 --members 10 --p99 100ms"), peers: all,
			figures: []figure{deliveries(atLeast(6, 8)), cpu(target{}), p99, lost}},
		{name: "fixed", title: "one to a room of 1,000, 40 times a second", load: load("fanout --clients 1000 --rate 40"), peers: all,
			figures: []figure{
				cpu(atMost(.8, .7)), {field: "lat_p99_ms", text: "p99 ms", target: atMost(.6, .45)}, lost,
			}},
		{name: "cluster", title: "two nodes and Redis, one room of 2,000, highest rate", load: load("fanout --clients 2000"), redis: true, nodes: two,
			peers: whole, figures: []figure{deliveries(atLeast(10, 20)), cpuRedis(atMost(.2, .1)), lost}},
		{name: "cluster-rooms", title: "two nodes and Redis, 1,000 rooms of 10, highest rate", load: load("rooms --rooms 1000 --members 10"), redis: true,
			nodes: two, peers: whole, figures: []figure{deliveries(atLeast(4, 6)), cpuRedis(atMost(.3, 0)), lost}},
		{name: "cluster-latency", title: "two nodes and Redis, 2,000 publishes a second to 500 rooms of 8, half of each on either node", redis: true,
			nodes: two,
			load:  load("rooms --rooms 500 --members 8 --rate 2000 --duration 10s"), peers: whole, figures: between},
		{name: "cross-node", title: "2,000 publishes a second from one node's adapter to another's, without clients", redis: true,
			peers: []string{carillon}, figures: between,
			here: func(ctx context.Context, redis string, _ float64, short bool) (map[string]float64, error) {
				return measureLatency(ctx, redis, short)
			}},
		{name: "emits", title: "a backend publishes and waits for each answer, over 1 connection and over 100; backend and node in one process", redis: true,
			peers: []string{carillon}, figures: []figure{
				{field: "http_1_s", text: "HTTP, 1 connection, emits/s"}, {field: "http_100_s", text: "HTTP, 100 connections, emits/s"},
				{field: "redis_1_s", text: "Redis, 1 connection, emits/s"}, {field: "redis_100_s", text: "Redis, 100 connections, emits/s"},
			},
			here: func(ctx context.Context, redis string, _ float64, short bool) (map[string]float64, error) {
				return measureEmits(ctx, redis, short)
			}},
		{name: "forward", title: "100 clients forward to a Redis Stream, 16 events at a time each", load: load("echo --event forward --clients 100 --inflight 16"),
			redis: true, peers: whole, figures: []figure{
				{field: "req_s", text: "events accepted/s", target: target{plainGoal: 100_000}}, cpu(target{}),
				cpuRedis(target{}), {field: "aux_s_per_M", text: "of Redis alone"},
			}},
		{name: "forward-fixed", title: "the same, 10,000 events a second", load: load("echo --event forward --clients 100 --rate 10000"),
			redis: true, peers: whole, figures: []figure{
				{field: "lat_p99_ms", text: "p99 ms", target: target{plainFloor: 10, lower: true}}, cpu(target{}), {field: "aux_s_per_M", text: "of Redis alone"},
			}},
		{name: "polling", title: "one to a room of 1,000 that polls, highest rate", load: load("fanout --clients 1000 --transport polling"), peers: whole,
			figures: []figure{deliveries(atLeast(2, 0)), cpu(target{}), lost}},
		{name: "churn", title: "connect, join, leave, close; 100 at once", load: load("churn --clients 100"), peers: all, figures: []figure{
			{field: "cycles_s", text: "cycles/s", target: atLeast(2, 0)}, cpu(target{}),
		}},
		jitter("jitter", "200 clients, each cut every 15 s for 2 s; a broadcast each 500 ms", "--clients 200"),
		jitter("jitter-half-open", "the same, and the server is not told of the cuts", "--clients 200 --half-open"),
		jitter("jitter-10k", "10,000 clients, each cut every 15 s for 2 s; a broadcast each 500 ms", "--clients 10000"),
	}, grown(float64(top))...)
}

// jitter is what arrives although connections break.
func jitter(name, title, args string) scenario {
	return scenario{name: name, title: title, load: load("jitter " + args), recovery: true, peers: whole, figures: []figure{
		{field: "delivered_percent", text: "% delivered", target: target{plainFloor: 100}},
		{field: "twice", text: "twice"}, {field: "recovered", text: "recovered"}, {field: "reconnects", text: "of reconnects"},
		{field: "replay_p50_ms", text: "replay p50 ms"}, {field: "replay_p99_ms", text: "replay p99 ms"}, {field: "replay_max_ms", text: "replay max ms"},
	}}
}

// grown are the scenarios of growth. All publish at a fixed rate: what is compared is the cost, not the ceiling.
func grown(top float64) []scenario {
	return []scenario{
		{name: "connections", title: "40,000 deliveries a second to one room of all connections", peers: all,
			load:    func(at float64) string { return fmt.Sprintf("fanout --clients %.0f --rate %g", at, 40_000/at) },
			growth:  &growth{"connections", []float64{100, 1000, 5000, 10_000, top}},
			figures: []figure{cpu(target{})}},
		{name: "room-count", title: "20,000 deliveries a second to rooms of 10, 10,000 connections", peers: whole,
			load: func(at float64) string {
				return fmt.Sprintf("rooms --rooms %.0f --members 10 --shared --clients 10000 --rate 2000", at)
			},
			growth:  &growth{"rooms", []float64{1, 10, 100, 1000, 10_000, 100_000}},
			figures: []figure{cpu(target{})}},
		{name: "room-size", title: "connect, join, leave, close beside residents of the room", peers: whole,
			load: func(at float64) string {
				return fmt.Sprintf("churn --clients 50 --rooms 1 --residents %.0f --room-size %.0f", top-500, at)
			},
			growth:  &growth{"residents of the room", []float64{10, 100, 1000, 10_000, top - 500}},
			figures: []figure{{field: "cpu_s_per_M", text: "CPU µs per cycle"}}},
		{name: "index", title: "the index of rooms by itself", peers: []string{index},
			growth: &growth{"members of the room", []float64{10, 100, 1000, 10_000, 20_000}},
			here: func(_ context.Context, _ string, at float64, _ bool) (map[string]float64, error) {
				return measureIndex(int(at)), nil
			},
			figures: []figure{
				{field: "join_ns", text: "join ns"}, {field: "leave_ns", text: "leave ns"}, {field: "disconnect_ns", text: "disconnect ns"},
			}},
		{name: "gc", title: "GC pauses at full load of acknowledgements (wanted: below 1 ms)", peers: []string{carillon},
			load:    func(at float64) string { return fmt.Sprintf("echo --clients %.0f", at) },
			growth:  &growth{"connections", []float64{100, 1000, 10_000, top}},
			figures: []figure{{field: "gc_pause_max_ms", text: "longest GC pause, ms"}, {field: "gc_pause_median_ms", text: "median GC pause, ms"}}},
		{name: "nodes", title: "2,000 publishes a second to 500 rooms of 8 over all nodes", peers: whole, redis: true,
			load:    load("rooms --rooms 500 --members 8 --rate 2000 --duration 10s"),
			nodes:   func(at float64) int { return int(at) },
			growth:  &growth{"nodes", []float64{1, 2, 4, 8}},
			figures: []figure{cpu(target{}), {field: "aux_s_per_M", text: "of Redis alone"}}},
	}
}

// rounds is how often each point is measured. The points of a growth stand for one another: one round does.
func (s scenario) rounds(asked int) int {
	if s.growth != nil {
		return 1
	}
	return asked
}

// at returns the points of a scenario.
func (s scenario) at() []float64 {
	if s.growth == nil {
		return []float64{0}
	}
	return s.growth.steps
}

// args are the arguments for gateway bench. The last of two equal flags holds.
func (s scenario) args(at float64, short bool) []string {
	args := strings.Fields(s.load(at))
	var usual []string
	switch {
	case args[0] == "connect" && short:
		return append(args, "--hold", "1s")
	case args[0] == "connect":
		return args
	case short:
		usual = []string{"--duration", "1s", "--warmup", "300ms"}
	default: // long enough for a thousand latencies a step, short enough that a quiet hour holds three rounds
		usual = []string{"--duration", "4s", "--warmup", "500ms"}
	}
	if args[0] == "fanout" || args[0] == "rooms" {
		step := "1500ms"
		if short {
			step = "600ms"
		}
		usual = append(usual, "--step", step)
	}
	return slices.Insert(args, 1, usual...)
}
