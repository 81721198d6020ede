package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/carillon-io/carillon/test/program"
)

func main() {
	clients := flag.Int("clients", 19500, "clients of all servers together; each takes a descriptor of the generator")
	limit := flag.Int("handshakes", 0, "limits.handshakes of each gateway")
	only := flag.String("only", "", "carillon or node; else both")
	flag.Parse()
	if err := run(*clients, *limit, *only); err != nil {
		fmt.Fprintln(os.Stderr, "arrivals:", err)
		os.Exit(1)
	}
}

func run(clients, limit int, only string) error {
	dir, err := os.MkdirTemp("", "arrivals-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	gateway := filepath.Join(dir, "gateway")
	if err := program.BuildGateway(gateway, "-trimpath"); err != nil {
		return err
	}
	fmt.Printf("%d clients over three servers, one of which is killed\n\n", clients)
	fmt.Println("| server | moved | 50 % back | 95 % | all | slowest probe | probes failed | lost for good |\n|---|---|---|---|---|---|---|---|")
	for _, kind := range []string{"carillon", "node"} {
		if only != "" && only != kind {
			continue
		}
		if err := measure(kind, gateway, dir, clients, limit); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
	}
	return nil
}

// outcome is what gateway bench storm prints.
type outcome struct {
	Losses  int     `json:"losses"`
	NotBack int     `json:"not_back"`
	P50     float64 `json:"away_p50_ms"`
	P95     float64 `json:"away_p95_ms"`
	Max     float64 `json:"away_max_ms"`
}

func measure(kind, gateway, dir string, clients, limit int) (err error) {
	c, err := startCluster(kind, gateway, dir, limit)
	if err != nil {
		return err
	}
	defer c.stop()
	args := []string{"bench", "storm", "--output", "json", "--quiet", "--transport", "websocket",
		"--clients", strconv.Itoa(clients), "--kill", strconv.Itoa(c.servers[0].cmd.Process.Pid), "--retries", "100000"}
	for _, s := range c.servers {
		args = append(args, "--url", "http://"+s.address)
	}
	ctx, cancel := context.WithCancel(context.Background())
	probed := make(chan probes, 1)
	go func() { probed <- probe(ctx, c.servers[1:]) }()
	bench := exec.Command(gateway, args...)
	bench.Stderr = os.Stderr
	out, err := bench.Output()
	cancel()
	p := <-probed
	if err != nil {
		return err
	}
	var o outcome
	if err := json.Unmarshal(out, &o); err != nil {
		return fmt.Errorf("%w in %s", err, out)
	}
	seconds := func(ms float64) string { return fmt.Sprintf("%.1f s", ms/1000) }
	fmt.Printf("| %s | %d | %s | %s | %s | %v | %d of %d | %d |\n", kind, o.Losses, seconds(o.P50), seconds(o.P95), seconds(o.Max),
		p.slowest.Round(time.Millisecond), p.failed, p.asked, o.NotBack)
	return nil
}

// probes are what a kubelet would have seen.
type probes struct {
	asked, failed int
	slowest       time.Duration
}

// probe asks the servers for their readiness five times a second until ctx ends. One that takes over a second has failed, as in
// Kubernetes by default.
func probe(ctx context.Context, servers []*server) (p probes) {
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for ctx.Err() == nil {
		for _, s := range servers {
			began := time.Now()
			response, err := client.Get(s.probe)
			if err == nil {
				_ = response.Body.Close() // its status tells
				if response.StatusCode >= http.StatusInternalServerError {
					err = errors.New(response.Status)
				}
			}
			p.asked++
			p.slowest = max(p.slowest, time.Since(began))
			if err != nil {
				p.failed++
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
	return p
}
