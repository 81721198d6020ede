package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/load"
	"github.com/carillon-io/carillon/pkg/emitter"
)

// scale connects clients until there are as many as asked for, or no more can be had, and says what they cost while they are idle, and
// how long one broadcast to all of them takes. One process may not have descriptors for all, so there are gateways and
// generators side by side, each pair with as many connections as the gateway takes.
func scale(ctx context.Context, b *bench, running *servers, redis string, _ float64) (map[string]float64, error) {
	each := b.top()
	wanted := b.scale
	if b.short {
		wanted, each = min(wanted, 2000), 1000
	}
	pairs := (wanted + each - 1) / each
	var urls []string
	for range pairs {
		address, err := running.startPeer(ctx, b, carillon, "redis://"+redis, overRedis)
		if err != nil {
			return nil, err
		}
		urls = append(urls, "http://"+address)
	}
	gateways, err := numbers(running.pids[len(running.pids)-pairs:])
	if err != nil {
		return nil, err
	}
	empty := memoryNow(gateways, nil)
	crowd := &crowd{}
	defer crowd.wait()
	began := time.Now()
	for _, url := range urls {
		n := min(each, wanted-crowd.connected)
		if err := crowd.join(ctx, b, url, n); err != nil {
			fmt.Fprintf(os.Stderr, "scale: no more than %d: %v\n", crowd.connected, err)
			break
		}
	}
	if crowd.connected == 0 {
		return nil, errors.New("no client is connected")
	}
	ramp := time.Since(began)
	values := map[string]float64{"gateways": float64(pairs), "connections": float64(crowd.connected), "wanted": float64(wanted),
		"ramp_s": ramp.Seconds(), "handshakes_s": float64(crowd.connected) / ramp.Seconds()}
	if err := b.idle(ctx, values, gateways, crowd, empty); err != nil {
		return nil, err
	}
	published, err := b.broadcast(ctx, redis, crowd.connected)
	if err != nil {
		return nil, err
	}
	if err := crowd.report(values, published); err != nil {
		return nil, err
	}
	return values, addPauses(ctx, values, running.ops)
}

// idle notes what connections take, and their heartbeats, over two of their intervals.
func (b *bench) idle(ctx context.Context, values map[string]float64, gateways []int, crowd *crowd, empty memoryUse) error {
	settle, hold := 5*time.Second, 50*time.Second
	if b.short {
		settle, hold = time.Second, time.Second
	}
	if err := wait(ctx, settle); err != nil {
		return err
	}
	before, _ := load.CPUSeconds(gateways)
	began := time.Now()
	if err := wait(ctx, hold); err != nil {
		return err
	}
	after, _ := load.CPUSeconds(gateways)
	full := memoryNow(gateways, crowd.pids())
	each := func(bytes int64) float64 { return float64(bytes) / float64(crowd.connected) / 1024 }
	values["heartbeat_cores"] = (after - before) / time.Since(began).Seconds()
	values["gateway_kb_per_conn"] = each(full.gateways - empty.gateways)
	values["generator_kb_per_conn"] = each(full.generators)
	values["kernel_kb_per_conn"] = each(full.kernel - empty.kernel)
	values["machine_kb_per_conn"] = each(empty.available - full.available)
	values["memory_gib"] = float64(empty.available-full.available) / (1 << 30)
	return nil
}

// broadcast publishes one message for all through Redis, and returns when it did, once they have had time to receive it.
func (b *bench) broadcast(ctx context.Context, redis string, connections int) (published time.Time, err error) {
	client := goredis.NewClient(&goredis.Options{Addr: redis, MaxRetries: -1})
	defer func() { _ = client.Close() }()
	published = time.Now()
	if err := emitter.New(client, emitter.Config{}).Emit(ctx, "msg", strings.Repeat("x", 128)); err != nil {
		return published, err
	}
	const slowest = 40 * time.Microsecond // for each
	return published, wait(ctx, 2*time.Second+time.Duration(connections)*slowest)
}

func numbers(texts []string) (pids []int, err error) {
	for _, text := range texts {
		pid, err := strconv.Atoi(text)
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// memoryUse is where memory is, in bytes.
type memoryUse struct {
	gateways, generators int64
	kernel               int64 // objects that cannot be given back, and buffers of TCP
	available            int64 // on the whole machine
}

func memoryNow(gateways, generators []int) memoryUse {
	return memoryUse{
		gateways: load.ResidentBytes(gateways), generators: load.ResidentBytes(generators),
		kernel: kilobytes("SUnreclaim") + kilobytes("SReclaimable") + tcpBuffers(), available: kilobytes("MemAvailable"),
	}
}

// kilobytes is a line of /proc/meminfo in bytes.
func kilobytes(name string) (bytes int64) {
	_, _ = fmt.Sscanf(field("/proc/meminfo", name), "%d kB", &bytes) // 0 where there is none
	return bytes << 10
}

// tcpBuffers is what /proc/net/sockstat has for TCP, in bytes.
func tcpBuffers() int64 {
	words := strings.Fields(field("/proc/net/sockstat", "TCP"))
	for i, word := range words {
		var pages int64
		if word == "mem" && i+1 < len(words) {
			_, _ = fmt.Sscan(words[i+1], &pages)
			return pages * int64(os.Getpagesize())
		}
	}
	return 0
}
