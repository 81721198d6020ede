package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	n := flag.Int("n", 5000, "idle connections")
	busy := flag.Int("busy", 64, "connections that exchange messages, one at a time each")
	length := flag.Duration("for", 5*time.Second, "how long they do")
	flag.Parse()
	if err := run(*n, *busy, *length); err != nil {
		fmt.Fprintln(os.Stderr, "relaycost:", err)
		os.Exit(1)
	}
}

// costs are what one way to a session costs.
type costs struct {
	owner, relaying float64       // bytes of memory an idle connection
	cpu             time.Duration // a message there and back, of both nodes
	p50, p99        time.Duration // of one message on an idle pair of nodes
}

func run(n, busy int, length time.Duration) error {
	fmt.Printf("%d idle connections, %d busy ones for %v\n\n| | direct | relayed |\n|---|---|---|\n", n, busy, length)
	var both [2]costs
	for i, relayed := range []bool{false, true} {
		var err error
		if both[i], err = measure(n, busy, length, relayed); err != nil {
			return err
		}
	}
	kilobytes := func(bytes float64) string { return fmt.Sprintf("%.1f kB", bytes/1000) }
	for _, row := range []struct {
		name string
		of   func(costs) string
	}{
		{"memory of an idle connection, owner", func(c costs) string { return kilobytes(c.owner) }},
		{"the same, relaying node", func(c costs) string { return kilobytes(c.relaying) }},
		{"CPU of an event and its acknowledgement, both nodes", func(c costs) string { return c.cpu.Round(100 * time.Nanosecond).String() }},
		{"latency of these, median", func(c costs) string { return c.p50.Round(time.Microsecond).String() }},
		{"latency of these, 99 %", func(c costs) string { return c.p99.Round(time.Microsecond).String() }},
	} {
		fmt.Printf("| %s | %s | %s |\n", row.name, row.of(both[0]), row.of(both[1]))
	}
	return nil
}

// measure starts two nodes anew, so that no run finds memory that one before has left.
func measure(n, busy int, length time.Duration, relayed bool) (c costs, err error) {
	nodes, err := startNodes()
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, nodes.stop()) }()
	through := nodes.owner
	if relayed {
		through = nodes.relaying
	}
	warm, err := connectAll(nodes.owner, through, busy) // what a node allocates once
	if err != nil {
		return c, err
	}
	defer warm.close()
	ownerBefore, relayingBefore := nodes.owner.settled(), nodes.relaying.settled()
	idle, err := connectAll(nodes.owner, through, n)
	if err != nil {
		return c, err
	}
	c.owner = (nodes.owner.settled() - ownerBefore) / float64(n)
	c.relaying = (nodes.relaying.settled() - relayingBefore) / float64(n)
	idle.close()

	if c.p50, c.p99, err = latency(warm[0]); err != nil {
		return c, err
	}
	before, began := nodes.cpu(), time.Now()
	var messages atomic.Int64
	var talking sync.WaitGroup
	failed := make(chan error, len(warm))
	for _, client := range warm {
		talking.Go(func() {
			for time.Since(began) < length {
				if err := client.echo(); err != nil {
					failed <- err
					return
				}
				messages.Add(1)
			}
		})
	}
	talking.Wait()
	select {
	case err := <-failed:
		return c, err
	default:
	}
	c.cpu = (nodes.cpu() - before) / time.Duration(messages.Load())
	return c, nil
}

func latency(c *client) (p50, p99 time.Duration, err error) {
	took := make([]time.Duration, 3000)
	for i := range took {
		began := time.Now()
		if err := c.echo(); err != nil {
			return 0, 0, err
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return took[len(took)/2], took[len(took)*99/100], nil
}
