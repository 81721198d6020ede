package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// loadTimeout bounds one load, its ramp and its search included.
const loadTimeout = 5 * time.Minute

// bench holds the programs under measurement.
type bench struct {
	dir           string
	short         bool
	scale         int    // connections that are tried
	servers, load string // the cores of each; empty on a machine with one
}

func build(ctx context.Context, dir string, short bool) (*bench, error) {
	b := &bench{dir: dir, short: short}
	switch n := runtime.NumCPU(); {
	case n >= 4:
		b.servers, b.load = "0,1", fmt.Sprintf("2-%d", n-1)
	case n >= 2:
		b.servers, b.load = "0", "1"
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", dir+string(filepath.Separator),
		"./cmd/gateway", "./test/bench/peers/gorilla", "./test/bench/peers/epoll")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("build: %w", err)
	}
	return b, b.newCertificate()
}

func (b *bench) program(name string) string { return filepath.Join(b.dir, name) }

// top is how many connections can be had here, 20,000 at most: what the gateway takes by default, which leaves an eighth of
// its descriptors free, less a few for the generator's own.
func (b *bench) top() int {
	limit := min(descriptors(), 1<<20)
	return int(min(20_000, limit-min(limit/8, 4096)-100))
}

func descriptors() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return limit.Max // what servers and generator raise theirs to
}

// pinned is a command on some cores.
func pinned(cores string, args ...string) []string {
	if cores == "" {
		return args
	}
	return append([]string{"taskset", "-c", cores}, args...)
}

// measure runs one scenario once against fresh servers and returns the numbers of the generator's answer, and how long the
// garbage collector stopped the gateway.
func (b *bench) measure(ctx context.Context, s scenario, peer string, at float64) (map[string]float64, error) {
	ctx, stop := context.WithTimeout(ctx, cmp.Or(s.lasts, loadTimeout))
	running := &servers{}
	defer running.wait()
	defer stop()
	redis := ""
	if s.redis {
		var err error
		if redis, err = running.startRedis(ctx, b); err != nil {
			return nil, err
		}
	}
	if s.here != nil {
		return s.here(ctx, b, running, redis, at)
	}
	args := b.generator(append(s.args(at, b.short), "--output", "json", "--quiet")...)
	if s.token {
		token, err := b.newToken()
		if err != nil {
			return nil, err
		}
		args = append(args, "--token", token)
	}
	if s.redis {
		redis = "redis://" + redis
		args = append(args, "--aux-pid", running.pids[0])
	}
	nodes := 1
	if s.nodes != nil {
		nodes = s.nodes(at)
	}
	var urls []string
	for range nodes {
		address, err := running.startPeer(ctx, b, peer, redis, s.setup)
		if err != nil {
			return nil, err
		}
		urls = append(urls, s.scheme()+address)
	}
	pids := running.pids[len(running.pids)-nodes:]
	if s.kill {
		args = append(args, "--kill", pids[nodes-1])
		running.ops = running.ops[:max(len(running.ops)-1, 0)]
	}
	values, err := generate(ctx, append(args, "--url", strings.Join(urls, ","), "--pid", strings.Join(pids, ",")))
	if err != nil {
		return nil, err
	}
	if all, found := values["cpu_s_per_M_incl_aux"]; found {
		values["aux_s_per_M"] = all - values["cpu_s_per_M"]
	}
	if peer == carillon {
		return values, addPauses(ctx, values, running.ops)
	}
	return values, nil
}

// generator is the command of gateway bench on its cores, with a thread for each of them, up to two.
func (b *bench) generator(args ...string) []string {
	if b.load != "" && !strings.ContainsAny(b.load, ",-") {
		args = append(args, "--workers", "1")
	}
	return pinned(b.load, append([]string{b.program("gateway"), "bench"}, args...)...)
}

func (s scenario) scheme() string {
	if s.tls {
		return "https://"
	}
	return "http://"
}

// generate runs gateway bench and returns the numbers of its answer, with yes as 1 and no as 0.
func generate(ctx context.Context, args []string) (map[string]float64, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var out, progress bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &progress
	runErr := cmd.Run()
	var answer map[string]any
	if err := json.Unmarshal(out.Bytes(), &answer); err != nil {
		return nil, fmt.Errorf("gateway bench: %w: %s", errors.Join(runErr, err), progress.Bytes())
	}
	if runErr != nil || answer["error"] != nil {
		return nil, fmt.Errorf("gateway bench: %s", out.Bytes())
	}
	fmt.Fprintf(os.Stderr, "%s\n%s", strings.Join(args, " "), out.Bytes())
	numbers := make(map[string]float64)
	for key, value := range answer {
		switch value := value.(type) {
		case float64:
			numbers[key] = value
		case bool:
			if numbers[key] = 0; value {
				numbers[key] = 1
			}
		}
	}
	return numbers, nil
}

var pauses = map[string]string{
	`go_gc_duration_seconds{quantile="0.5"}`: "gc_pause_median_ms",
	`go_gc_duration_seconds{quantile="1"}`:   "gc_pause_max_ms",
}

// addPauses asks gateways how long their last 256 collections stopped them, and notes the longest.
func addPauses(ctx context.Context, values map[string]float64, ops []string) error {
	for _, address := range ops {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		err = readPauses(values, resp.Body)
		if err = errors.Join(err, resp.Body.Close()); err != nil {
			return err
		}
	}
	if _, found := values["gc_pause_max_ms"]; !found {
		return errors.New("the gateway's metrics have no go_gc_duration_seconds")
	}
	return nil
}

func readPauses(values map[string]float64, metrics io.Reader) error {
	for lines := bufio.NewScanner(metrics); lines.Scan(); {
		series, text, _ := strings.Cut(lines.Text(), " ")
		field, wanted := pauses[series]
		if !wanted {
			continue
		}
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("read the gateway's metrics: %w", err)
		}
		values[field] = max(values[field], seconds*1000)
	}
	return nil
}

func writeLine(file *os.File, v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = file.Write(append(line, '\n'))
	return err
}
