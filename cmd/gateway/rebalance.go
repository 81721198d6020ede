package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/gateway"
)

func newRebalance() *cobra.Command {
	var (
		file        string
		rebalancing gateway.Rebalancing
		every       time.Duration
	)
	c := &cobra.Command{
		Use:   "rebalance [--config FILE]",
		Short: "Ask nodes with far more connections than their peers to shed the surplus",
		Long: `Ask each node how many sessions it has, and those with far more than the mean to close the surplus slowly. Their clients
connect anew, wherever the balancer sends them. Connections do not move by themselves when nodes are added.

The nodes are those of the configuration's Redis, or of peer.nodes; they are asked at their peer listeners, so this runs in
their network. It returns when all have been asked, not when they are done.`,
		DisableFlagsInUseLine: true,
		Args:                  arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case rebalancing.Above <= 1:
				return withHelp(c, fmt.Errorf("--above %v is not over 1", rebalancing.Above))
			case rebalancing.Rate <= 0:
				return withHelp(c, fmt.Errorf("--rate %v is not over 0", rebalancing.Rate))
			case every < 0:
				return withHelp(c, errors.New("--every is negative"))
			}
			cfg, _, err := (&gateway.Source{File: file, Environ: os.Environ()}).Load()
			if err != nil {
				return err
			}
			for {
				err := gateway.Rebalance(c.Context(), cfg, rebalancing, c.OutOrStdout())
				if every == 0 {
					return failed(err)
				}
				if err != nil && c.Context().Err() == nil {
					fmt.Fprintln(c.ErrOrStderr(), "gateway:", config.Mask(err.Error()))
				}
				select {
				case <-c.Context().Done():
					return nil
				case <-time.After(every):
				}
			}
		},
	}
	flags := c.Flags()
	flags.StringVar(&file, "config", "", "configuration `file` that names the Redis; the environment is applied over it")
	flags.Float64Var(&rebalancing.Above, "above", 1.25, "a node sheds when it has more than this `times` the mean")
	flags.Float64Var(&rebalancing.Rate, "rate", 10, "`number` of sessions that one node closes in a second")
	flags.BoolVar(&rebalancing.Dry, "dry-run", false, "only print the table")
	flags.DurationVar(&every, "every", 0, "go on, and look again after this `time`")
	return c
}
