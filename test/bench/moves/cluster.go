package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/load"
	"github.com/carillon-io/carillon/test/program"
)

const configuration = `
server: {address: %q}
ops: {address: %q}
peer: {address: %q}
redis: {url: %q}
engine: {ping_interval: 2m, ping_timeout: 1m}
socketio: {recovery: {enabled: true, window: 10m, bytes: 2GiB}}
drain: {delay: 0s, window: 10s}
log: {level: %s}
namespaces: {"/": {connect: {do: [{join: "${auth.room}"}]}}}
`

// node is a gateway process.
type node struct {
	name         string
	address, ops string
	cmd          *exec.Cmd
	gone         bool
}

// cluster is Redis and three nodes.
type cluster struct {
	server *exec.Cmd
	nodes  []*node
}

func start(gateway, dir, level string, clients int) (b *bench, err error) {
	b = &bench{cluster: &cluster{}, clients: clients}
	defer func() {
		if err != nil {
			b.stop()
		}
	}()
	var address string
	if b.server, address, err = program.Redis(dir); err != nil {
		return nil, err
	}
	if err := b.server.Start(); err != nil {
		return nil, err
	}
	b.redis = goredis.NewClient(&goredis.Options{Addr: address})
	for i, name := range []string{"first", "second", "third"} {
		var free [3]string
		for k := range free {
			if free[k], err = program.Reserve(); err != nil {
				return nil, err
			}
		}
		n := &node{name: name, address: free[0], ops: free[1]}
		file := filepath.Join(dir, strconv.Itoa(i)+".yaml")
		text := fmt.Appendf(nil, configuration, free[0], free[1], free[2], "redis://"+address, level)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return nil, err
		}
		n.cmd = exec.Command(gateway, "serve", "--config", file)
		n.cmd.Stderr = os.Stderr
		if err := n.cmd.Start(); err != nil {
			return nil, err
		}
		b.nodes = append(b.nodes, n)
	}
	for _, n := range b.nodes {
		if err := n.awaitMetric("carillon_redis_nodes", 3); err != nil {
			return nil, err
		}
	}
	const each = 10_000 // clients of a process
	for left := clients; left > 0; left -= each {
		w, err := startWorker(min(left, each))
		if err != nil {
			return nil, err
		}
		b.workers = append(b.workers, w)
	}
	return b, nil
}

func (b *bench) stop() {
	for _, w := range b.workers {
		w.stop()
	}
	for _, n := range b.nodes {
		if !n.gone {
			_ = n.cmd.Process.Kill() // nothing of it is of use
			_ = n.cmd.Wait()
		}
	}
	if b.redis != nil {
		_ = b.redis.Close()
	}
	if b.server != nil && b.server.Process != nil {
		_ = b.server.Process.Kill()
		_ = b.server.Wait()
	}
}

// commands are the calls of each command that Redis has served.
func (b *bench) commands() map[string]float64 {
	text, err := b.redis.Info(context.Background(), "commandstats").Result()
	if err != nil {
		return nil
	}
	calls := make(map[string]float64)
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":calls=")
		if !ok {
			continue
		}
		count, _, _ := strings.Cut(rest, ",")
		calls[name], _ = strconv.ParseFloat(count, 64) // Redis writes numbers
	}
	return calls
}

func (b *bench) printCommands(before map[string]float64, moves float64) {
	now := b.commands()
	var names []string
	for name := range now {
		if now[name]-before[name] >= moves/1000 {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return int(now[b] - before[b] - now[a] + before[a]) })
	fmt.Print("    Redis, a move:")
	for _, name := range names {
		fmt.Printf(" %s %.3f", name, (now[name]-before[name])/moves)
	}
	fmt.Println()
}

// metric is the sum of a metric's samples that begin with name; -1 where the node does not answer.
func (n *node) metric(name string) (sum float64) {
	if n.gone {
		return -1
	}
	response, err := http.Get("http://" + n.ops + "/metrics")
	if err != nil {
		return -1
	}
	defer func() { _ = response.Body.Close() }() // read whole
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), name); ok {
			value, _ := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
			sum += value
		}
	}
	return sum
}

func (n *node) awaitMetric(name string, want float64) error {
	last := 0.0
	for range 1500 {
		if last = n.metric(name); last == want {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("%s: %s is %v, want %v", n.name, name, last, want)
}

// drain has the node leave, and waits for it.
func (n *node) drain() error {
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	n.gone = true
	return n.cmd.Wait()
}

// status is a line of the process' status in bytes.
func (n *node) status(name string) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), name+":")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kilobytes, _ := strconv.ParseFloat(fields[0], 64) // the kernel writes numbers
	return kilobytes * 1024
}

// forgetPeak has VmHWM begin anew.
func (n *node) forgetPeak() {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", n.cmd.Process.Pid), []byte("5"), 0) // else the peak is that of all its life
}

// cpu is the processor time of the nodes that run.
func (b *bench) cpu() time.Duration {
	var pids []int
	for _, n := range b.nodes {
		pids = append(pids, n.cmd.Process.Pid)
	}
	seconds, _ := load.CPUSeconds(pids)
	return time.Duration(seconds * float64(time.Second))
}
