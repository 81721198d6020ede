package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/carillon-io/carillon/docs"
	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/gateway"
)

func newConfig() *cobra.Command {
	c := &cobra.Command{
		Use:                   "config",
		Short:                 "Check, print or explain a configuration",
		DisableFlagsInUseLine: true,
		Args:                  unknownCommand,
		RunE:                  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(
		&cobra.Command{
			Use:   "check FILE",
			Short: "Validate a configuration; exit 2 and name every fault with its key",
			Long: `Validate a configuration as "gateway serve" would load it: FILE, and the environment applied over it.

Every fault is named with its key, those of the rules included. Exits with 2 when there is one, else with 0.`,
			DisableFlagsInUseLine: true,
			Args:                  arguments(1, 1),
			RunE: func(c *cobra.Command, args []string) error {
				cfg, warnings, err := loadConfig(args[0])
				for _, warning := range warnings {
					fmt.Fprintln(c.ErrOrStderr(), "warning:", warning.In(args[0]))
				}
				if err := gateway.Check(cfg, err); err != nil {
					return err
				}
				_, err = fmt.Fprintln(c.OutOrStdout(), args[0]+": ok")
				return failed(err)
			},
		},
		&cobra.Command{
			Use:   "print FILE",
			Short: "Print the effective configuration, secrets masked",
			Long: `Print the configuration that "gateway serve" would run on: defaults, FILE, and the environment applied over it.

Secrets are masked. But for them, what is printed loads as the same configuration.`,
			DisableFlagsInUseLine: true,
			Args:                  arguments(1, 1),
			RunE: func(c *cobra.Command, args []string) error {
				cfg, _, err := loadConfig(args[0])
				if err != nil {
					return err
				}
				return failed(cfg.Print(c.OutOrStdout()))
			},
		},
		&cobra.Command{
			Use:                   "example",
			Short:                 "Print a commented file to begin with",
			DisableFlagsInUseLine: true,
			Args:                  arguments(0, 0),
			RunE: func(c *cobra.Command, _ []string) error {
				_, err := fmt.Fprint(c.OutOrStdout(), docs.Example)
				return failed(err)
			},
		},
		&cobra.Command{
			Use:                   "doc [rules|bench]",
			Short:                 "Print every key with type, unit and default; or the page about rules, or about bench",
			DisableFlagsInUseLine: true,
			Args:                  arguments(0, 1),
			RunE: func(c *cobra.Command, args []string) error {
				page := docs.Configuration
				if len(args) > 0 {
					var known bool
					if page, known = map[string]string{"rules": docs.Rules, "bench": docs.Bench}[args[0]]; !known {
						return withHelp(c, fmt.Errorf("no page %q; there are rules and bench", args[0]))
					}
				}
				_, err := fmt.Fprint(c.OutOrStdout(), page)
				return failed(err)
			},
		},
	)
	return c
}

func loadConfig(file string) (config.Config, []config.Warning, error) {
	source := gateway.Source{File: file, Environ: os.Environ()}
	return source.Load()
}
