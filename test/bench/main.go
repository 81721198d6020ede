package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/carillon-io/carillon/test/bench/results"
)

// options are the command line.
type options struct {
	rounds     int
	only, from string
	docs       string
	short      bool
	keep       bool
	scale      int
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	var o options
	flag.IntVar(&o.rounds, "rounds", 3, "how often each server is measured; growth always once")
	flag.StringVar(&o.only, "only", "", "comma-separated scenarios; empty: all")
	flag.StringVar(&o.docs, "docs", "", "write the report, its plots and the results below this `directory`; empty: the report to standard output")
	flag.StringVar(&o.from, "from", "", "measure nothing: report what this results `file` says")
	flag.BoolVar(&o.keep, "keep", false, "keep what the results below -docs have, and measure only what is missing or failed, or, with -only, those scenarios anew; with the same -rounds")
	flag.IntVar(&o.scale, "scale", 400_000, "connections that the scenario scale tries to hold")
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
	b.scale = o.scale
	under := conditions(ctx, b) // before the results change the checkout whose version they tell
	names := strings.FieldsFunc(o.only, func(r rune) bool { return r == ',' })
	all := scenarios(b.top())
	if err := known(all, names); err != nil {
		return err
	}
	var kept results.Run
	if o.keep {
		if kept, err = results.Read(o.from); err != nil {
			return err
		}
		if under, err = kept.Conditions.Merge(under); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(o.from), 0o755); err != nil {
		return err
	}
	file, err := os.Create(o.from)
	if err != nil {
		return err
	}
	failed := writeLine(file, under)
	kept.Results = slices.DeleteFunc(kept.Results, func(r results.Result) bool { return r.Error != "" })
	for _, r := range kept.Results {
		failed = errors.Join(failed, writeLine(file, r))
	}
	for _, s := range all {
		if len(names) == 0 || slices.Contains(names, s.name) {
			failed = errors.Join(failed, b.rounds(ctx, file, s, o, kept))
		}
	}
	return errors.Join(failed, file.Close())
}

// known refuses names of no scenario.
func known(all []scenario, names []string) error {
	for _, name := range names {
		if !slices.ContainsFunc(all, func(s scenario) bool { return s.name == name }) {
			return fmt.Errorf("there is no scenario %q", name)
		}
	}
	return nil
}

// rounds measures a scenario, one server after the other in each round: a noisy minute then disturbs all of them. What was kept
// is measured again only when it is asked for by name.
func (b *bench) rounds(ctx context.Context, file *os.File, s scenario, o options, kept results.Run) (failed error) {
	for _, at := range s.at() {
		for round := range s.rounds(o.rounds) {
			for _, p := range s.peers {
				r := results.Result{Scenario: s.name, Peer: p, Round: round + 1, At: at}
				if o.only == "" && slices.ContainsFunc(kept.Results, r.Same) {
					continue
				}
				r = b.timed(ctx, s, r)
				if ctx.Err() != nil {
					return errors.Join(failed, ctx.Err())
				}
				if r.Error != "" {
					failed = errors.Join(failed, fmt.Errorf("%s on %s: %s", s.name, p, r.Error))
				}
				failed = errors.Join(failed, writeLine(file, r))
			}
		}
	}
	return failed
}

// timed measures once, and says how long that took.
func (b *bench) timed(ctx context.Context, s scenario, r results.Result) results.Result {
	began := time.Now()
	var err error
	if r.Values, err = b.measure(ctx, s, r.Peer, r.At); err != nil {
		r.Error = err.Error()
	}
	r.Took = math.Round(time.Since(began).Seconds()*10) / 10
	fmt.Fprintf(os.Stderr, "bench: %s %g on %s, round %d: %g s %s\n", r.Scenario, r.At, r.Peer, r.Round, r.Took, r.Error)
	return r
}
