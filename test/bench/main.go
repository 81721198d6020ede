package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	rounds := flag.Int("rounds", 3, "how often each peer is measured")
	only := flag.String("only", "", "comma-separated scenarios; empty: all")
	flag.Parse()
	if err := run(ctx, *rounds, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, rounds int, only string) error {
	b, err := build(ctx)
	if err != nil {
		return err
	}
	defer b.remove()
	fmt.Println("| scenario | figure | Node | Carillon | ratio |\n|---|---|---|---|---|")
	for _, s := range scenarios {
		if only != "" && !strings.Contains(","+only+",", ","+s.name+",") {
			continue
		}
		figures := make(map[string]map[string][]float64) // peer → field → one value a round
		for range rounds {
			for _, peer := range []string{"node", "carillon"} { // in turn: a noisy minute then disturbs both
				measured, err := b.measure(ctx, peer, s)
				if err != nil {
					return fmt.Errorf("%s on %s: %w", s.name, peer, err)
				}
				if figures[peer] == nil {
					figures[peer] = make(map[string][]float64)
				}
				for _, f := range s.figures {
					figures[peer][f.field] = append(figures[peer][f.field], measured[f.field])
				}
			}
		}
		for _, f := range s.figures {
			fmt.Println(row(s.name, f, figures["node"][f.field], figures["carillon"][f.field]))
		}
	}
	return nil
}
