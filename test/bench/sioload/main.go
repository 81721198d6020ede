// sioload is a load generator for Socket.IO v5 servers. See README.md.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

type options struct {
	resident, roomSize                                                  int
	n, concurrency, pubs, size, rooms, members, conns, inflight, window int
	rate, pubOn                                                         string
	dur, warm, stepDur, drain, hold, settle, life, rampTimeout          time.Duration
	p99                                                                 float64
	seed                                                                uint64
	all, steps, tolerate                                                bool
}

const usage = `usage: sioload connect|echo|fanout|rooms|multi|churn [flags]
       sioload blast [flags]      (sends to itself: the generator's own ceiling)
`

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	cmd := os.Args[1]
	fs := flag.NewFlagSet(cmd, flag.ExitOnError)
	var o options
	urls := fs.String("url", "http://127.0.0.1:3000", "server URLs, comma separated; connections alternate over them")
	path := fs.String("path", "/socket.io/", "request path")
	transport := fs.String("transport", "websocket", "websocket or polling")
	workers := fs.Int("workers", 2, "generator threads")
	src := fs.Int("src", 0, "spread connections over this many source addresses 127.0.1.1... (0: one per 4000 connections)")
	pid := fs.String("pid", "", "server pids, comma separated: RSS and CPU are read from /proc")
	aux := fs.String("aux-pid", "", "further pids (Redis): CPU only, shown apart")
	cpus := fs.String("cpus", "", "the server's cores (0-1): their busy time is shown as well")
	token := fs.String("token", "", "sent with each CONNECT, as auth.token")
	label := fs.String("label", "", "copied into the output")
	fs.IntVar(&o.n, "n", 100, "connections (connect, echo), subscribers (fanout, multi), slots (churn)")
	fs.IntVar(&o.concurrency, "concurrency", 100, "handshakes under way at once")
	fs.IntVar(&o.pubs, "publishers", 1, "publishing connections (fanout, multi)")
	fs.IntVar(&o.size, "size", 128, "payload bytes (at least 32 where it carries a time)")
	fs.IntVar(&o.rooms, "rooms", 1000, "rooms (rooms, churn)")
	fs.IntVar(&o.members, "members", 10, "members of each room (rooms)")
	fs.IntVar(&o.conns, "conns", 0, "rooms: connections that share the memberships (0: one for each)")
	fs.IntVar(&o.resident, "resident", 0, "churn: connections that stay, in rooms of -room-size")
	fs.IntVar(&o.roomSize, "room-size", 10, "churn: residents of a room")
	fs.IntVar(&o.inflight, "inflight", 1, "requests in flight per connection (echo)")
	fs.IntVar(&o.window, "window", 8, "publishes outstanding in closed-loop publishing (-rate max)")
	fs.StringVar(&o.rate, "rate", "auto", "publishes/s in all, or auto (search for the highest that holds), or max (closed loop)")
	fs.StringVar(&o.pubOn, "pub-on", "one", "multi: publish on one node (the first) or on each")
	fs.DurationVar(&o.dur, "dur", 5*time.Second, "measured time")
	fs.DurationVar(&o.warm, "warm", time.Second, "unmeasured time before it")
	fs.DurationVar(&o.stepDur, "step", 2500*time.Millisecond, "measured time of each search step")
	fs.DurationVar(&o.drain, "drain", 3*time.Second, "give up on missing deliveries after this long without any")
	fs.DurationVar(&o.hold, "hold", 10*time.Second, "connect: time to stay idle")
	fs.DurationVar(&o.settle, "settle", 300*time.Millisecond, "pause after the ramp")
	fs.DurationVar(&o.life, "life", 0, "churn: how long a connection stays after its join")
	fs.DurationVar(&o.rampTimeout, "ramp-timeout", 180*time.Second, "give up on the ramp after this long")
	fs.Float64Var(&o.p99, "p99", 250, "search: highest p99 in ms that counts as holding")
	fs.Uint64Var(&o.seed, "seed", 1, "seed of the room choice")
	fs.BoolVar(&o.all, "all", false, "fanout, multi: publishAll instead of publish")
	fs.BoolVar(&o.steps, "steps", false, "include the search steps in the output")
	fs.BoolVar(&o.tolerate, "tolerate", false, "go on when some connections fail")
	hsTimeout := fs.Duration("handshake-timeout", 10*time.Second, "a handshake (with its join) that takes longer has failed")
	retries := fs.Int("retries", 3, "tries again after a failed handshake (not in churn)")
	nap := fs.Duration("nap", 50*time.Microsecond, "idle workers sleep this long between looks at their sockets, so that the server's sends need not wake them (0: block in epoll_wait); adds up to this to a latency")
	_ = fs.Parse(os.Args[2:])
	fail := func(m map[string]any, err error) {
		if m == nil {
			m = map[string]any{}
		}
		m["scenario"], m["label"], m["error"] = cmd, *label, err.Error()
		b, _ := json.Marshal(m)
		fmt.Println(string(b))
		os.Exit(1)
	}
	if fs.NArg() > 0 {
		fail(nil, fmt.Errorf("unexpected argument %q", fs.Arg(0)))
	}
	if *transport != "websocket" && *transport != "polling" {
		fail(nil, fmt.Errorf("-transport %q", *transport))
	}
	limit := raiseRlimit()
	runtime.GOMAXPROCS(*workers + 2)
	debug.SetGCPercent(400)
	if cmd == "blast" {
		os.Exit(blastServer(&o, *urls))
	}
	total := o.n
	if cmd == "rooms" {
		if total = o.conns; total == 0 {
			total = o.rooms * o.members
		}
	}
	switch {
	case *src > 0:
	case cmd == "churn":
		*src = 64 // TIME_WAIT would use up one address's ports
	case total > 4000:
		*src = total/4000 + 1 // finding a free port gets slow once half of them are taken
	}
	e, err := newEngine(strings.Split(*urls, ","), *path, *transport == "polling", *workers, *src)
	if err != nil {
		fail(nil, err)
	}
	if e.pids, err = parsePids(*pid); err != nil {
		fail(nil, err)
	}
	if e.auxPids, err = parsePids(*aux); err != nil {
		fail(nil, err)
	}
	if *cpus != "" {
		e.cpus = parseCPUs(*cpus)
	}
	if *token != "" {
		e.auth = fmt.Appendf(nil, `{"token":%q}`, *token)
	}
	e.nap, e.timeout, e.retries = int64(*nap), int64(*hsTimeout), *retries
	if cmd == "connect" {
		e.nap = 0
	}
	e.start()
	var m map[string]any
	switch cmd {
	case "connect":
		m, err = runConnect(e, &o)
	case "echo":
		m, err = runEcho(e, &o)
	case "fanout", "rooms", "multi":
		m, err = runPubsub(e, &o, cmd)
	case "churn":
		m, err = runChurn(e, &o)
	default:
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	if err != nil {
		fail(m, err)
	}
	m["scenario"], m["label"], m["transport"], m["fd_limit"] = cmd, *label, *transport, limit
	m["gen_rss_mb"] = round3(float64(rssBytes([]int{os.Getpid()})) / 1e6)
	if n := e.errCount(); n > 0 {
		e.mu.Lock()
		m["errors"] = e.errs
		e.mu.Unlock()
	}
	b, err := json.Marshal(m)
	if err != nil {
		fail(nil, err)
	}
	fmt.Println(string(b))
}
