package main

import (
	"github.com/spf13/cobra"
)

func newPolicy() *cobra.Command {
	c := &cobra.Command{
		Use:                   "policy",
		Short:                 "Test and explain the rules of a configuration",
		DisableFlagsInUseLine: true,
		Args:                  unknownCommand,
		RunE:                  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newPolicyTest(), newPolicyExplain())
	return c
}
