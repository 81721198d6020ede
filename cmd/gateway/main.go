// Command gateway is a Socket.IO pub/sub gateway: see gateway help.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/carillon-io/carillon/internal/config"
)

// version is set by the linker.
var version = "dev"

// Exit codes.
const (
	exitClean  = 0
	exitFailed = 1 // while running
	exitUsage  = 2 // command line or configuration
)

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	// The adapter says what becomes of its connections; what the library would print of each attempt adds nothing.
	redis.SetLogger(silence{})
	ctx, cancel := signalContext()
	defer cancel()
	root := newRoot()
	root.SetArgs(spareNumbers(args))
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitClean
	}
	fmt.Fprintln(os.Stderr, "gateway:", config.Mask(err.Error()))
	var failure *failedError
	if errors.As(err, &failure) {
		return exitFailed
	}
	return exitUsage
}

// silence is go-redis' own logger.
type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// failedError marks what went wrong after the command line and the configuration were found right.
type failedError struct{ error }

func (e *failedError) Unwrap() error { return e.error }

// failed marks err, when there is one, as a failure while running; a configuration found wrong then still counts as one.
func failed(err error) error {
	var wrong *config.Error
	if err == nil || errors.As(err, &wrong) {
		return err
	}
	return &failedError{err}
}

// signalContext ends with the first SIGINT or SIGTERM; the second leaves at once.
func signalContext() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		<-signals
		os.Exit(exitFailed)
	}()
	return ctx, cancel
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "gateway",
		Short: "A horizontally scalable pub/sub gateway for Socket.IO clients",
		Long: `Carillon: a horizontally scalable pub/sub gateway for Socket.IO clients.

Begin with "gateway dev": it needs nothing else, and shows a chat to try things on.`,
		Args:          unknownCommand,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(withHelp)
	root.AddCommand(newDev(), newServe(), newConfig(), newEmit(), newToken(), newPolicy(), newRebalance(), newBench(), newHealthcheck(), newVersion())
	return root
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:                   "version",
		Short:                 "Print the version",
		DisableFlagsInUseLine: true,
		Args:                  arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(c.OutOrStdout(), version)
			return failed(err)
		},
	}
}

// unknownCommand refuses the arguments of a command that has only commands of its own.
func unknownCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	meant := ""
	c.SuggestionsMinimumDistance = 2
	if similar := c.SuggestionsFor(args[0]); len(similar) > 0 {
		meant = "; did you mean " + strings.Join(similar, " or ") + "?"
	}
	return withHelp(c, fmt.Errorf("unknown command %q for %q%s", args[0], c.CommandPath(), meant))
}

// arguments accepts a number of arguments from least to most; without a most, any number.
func arguments(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return withHelp(c, fmt.Errorf("%s: an argument is missing", c.UseLine()))
		case most >= 0 && len(args) > most:
			return withHelp(c, fmt.Errorf("%s: %q is one argument too many", c.UseLine(), args[most]))
		}
		return nil
	}
}

const anyNumber = -1

// withHelp adds where to read on.
func withHelp(c *cobra.Command, err error) error {
	return fmt.Errorf("%w\nSee %s --help", err, c.CommandPath())
}
