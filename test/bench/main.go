package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/carillon-io/carillon/test/bench/results"
)

// options are the command line.
type options struct {
	rounds     int
	only, from string
	docs       string
	short      bool
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	var o options
	flag.IntVar(&o.rounds, "rounds", 3, "how often each server is measured; growth always once")
	flag.StringVar(&o.only, "only", "", "comma-separated scenarios; empty: all")
	flag.StringVar(&o.docs, "docs", "", "write the report, its plots and the results below this `directory`; empty: the report to standard output")
	flag.StringVar(&o.from, "from", "", "measure nothing: report what this results `file` says")
	flag.BoolVar(&o.short, "short", false, "shortened loads: a trial, not a measurement")
	flag.Parse()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	var failed error
	if o.from == "" {
		dir, err := os.MkdirTemp("", "carillon-bench-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		o.from = filepath.Join(dir, "results.jsonl")
		if o.docs != "" {
			o.from = resultsFile(o.docs)
		}
		if failed = measure(ctx, dir, o); ctx.Err() != nil {
			return failed
		}
	}
	measured, err := results.Read(o.from)
	if err != nil {
		return errors.Join(failed, err)
	}
	if o.docs == "" {
		_, err = os.Stdout.Write(report(measured))
	} else {
		err = errors.Join(keep(o.from, resultsFile(o.docs)), writeDocs(o.docs, measured))
	}
	return errors.Join(failed, err)
}

// keep copies results that were read from elsewhere to where the pages look for them.
func keep(from, to string) error {
	if filepath.Clean(from) == filepath.Clean(to) {
		return nil
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o644)
}

// measure writes every result as soon as it is there. A load that fails is noted in its place, and the others go on.
func measure(ctx context.Context, dir string, o options) error {
	b, err := build(ctx, dir, o.short)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(o.from), 0o755); err != nil {
		return err
	}
	under := conditions(ctx, b) // before the results change the checkout whose version they tell
	file, err := os.Create(o.from)
	if err != nil {
		return err
	}
	if err := writeLine(file, under); err != nil {
		return errors.Join(err, file.Close())
	}
	names := strings.FieldsFunc(o.only, func(r rune) bool { return r == ',' })
	var failed []error
	for _, s := range scenarios(b.top()) {
		if len(names) > 0 && !slices.Contains(names, s.name) {
			continue
		}
		for _, at := range s.at() {
			for round := range s.rounds(o.rounds) {
				for _, p := range s.peers { // in turn: a noisy minute then disturbs all of them
					r := results.Result{Scenario: s.name, Peer: p, Round: round + 1, At: at}
					if r.Values, err = b.measure(ctx, s, p, at); err != nil {
						r.Error = err.Error()
						failed = append(failed, fmt.Errorf("%s on %s: %w", s.name, p, err))
					}
					if err := errors.Join(ctx.Err(), writeLine(file, r)); err != nil {
						return errors.Join(err, file.Close())
					}
				}
			}
		}
	}
	return errors.Join(append(failed, file.Close())...)
}
