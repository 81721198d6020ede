//go:build !linux

package main

import (
	"errors"

	"github.com/spf13/cobra"
)

func newBench() *cobra.Command {
	return &cobra.Command{
		Use:   "bench",
		Short: "Put load on any Socket.IO server, and measure it (Linux)",
		RunE: func(*cobra.Command, []string) error {
			return failed(errors.New("bench: the load generator runs on Linux"))
		},
	}
}
