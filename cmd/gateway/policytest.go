package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/carillon-io/carillon/internal/gateway"
	"github.com/carillon-io/carillon/internal/policytest"
)

func newPolicyTest() *cobra.Command {
	var file, format string
	c := &cobra.Command{
		Use:   "test [--config FILE] [--output text|json|junit] CASES",
		Short: "Run a table of cases against the rules; exit 1 when one fails",
		Long: `Run a table of cases against the rules of a configuration, without a server and without Redis.

CASES is a YAML file: "config" names the configuration, beside the file, and "cases" is a list. A case describes a client
(namespace, claims or token, auth, headers, query, ip, rooms, sid), one thing that it does (event with args, connect: true,
or disconnect: REASON) and what should be decided (want: decision, rule, message, actions, ack). What want leaves out is
not compared. docs/rules.md describes each field.`,
		Example: `  config: carillon.yaml
  cases:
    - {event: join, args: ["chat:1"], want: allowed}
    - name: nobody joins the staff
      event: join
      args: [staff]
      want: denied`,
		DisableFlagsInUseLine: true,
		Args:                  arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			write := policytest.Writers[format]
			if write == nil {
				formats := strings.Join(slices.Sorted(maps.Keys(policytest.Writers)), ", ")
				return withHelp(c, fmt.Errorf("--output %q is none of %s", format, formats))
			}
			cases, err := readCases(args[0])
			if err != nil {
				return err
			}
			switch {
			case file != "":
			case cases.Config == "":
				return withHelp(c, fmt.Errorf("%s names no configuration; give --config FILE", args[0]))
			case filepath.IsAbs(cases.Config):
				file = cases.Config
			default:
				file = filepath.Join(filepath.Dir(args[0]), cases.Config)
			}
			cfg, _, err := loadConfig(file)
			if err != nil {
				return err
			}
			tester, err := gateway.NewTester(cfg)
			if err != nil {
				return err
			}
			results, err := policytest.Run(c.Context(), tester, cases.Cases)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if err := write(c.OutOrStdout(), results); err != nil {
				return failed(err)
			}
			if n := policytest.Failed(results); n > 0 {
				return failed(fmt.Errorf("%d of %d cases failed", n, len(results)))
			}
			return nil
		},
	}
	c.Flags().StringVar(&file, "config", "", "configuration `file` to test, instead of the one that CASES names")
	c.Flags().StringVar(&format, "output", "text", "text, json or junit")
	return c
}

func readCases(name string) (policytest.File, error) {
	r, err := os.Open(name)
	if err != nil {
		return policytest.File{}, err
	}
	defer r.Close()
	file, err := policytest.Read(r)
	if err != nil {
		err = fmt.Errorf("%s:\n%w", name, err)
	}
	return file, err
}
