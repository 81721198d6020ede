package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/carillon-io/carillon/test/bench/results"
)

func main() {
	l, m := ordinaryLoad, ordinaryMachine
	flag.Float64Var(&l.connections, "connections", l.connections, "clients in all")
	flag.Float64Var(&l.handshakes, "handshakes", l.handshakes, "new clients a second in all")
	flag.Float64Var(&l.publishes, "publishes", l.publishes, "events a second in all")
	flag.Float64Var(&l.room, "room", l.room, "members of the room that each event goes to")
	flag.Float64Var(&l.payload, "bytes", l.payload, "of an event")
	flag.Float64Var(&m.cores, "cores", m.cores, "of a node")
	flag.Float64Var(&m.share, "share", m.share, "of the cores that is to be used")
	flag.Float64Var(&m.connections, "descriptors", m.connections, "connections that a node may have")
	gib := flag.Float64("memory", m.memory/(1<<30), "GiB of a node that connections may take")
	from := flag.String("from", "docs/benchmarks/results.jsonl", "results `file`")
	docs := flag.String("docs", "", "write capacity.md into this `directory` instead")
	flag.Parse()
	m.memory = *gib * (1 << 30)
	if err := run(*from, *docs, l, m); err != nil {
		fmt.Fprintln(os.Stderr, "capacity:", err)
		os.Exit(1)
	}
}

func run(from, docs string, l load, m machine) error {
	measured, err := results.Read(from)
	if err != nil {
		return err
	}
	c, err := read(measured)
	if err != nil {
		return err
	}
	if docs != "" {
		return os.WriteFile(filepath.Join(docs, "capacity.md"), page(c, measured), 0o644)
	}
	_, err = fmt.Printf("%s\n%s\n", header, row("", c.demand(l, m)))
	return err
}
