package main

import (
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/carillon-io/carillon/internal/gateway"
)

func newDev() *cobra.Command {
	var (
		address, file string
		token         bool
	)
	c := &cobra.Command{
		Use:   "dev [--config FILE] [--address HOST:PORT] [--token]",
		Short: "Run a whole system in one process: embedded Redis, demo chat",
		Long: `Run a whole system in one process: a node, a Redis, and a chat to try things on. It needs nothing but this program.

With --config your rules replace the demo's; they are read again whenever you save the file, and every event that
they refuse is printed with the reason.

With --token the demo's pages prove their names with tokens that this program signs, valid for five minutes and renewed
while a page is open; clients without one are refused.`,
		DisableFlagsInUseLine: true,
		Args:                  arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			d, err := gateway.NewDevelopment(gateway.DevOptions{
				Address: address,
				File:    file,
				Token:   token,
				Sign:    tokenCommand,
				Environ: os.Environ(),
				Version: version,
				Emit:    emitCommand,
				Out:     c.OutOrStdout(),
			})
			if err != nil {
				return err
			}
			return failed(d.Run(c.Context()))
		},
	}
	c.Flags().StringVar(&address, "address", "127.0.0.1:8080", "where the demo listens, `host:port`; the next free port when it is taken")
	c.Flags().StringVar(&file, "config", "", "configuration `file` to run over the demo's")
	c.Flags().BoolVar(&token, "token", false, "let in only clients with a token, which the demo's pages get")
	return c
}

// tokenCommand is the shell command that signs a token with a secret.
func tokenCommand(secret string) string {
	return program() + " token --sub NAME --secret " + quote(secret)
}

// emitCommand is the shell command that publishes, as far as what it publishes.
func emitCommand(flags ...string) string {
	words := []string{program(), "emit"}
	for _, flag := range flags {
		words = append(words, quote(flag))
	}
	return strings.Join(words, " ")
}

// program is how to call this program again from a shell: a binary that `go run` made is gone by then.
func program() string {
	if strings.Contains(os.Args[0], "/go-build") {
		return "go run ./cmd/gateway"
	}
	return quote(os.Args[0])
}

// plainWord is what a shell takes as it stands.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// quote makes one word of a shell command.
func quote(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
