package main

import (
	"cmp"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/carillon-io/carillon/internal/gateway"
)

func newServe() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "serve [--config FILE]",
		Short: "Run a production node",
		Long: `Run a production node until SIGTERM or Ctrl-C, which drain it; a second one leaves at once.

Every key of the configuration is also an environment variable, server.address is CARILLON_SERVER_ADDRESS; the file may be
left out.
Namespaces, limits, certificates and the log level follow the files when they change, and on SIGHUP.
OTEL_EXPORTER_OTLP_ENDPOINT names an OpenTelemetry collector that is to get traces of messages on their way through Redis.`,
		DisableFlagsInUseLine: true,
		Args:                  arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			// From here on SIGHUP does not end the process, even while there is no node yet to reload.
			hangUps := make(chan os.Signal, 1)
			signal.Notify(hangUps, syscall.SIGHUP)
			source := &gateway.Source{File: file, Environ: os.Environ()}
			cfg, warnings, err := source.Load()
			if err != nil {
				return err
			}
			traces, err := tracing(c.Context())
			if err != nil {
				return err
			}
			g, err := gateway.New(gateway.Options{
				Config: cfg, Warnings: warnings, Source: source, Version: version, Log: os.Stderr, Tracing: traces, Pod: pod(),
			})
			if err != nil {
				// New stops at the first fault; Check names them all.
				return cmp.Or(gateway.Check(cfg, nil), err)
			}
			go func() {
				for range hangUps {
					_ = g.Reload() // the node logs what came of it
				}
			}()
			return failed(g.Run(c.Context()))
		},
	}
	c.Flags().StringVar(&file, "config", "", "configuration `file`; the environment is applied over it")
	return c
}

// pod is where this process runs, when the chart lets it write its pod's deletion cost; nil otherwise.
func pod() *gateway.Pod {
	name, namespace := os.Getenv("POD_NAME"), os.Getenv("POD_NAMESPACE")
	host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
	if name == "" || namespace == "" || host == "" {
		return nil
	}
	return &gateway.Pod{
		Name: name, Namespace: namespace, Server: "https://" + net.JoinHostPort(host, port),
		Credentials: "/var/run/secrets/kubernetes.io/serviceaccount",
	}
}
