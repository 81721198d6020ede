package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/carillon-io/carillon/internal/config"
)

// healthcheckTimeout bounds the whole check: a node that takes longer to say that it is ready is not.
const healthcheckTimeout = 2 * time.Second

func newHealthcheck() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "healthcheck [--config FILE]",
		Short: "Exit 0 when the node of this machine is ready",
		Long: `Ask the node of this machine or container whether it is ready: exit 0 when its /readyz answers 200, else 1.

It looks where "gateway serve" with the same file and environment has its ops listener (ops.address). It is for images
without a shell and for service managers; Kubernetes asks /readyz itself.`,
		DisableFlagsInUseLine: true,
		Args:                  arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, _, err := config.LoadFile(file, os.Environ())
			var faults *config.Error
			if err != nil && !errors.As(err, &faults) {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), healthcheckTimeout)
			defer cancel()
			notReady := askReady(ctx, cfg.Ops.Address)
			if notReady != nil && err != nil {
				return err
			}
			// A node goes on with what it has when its file was changed for the worse; faults alone do not make it sick.
			return failed(notReady)
		},
	}
	c.Flags().StringVar(&file, "config", "", "configuration `file` of the node; the environment is applied over it")
	return c
}

// askReady returns nil when the ops listener at address, which may name no host or a wildcard, says that the node is ready.
func askReady(ctx context.Context, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		return err
	}
	// Not the default transport: a proxy from the environment has no way to this machine.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		return nil
	}
	const enough = 4 << 10
	conditions, err := io.ReadAll(io.LimitReader(response.Body, enough))
	if err != nil {
		return err
	}
	return fmt.Errorf("not ready: %s: %s", response.Status, bytes.TrimSpace(conditions))
}
