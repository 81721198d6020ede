package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/carillon-io/carillon/test/bench/results"
)

// scenario is one load, and what is read off it.
type scenario struct {
	name, title string
	load        func(at float64) string // the generator's arguments
	// here measures in this process instead of by the generator; redis is the address of one, if there is one.
	here  func(ctx context.Context, b *bench, running *servers, redis string, at float64) (map[string]float64, error)
	peers []string
	setup
	nodes   func(at float64) int // nil: one
	kill    bool                 // the generator kills the last node
	figures []figure
	growth  *growth       // nil for a comparison at one point
	without string        // the same load without an option, which this one has
	lasts   time.Duration // at most; 0: loadTimeout
}

// setup is how servers are set up.
type setup struct {
	redis    bool
	token    bool // clients bring an ES256 token
	recovery bool // of connections that break
	tls      bool
	deflate  bool   // clients offer permessage-deflate, and servers take it
	adapter  string // kind of the adapter; empty: classic Pub/Sub, where there is a Redis
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
	beside                share
}

// share is what holds instead of floor and goal where the servers have one core: ratios to the bare epoll server's figure.
// Node uses one core at any time; floor and goal suppose that the others have two.
type share struct{ floor, goal float64 }

// on is the target on a machine, and the server that the ratios are to.
func (t target) on(c results.Conditions) (of target, peer string) {
	if t.beside == (share{}) || !c.OneServerCore() {
		return t, node
	}
	t.floor, t.goal = t.beside.floor, t.beside.goal
	return t, epoll
}

// orBeside adds what holds where the servers have one core.
func (t target) orBeside(floor, goal float64) target {
	t.beside = share{floor, goal}
	return t
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

// betweenNodes is the load of the scenarios that time what goes from one node to another.
const betweenNodes = "rooms --rooms 500 --members 8 --rate 2000 --duration 8s"

func always(args string) func(float64) string { return func(float64) string { return args } }

func two(float64) int   { return 2 }
func three(float64) int { return 3 }

var overRedis = setup{redis: true}

// scenarios are all that is measured; top is how many connections a process can have here.
func scenarios(top int) []scenario {
	return append([]scenario{
		{name: "connect", title: "10,000 handshakes, 100 at once", load: always("connect --clients 10000 --hold 100ms"), peers: all, figures: []figure{
			{field: "handshakes_s", text: "handshakes/s", target: atLeast(2, 4)},
			{field: "handshake_cpu_s_per_k", text: "CPU ms per handshake", target: atMost(.5, 0)},
			{field: "connect_p99_ms", text: "p99 ms"},
		}},
		{name: "connect-token", title: "the same with an ES256 token each", load: always("connect --clients 10000 --hold 100ms"), setup: setup{token: true},
			peers: []string{carillon}, figures: []figure{
				{field: "handshakes_s", text: "handshakes/s"}, {field: "handshake_cpu_s_per_k", text: "CPU ms per handshake"},
			}},
		{name: "idle", title: "10,000 idle connections, 30 s", load: always("connect --clients 10000 --hold 30s"), peers: all, figures: []figure{
			{field: "rss_per_conn_kb", text: "RSS KB per connection", target: target{floor: .4, plainGoal: 2, lower: true}},
			{field: "hold_cpu_cores", text: "CPU cores for all"},
		}},
		{name: "echo", title: "100 clients, an acknowledgement at a time each", load: always("echo --clients 100"), peers: all, figures: []figure{
			{field: "req_s", text: "acknowledgements/s", target: atLeast(2.5, 2.8).orBeside(.75, .9)}, cpu(atMost(.7, .6)),
			{field: "lat_p99_ms", text: "p99 ms"},
		}},
		{name: "fanout", title: "one to a room of 1,000, highest rate", load: always("fanout --clients 1000 --p99 100ms"), peers: all,
			figures: []figure{deliveries(atLeast(25, 40)), cpu(target{}), p99, lost}},
		{name: "fanout5k", title: "one to a room of 5,000, highest rate", load: always("fanout --clients 5000 --p99 100ms"), peers: all,
			figures: []figure{deliveries(atLeast(40, 60)), cpu(target{}), p99, lost}},
		{name: "rooms", title: "1,000 rooms of 10, highest rate", load: always("rooms --rooms 1000 --members 10 --p99 100ms"), peers: all,
			figures: []figure{deliveries(atLeast(6, 8).orBeside(.5, .75)), cpu(target{}), p99, lost}},
		{name: "fixed", title: "one to a room of 1,000, 40 times a second", load: always("fanout --clients 1000 --rate 40"), peers: all,
			figures: []figure{
				cpu(atMost(.8, .7)), {field: "lat_p99_ms", text: "p99 ms", target: atMost(.6, .45).orBeside(1.25, 1.1)}, lost,
			}},
		{name: "slow", title: "one to each of 500 rooms of 8, 2,000 times a second in all: what growth over nodes begins with",
			load: always("rooms --rooms 500 --members 8 --rate 2000"), peers: all, figures: []figure{cpu(target{}), {field: "lat_p99_ms", text: "p99 ms"}, lost}},
		{name: "cluster", title: "two nodes and Redis, one room of 2,000, highest rate", load: always("fanout --clients 2000"), setup: overRedis, nodes: two,
			peers: whole, figures: []figure{deliveries(atLeast(10, 20)), cpuRedis(atMost(.2, .1)), lost}},
		{name: "cluster-rooms", title: "two nodes and Redis, 1,000 rooms of 10, highest rate", load: always("rooms --rooms 1000 --members 10"), setup: overRedis,
			nodes: two, peers: whole, figures: []figure{deliveries(atLeast(4, 6)), cpuRedis(atMost(.3, 0)), lost}},
		{name: "cluster-latency", title: "two nodes and Redis, 2,000 publishes a second to 500 rooms of 8, half of each on either node", setup: overRedis,
			nodes: two,
			load:  always(betweenNodes), peers: whole, figures: between},
		{name: "cross-node", title: "2,000 publishes a second from one node's adapter to another's, without clients", setup: overRedis,
			peers: []string{carillon}, figures: between,
			here: func(ctx context.Context, b *bench, _ *servers, redis string, _ float64) (map[string]float64, error) {
				return measureLatency(ctx, redis, b.short)
			}},
		{name: "emits", title: "a backend publishes and waits for each answer, over 1 connection and over 100; backend and node in one process", setup: overRedis,
			peers: []string{carillon}, figures: []figure{
				{field: "http_1_s", text: "HTTP, 1 connection, emits/s"}, {field: "http_100_s", text: "HTTP, 100 connections, emits/s"},
				{field: "redis_1_s", text: "Redis, 1 connection, emits/s"}, {field: "redis_100_s", text: "Redis, 100 connections, emits/s"},
			},
			here: func(ctx context.Context, b *bench, _ *servers, redis string, _ float64) (map[string]float64, error) {
				return measureEmits(ctx, redis, b.short)
			}},
		{name: "forward", title: "100 clients forward to a Redis Stream, 16 events at a time each", load: always("echo --event forward --clients 100 --inflight 16"),
			setup: overRedis, peers: whole, figures: []figure{
				{field: "req_s", text: "events accepted/s", target: target{plainGoal: 100_000}}, cpu(target{}),
				cpuRedis(target{}), {field: "aux_s_per_M", text: "of Redis alone"},
			}},
		{name: "forward-fixed", title: "the same, 10,000 events a second", load: always("echo --event forward --clients 100 --rate 10000"),
			setup: overRedis, peers: whole, figures: []figure{
				{field: "lat_p99_ms", text: "p99 ms", target: target{plainFloor: 10, lower: true}}, cpu(target{}), {field: "aux_s_per_M", text: "of Redis alone"},
			}},
		{name: "polling", title: "one to a room of 1,000 that polls, highest rate", load: always("fanout --clients 1000 --transport polling"), peers: whole,
			figures: []figure{deliveries(atLeast(2, 0)), cpu(target{}), lost}},
		{name: "churn", title: "connect, join, leave, close; 100 at once", load: always("churn --clients 100"), peers: all, figures: []figure{
			{field: "cycles_s", text: "cycles/s", target: atLeast(2, 0)}, cpu(target{}),
		}},
		{name: "check", title: "three nodes and Redis, 1,000 publishes a second to 300 rooms of 10: what docs/capacity.md is checked against",
			load: always("rooms --rooms 300 --members 10 --rate 1000 --duration 8s"), setup: overRedis, nodes: three, peers: []string{carillon},
			figures: []figure{cpu(target{}), {field: "aux_s_per_M", text: "of Redis alone"}}},
		{name: "storm", title: "19,500 clients, SIGKILL of one of three nodes", load: always("storm --clients 19500 --duration 40s --tolerate"),
			setup: overRedis, nodes: three, kill: true, peers: whole, figures: []figure{
				{field: "back_percent", text: "% back", target: target{plainFloor: 100}},
				{field: "over_backoff_p95_ms", text: "p95 ms beyond the client's own waits", target: target{plainFloor: 500, lower: true}},
				{field: "away_p50_ms", text: "p50 ms away"}, {field: "away_p95_ms", text: "p95 ms away"}, {field: "away_max_ms", text: "longest ms away"},
			}},
		{name: "scale", title: "as many idle connections as the machine holds, with both ends on it", setup: overRedis, peers: []string{carillon},
			here: scale, lasts: 15 * time.Minute, figures: []figure{{field: "connections", text: "connections"}}},
		jitter("jitter", "200 clients, each cut every 15 s for 2 s; a broadcast each 500 ms", "--clients 200"),
		jitter("jitter-half-open", "the same, and the server is not told of the cuts", "--clients 200 --half-open"),
		jitter("jitter-10k", "10,000 clients, each cut every 15 s for 2 s; a broadcast each 500 ms", "--clients 10000"),
	}, slices.Concat(optional(), grown(float64(top)))...)
}

// jitter is what arrives although connections break.
func jitter(name, title, args string) scenario {
	return scenario{name: name, title: title, load: always("jitter " + args), setup: setup{recovery: true}, peers: whole, figures: []figure{
		{field: "delivered_percent", text: "% delivered", target: target{plainFloor: 100}},
		{field: "twice", text: "twice"}, {field: "recovered", text: "recovered"}, {field: "reconnects", text: "of reconnects"},
		{field: "replay_p50_ms", text: "replay p50 ms"}, {field: "replay_p99_ms", text: "replay p99 ms"}, {field: "replay_max_ms", text: "replay max ms"},
	}}
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
	// Long enough for a thousand latencies a step, short enough that a quiet hour holds a round.
	usual := map[string][]string{
		"connect": {}, "storm": {}, "jitter": {"--duration", "30s"},
		"echo": {"--duration", "4s", "--warmup", "500ms"}, "churn": {"--duration", "4s", "--warmup", "500ms"},
		"fanout": {"--duration", "4s", "--warmup", "500ms", "--step", "1500ms"},
		"rooms":  {"--duration", "4s", "--warmup", "500ms", "--step", "1500ms"},
	}
	trial := map[string][]string{
		"connect": {"--hold", "1s"}, "storm": {"--clients", "900", "--duration", "10s"},
		"jitter": {"--duration", "4s", "--cut-every", "3s", "--cut-for", "500ms"},
		"echo":   {"--duration", "1s", "--warmup", "300ms"}, "churn": {"--duration", "1s", "--warmup", "300ms"},
		"fanout": {"--duration", "1s", "--warmup", "300ms", "--step", "600ms"},
		"rooms":  {"--duration", "1s", "--warmup", "300ms", "--step", "600ms"},
	}
	name := args[0]
	if args = slices.Insert(args, 1, usual[name]...); short {
		args = append(args, trial[name]...)
	}
	if s.deflate {
		args = append(args, "--deflate")
	}
	if s.tls {
		args = append(args, "--insecure")
	}
	return args
}
