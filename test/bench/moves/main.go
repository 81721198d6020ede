package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/emitter"
	"github.com/carillon-io/carillon/test/program"
)

func main() {
	clients := flag.Int("clients", 20_000, "sessions of the first node")
	missed := flag.Int("missed", 3, "events that each client misses")
	only := flag.String("only", "", "one of the ways; else all")
	level := flag.String("log", "error", "log level of the gateways")
	worker := flag.Bool("worker", false, "run clients, as asked on the standard input")
	flag.Parse()
	var err error
	if *worker {
		err = work(os.Stdin, os.Stdout)
	} else {
		err = run(*clients, *missed, *only, *level)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "moves:", err)
		os.Exit(1)
	}
}

// ways are how sessions leave the first node.
var ways = []struct {
	name string
	run  func(*bench) error
}{
	{"claimed", (*bench).claimed},
	{"handed over", (*bench).handedOver},
	{"sent away", (*bench).sentAway},
}

func run(clients, missed int, only, level string) error {
	dir, err := os.MkdirTemp("", "moves-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	gateway := filepath.Join(dir, "gateway")
	if err := program.BuildGateway(gateway, "-trimpath"); err != nil {
		return err
	}
	for _, way := range ways {
		if only != "" && only != way.name {
			continue
		}
		b, err := start(gateway, dir, level, clients)
		if err != nil {
			return err
		}
		b.missed = missed
		fmt.Printf("%s: %d sessions\n", way.name, clients)
		err = way.run(b)
		b.stop()
		if err != nil {
			return fmt.Errorf("%s: %w", way.name, err)
		}
	}
	return nil
}

// bench is one run: a cluster and its clients.
type bench struct {
	*cluster

	workers []*worker
	redis   *goredis.Client
	missed  int
	sent    int // events so far
	clients int
}

// publish emits events to all clients.
func (b *bench) publish(n int) error {
	e := emitter.New(b.redis, emitter.Config{})
	for range n {
		if err := e.Emit(context.Background(), "e", b.sent); err != nil {
			return err
		}
		b.sent++
	}
	return nil
}

// begin connects all clients to the first node, and has each receive an event.
func (b *bench) begin(stay bool) error {
	first := []string{b.nodes[0].address}
	for _, w := range b.workers { // one after the other: the first node may have too few descriptors for all at a time
		if _, err := w.ask(order{Do: "connect", Addresses: first}); err != nil {
			return err
		}
		if !stay {
			if _, err := w.ask(order{Do: "cut"}); err != nil {
				return err
			}
		}
	}
	if !stay {
		err := b.nodes[0].awaitMetric("carillon_recovery_absent_sockets", float64(b.clients))
		if err != nil {
			return err
		}
	}
	return nil
}

// back has all clients claim their sessions at the other nodes.
func (b *bench) back(do string) error {
	return b.measure("claims", func() ([]result, error) {
		return b.askAll(order{Do: do, Addresses: []string{b.nodes[1].address, b.nodes[2].address}, Sent: b.sent})
	})
}

func (b *bench) askAll(o order) ([]result, error) {
	results := make([]result, len(b.workers))
	errs := make(chan error, len(b.workers))
	for i, w := range b.workers {
		go func() {
			var err error
			results[i], err = w.ask(o)
			errs <- err
		}()
	}
	for range b.workers {
		if err := <-errs; err != nil {
			return nil, err
		}
	}
	return results, nil
}

func (b *bench) claimed() error {
	if err := b.begin(false); err != nil {
		return err
	}
	if err := b.publish(b.missed); err != nil {
		return err
	}
	if err := b.back("back"); err != nil {
		return err
	}
	return b.live()
}

func (b *bench) handedOver() error {
	if err := b.begin(false); err != nil {
		return err
	}
	if err := b.publish(b.missed); err != nil {
		return err
	}
	err := b.measure("drain", func() ([]result, error) {
		err := b.nodes[0].drain()
		for _, n := range b.nodes[1:] {
			fmt.Printf("  absent at %s: %.0f\n", n.name, n.metric("carillon_recovery_absent_sockets"))
		}
		return nil, err
	})
	if err != nil {
		return err
	}
	if err := b.back("back"); err != nil {
		return err
	}
	return b.live()
}

func (b *bench) sentAway() error {
	if err := b.begin(true); err != nil {
		return err
	}
	if err := b.publish(b.missed); err != nil {
		return err
	}
	err := b.measure("drain, clients present", func() ([]result, error) {
		left := make(chan error, 1)
		go func() { left <- b.nodes[0].drain() }()
		results, err := b.askAll(order{Do: "return", Addresses: []string{b.nodes[1].address, b.nodes[2].address}, Sent: b.sent})
		if err != nil {
			return nil, err
		}
		return results, <-left
	})
	if err != nil {
		return err
	}
	return b.live()
}

// live sees that every client receives what is published once all are back.
func (b *bench) live() error {
	const more = 2
	if err := b.publish(more); err != nil {
		return err
	}
	results, err := b.askAll(order{Do: "expect", Sent: b.sent})
	if err != nil {
		return err
	}
	sum := add(results)
	fmt.Printf("  afterwards: %d of %d receive what is published, %d lost, %d twice\n", sum.Whole, b.clients, sum.Lost, sum.Twice)
	return nil
}

// measure prints what f took.
func (b *bench) measure(name string, f func() ([]result, error)) error {
	before := b.commands()
	var moved []float64
	for _, n := range b.nodes {
		n.forgetPeak()
		moved = append(moved, n.metric(`carillon_recovery_move_seconds_count`))
	}
	cpu := b.cpu()
	began := time.Now()
	results, err := f()
	if err != nil {
		return err
	}
	took := time.Since(began)
	var moves float64
	for i, n := range b.nodes {
		if now := n.metric(`carillon_recovery_move_seconds_count`); now > 0 {
			moves += now - moved[i]
		}
	}
	fmt.Printf("  %s: %v, %.0f moves, CPU of the nodes %v\n", name, took.Round(time.Millisecond), moves, (b.cpu() - cpu).Round(time.Millisecond))
	for _, n := range b.nodes {
		fmt.Printf("    %s: peak %.0f MB, now %.0f MB\n", n.name, n.status("VmHWM")/1e6, n.status("VmRSS")/1e6)
	}
	b.printCommands(before, max(moves, 1))
	if results == nil {
		return nil
	}
	sum := add(results)
	slices.Sort(sum.Waits)
	at := func(part float64) time.Duration {
		if len(sum.Waits) == 0 {
			return 0
		}
		return sum.Waits[int(part*float64(len(sum.Waits)-1))].Round(time.Millisecond)
	}
	fmt.Printf("    clients: %d recovered, %d with a new socket, %d not back, %d tries came to nothing; %d lost an event, %d had one twice\n",
		sum.Recovered, sum.Fresh, sum.Failed, sum.Retries, sum.Lost, sum.Twice)
	fmt.Printf("    from the claim until all that was missed is there: p50 %v, p90 %v, p99 %v, max %v\n", at(.5), at(.9), at(.99), at(1))
	return nil
}
