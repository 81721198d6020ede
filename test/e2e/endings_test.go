package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/emitter"
	"github.com/carillon-io/carillon/test/program"
	goredis "github.com/redis/go-redis/v9"
)

// python is the interpreter of the environment that make deps has filled.
const python = "../.venv/bin/python"

// The clients of the table: programs that say `<client>/<transport> up <n>` and `… down <reason>`.
var returning = map[string]struct {
	command    []string
	clients    []string
	transports []string
}{
	"node": {
		[]string{"node", "js/endings.mjs"},
		[]string{"js-2.5", "js-3.1", "js-4.8"}, []string{"polling", "websocket", "upgrade"},
	},
	"python": {
		[]string{python, "python/endings.py"},
		[]string{"python", "python-async"}, []string{"polling", "websocket", "upgrade"},
	},
	"java": {
		[]string{"java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", "java/lib/*:java/classes", "Endings"},
		[]string{"java"}, []string{"polling", "websocket", "upgrade"},
	},
	"go": {
		// No polling: this client sends a POST when the GET that waits has been answered.
		[]string{"go/endings"},
		[]string{"go"}, []string{"websocket", "upgrade"},
	},
	"rust": {
		[]string{"rust/target/debug/endings"},
		[]string{"rust"}, []string{"polling", "websocket", "upgrade"},
	},
}

// oneNamespace are the clients that have a connection for each namespace, and only the extra one.
var oneNamespace = []string{"rust/polling", "rust/websocket", "rust/upgrade"}

// The table of endings: however a gateway ends its clients, each comes back by itself.
func TestEndings_EveryClientComesBack(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	g := &restarted{t: t, redis: redis, address: program.FreeAddress(t), ops: program.FreeAddress(t), path: program.WriteFile(t, "gateway.yaml", "")}
	g.write(50)
	g.start()
	programs, names := startReturning(t, "http://"+g.address)
	times := 1
	back := func(t *testing.T, what string) {
		t.Helper()
		said := func(name string) bool {
			return strings.Contains(programs[name].Text(), fmt.Sprintf("%s up %d\n", name, times))
		}
		await(t, what, names, said)
		times++
	}
	down := func(t *testing.T, what string) {
		t.Helper()
		said := func(name string) bool {
			return strings.Count(programs[name].Text(), name+" down ") >= times-1
		}
		await(t, what, names, said)
	}
	back(t, "does not connect")
	for _, ending := range []struct {
		name string
		end  func(t *testing.T)
	}{
		{"drain", func(t *testing.T) {
			g.Stop(syscall.SIGTERM)
			down(t, "does not notice the drain")
			g.start()
		}},
		{"kill", func(t *testing.T) {
			g.Stop(syscall.SIGKILL)
			down(t, "does not notice the kill")
			g.start()
		}},
		{"slow consumer", func(t *testing.T) {
			g.flood(programs)
			down(t, "is no slow consumer")
		}},
		{"limit", func(t *testing.T) {
			g.write(1) // a second namespace is too much
			g.Stop(syscall.SIGKILL)
			g.start()
			g.awaitMetric(`carillon_disconnects_total{reason="limit"}`, len(names)-len(oneNamespace))
			g.write(50)
			_ = g.Cmd.Process.Signal(syscall.SIGHUP)
		}},
	} {
		if !t.Run(ending.name, func(t *testing.T) {
			ending.end(t)
			back(t, "does not come back")
		}) {
			return
		}
	}
}

// startReturning runs the programs and returns each client's, and the clients' names.
func startReturning(t *testing.T, url string) (programs map[string]*program.Program, names []string) {
	t.Helper()
	programs = map[string]*program.Program{}
	for language, r := range returning {
		p := start(t, language, r.command[0], append(r.command[1:], url)...)
		for _, client := range r.clients {
			for _, transport := range r.transports {
				name := client + "/" + transport
				programs[name] = p
				names = append(names, name)
			}
		}
	}
	return programs, names
}

// await polls until said is true of all clients.
func await(t *testing.T, what string, names []string, said func(name string) bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		var missing []string
		for _, name := range names {
			if !said(name) {
				missing = append(missing, name)
			}
		}
		if len(missing) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %s", what, strings.Join(missing, ", "))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// restarted is a gateway that is started again at the same address.
type restarted struct {
	*program.Program
	t                         *testing.T
	redis, address, ops, path string
	starts                    int
}

// write writes the configuration. A client that waits for its heartbeat to run out is not back in time.
func (g *restarted) write(connects int) {
	g.t.Helper()
	text := fmt.Sprintf(`
server: {address: %q}
ops: {address: %q}
engine: {eio3: true, ping_interval: 2m, ping_timeout: 2m, outbox: 64KiB, outbox_hard: 1MiB}
redis: {url: %q}
drain: {delay: 0s, window: 500ms}
limits: {connects: {rate: %d, burst: %d}}
namespaces:
  "/": {}
  "/extra": {rules: [{event: echo, ack: ["${args[0]}"]}]}
`, g.address, g.ops, g.redis, connects, connects)
	if err := os.WriteFile(g.path, []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

func (g *restarted) start() {
	g.t.Helper()
	g.starts++
	g.Program = start(g.t, fmt.Sprintf("gateway %d", g.starts), gatewayBinary, "serve", "--config", g.path)
	g.Await(func() bool { return program.Answers200("http://" + g.ops + "/readyz") })
}

// flood stops the clients' programs and publishes until all their clients are slow consumers.
func (g *restarted) flood(programs map[string]*program.Program) {
	g.t.Helper()
	signal := func(s syscall.Signal) {
		for _, p := range programs {
			_ = p.Cmd.Process.Signal(s)
		}
	}
	signal(syscall.SIGSTOP)
	defer signal(syscall.SIGCONT)
	options, err := goredis.ParseURL(g.redis)
	if err != nil {
		g.t.Fatal(err)
	}
	client := goredis.NewClient(options)
	defer client.Close()
	e := emitter.New(client, emitter.Config{})
	extra := e.Of("/extra")
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
	defer cancel()
	for range 100 {
		for _, namespace := range []emitter.Emitter{e, extra} {
			if err := namespace.Emit(ctx, "flood", strings.Repeat("x", 64<<10)); err != nil {
				g.t.Fatal(err)
			}
		}
	}
	g.awaitMetric("carillon_slow_consumers_total", len(programs))
}

// awaitMetric waits until a metric has reached a value.
func (g *restarted) awaitMetric(name string, least int) {
	g.t.Helper()
	g.Await(func() bool {
		var value float64
		_, rest, _ := strings.Cut(scrape(g.t, g.ops), "\n"+name+" ")
		_, _ = fmt.Sscan(rest, &value)
		return value >= float64(least)
	})
}
