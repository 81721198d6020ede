//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/carillon-io/carillon/internal/load"
)

func newBench() *cobra.Command {
	c := &cobra.Command{
		Use:   "bench SCENARIO --url URL",
		Short: "Put load on any Socket.IO server, and measure it",
		Long: `Put load on a Socket.IO server, whatever it is made of, and print what was measured.

For all scenarios but connect and storm the server answers four events; "gateway config doc bench" prints what that takes, as
rules for a gateway and as a server for Node.`,
		Args: unknownCommand,
		// So that a scenario of a wrong name, with flags behind it, is what is complained about.
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
		RunE:               func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	for _, s := range benchScenarios {
		c.AddCommand(newBenchScenario(s))
	}
	return c
}

// benchScenario is a scenario of the command line.
type benchScenario struct {
	name, short, long string
	flags             []string // beside the common ones
}

var benchScenarios = []benchScenario{
	{"connect", "Handshakes per second, and memory of idle connections", "", []string{"hold"}},
	{"echo", "Acknowledgements per second and their latency",
		`Without --rate each client sends its next request with the answer to the last, which hides how long others would have waited;
with --rate requests leave when they are due, whatever comes back.`, []string{"event", "inflight", "size", "rate", "duration", "warmup", "settle"}},
	{"fanout", "One room of all clients: deliveries per second and their latency", "",
		[]string{"publishers", "each-node", "all", "size", "window", "rate", "p99", "step", "drain", "duration", "warmup", "settle", "seed"}},
	{"rooms", "Many rooms of a few members",
		`Each membership is a client of its own, --rooms times --members of them. With --shared as many clients as --clients says share
them, each in several rooms.`,
		[]string{"rooms", "members", "shared", "size", "window", "rate", "p99", "step", "drain", "duration", "warmup", "settle", "seed"}},
	{"polling", "One room of clients that poll, which is fanout --transport polling", "",
		[]string{"publishers", "each-node", "all", "size", "window", "rate", "p99", "step", "drain", "duration", "warmup", "settle", "seed"}},
	{"churn", "Connect, join, leave, close, and again", "", []string{"rooms", "residents", "room-size", "life", "duration", "warmup", "settle"}},
	{"jitter", "What arrives while connections are cut now and then",
		`Messages are numbered and go to everyone. With connection state recovery everything arrives, once and in order.`,
		[]string{"cut-every", "cut-for", "half-open", "every", "duration", "size", "seed"}},
	{"storm", "All clients come back at once, after a cut or a SIGKILL",
		`Clients wait before each attempt as the official one does: a second, doubled with each, at most five. over_backoff is the time
beyond those waits.`, []string{"kill", "cut-for", "duration", "settle", "seed"}},
	{"roll", "What clients notice while you roll the servers", "", []string{"rate", "duration", "size", "settle", "seed"}},
}

func newBenchScenario(s benchScenario) *cobra.Command {
	name := s.name
	if name == "polling" {
		name = "fanout"
	}
	o := load.Defaults(name)
	if s.name == "polling" {
		o.Transport = load.Polling
	}
	var (
		output string
		quiet  bool
	)
	c := &cobra.Command{
		Use:                   s.name + " --url URL [flags]",
		Short:                 s.short,
		Long:                  s.short + ".\n\n" + s.long,
		DisableFlagsInUseLine: true,
		Args:                  arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			if output != "table" && output != "json" {
				return withHelp(c, fmt.Errorf("--output %q: table or json", output))
			}
			if s.name == "rooms" && c.Flags().Changed("clients") && !o.Shared {
				return withHelp(c, errors.New("--clients counts with --shared only; without it there are --rooms times --members clients"))
			}
			if err := o.Check(); err != nil {
				return withHelp(c, err)
			}
			if !quiet {
				o.Progress = c.ErrOrStderr()
			}
			return failed(bench(c.Context(), o, output == "json", c.OutOrStdout()))
		},
	}
	commonFlags(c.Flags(), &o)
	c.Flags().StringVar(&output, "output", "table", "table or json, one `form` on standard output")
	c.Flags().BoolVar(&quiet, "quiet", false, "say nothing of the progress")
	every := pflag.NewFlagSet("", pflag.ContinueOnError)
	scenarioFlags(every, &o)
	for _, name := range s.flags {
		c.Flags().AddFlag(every.Lookup(name))
	}
	return c
}

func commonFlags(flags *pflag.FlagSet, o *load.Options) {
	flags.StringSliceVar(&o.URLs, "url", o.URLs, "the server's `URL`: http, https, ws or wss; repeat for several, over which clients alternate")
	flags.StringVar(&o.Path, "path", o.Path, "`path` of the endpoint")
	flags.StringVar(&o.Transport, "transport", o.Transport, "websocket or polling, the `transport` of all clients")
	flags.IntVar(&o.EIO, "eio", o.EIO, "`revision` of Engine.IO: 4, or 3 as clients 2.x")
	flags.StringVar(&o.Token, "token", "", "`token` of every client, as auth.token")
	flags.BoolVar(&o.Insecure, "insecure", false, "accept any certificate")
	flags.BoolVar(&o.Deflate, "deflate", false, "offer permessage-deflate; what clients send stays plain")
	flags.IntVar(&o.Clients, "clients", o.Clients, "`number` of clients")
	flags.IntVar(&o.Concurrency, "concurrency", o.Concurrency, "`number` of handshakes under way at once")
	flags.DurationVar(&o.HandshakeTimeout, "handshake-timeout", o.HandshakeTimeout, "a handshake, its join included, that takes more `time` has failed")
	flags.DurationVar(&o.RampTimeout, "ramp-timeout", o.RampTimeout, "`time` for all handshakes")
	flags.IntVar(&o.Retries, "retries", o.Retries, "`times` that a failed handshake is tried again")
	flags.BoolVar(&o.Tolerate, "tolerate", false, "go on although handshakes failed")
	flags.IntVar(&o.Workers, "workers", o.Workers, "`number` of the generator's threads")
	flags.IntVar(&o.Addresses, "addresses", 0, "`number` of loopback addresses that clients come from; 0: one for each 4,000")
	flags.DurationVar(&o.Nap, "nap", o.Nap, "an idle thread looks at its sockets after this `time`, so that a server's writes need not wake it; 0: it blocks")
	flags.IntSliceVar(&o.PIDs, "pid", nil, "`process` of the server, whose memory and CPU are reported; repeat for several")
	flags.IntSliceVar(&o.AuxPIDs, "aux-pid", nil, "`process` of its Redis, whose CPU is reported")
	flags.StringVar(&o.CPUs, "cpus", "", "`cores` of the server, such as 0-1, whose busy time is reported")
}

func scenarioFlags(flags *pflag.FlagSet, o *load.Options) {
	flags.DurationVar(&o.Hold, "hold", o.Hold, "`time` to stay idle")
	flags.IntVar(&o.Inflight, "inflight", o.Inflight, "`number` of requests under way for each client, without a rate")
	flags.StringVar(&o.Event, "event", o.Event, "`name` of the event; of another than echo any acknowledgement counts that is no refusal")
	flags.IntVar(&o.Size, "size", o.Size, "`bytes` of a payload, 32 at least")
	flags.StringVar(&o.Rate, "rate", o.Rate, "`rate` a second in all: a number, auto to search the highest that holds, max for a closed loop")
	flags.DurationVar(&o.Duration, "duration", o.Duration, "`time` that is measured")
	flags.DurationVar(&o.Warmup, "warmup", o.Warmup, "`time` of load before what is measured")
	flags.DurationVar(&o.Settle, "settle", o.Settle, "`time` between the last handshake and the load")
	flags.IntVar(&o.Publishers, "publishers", o.Publishers, "`number` of clients that publish")
	flags.BoolVar(&o.EachNode, "each-node", false, "publish at every URL, not at the first alone")
	flags.BoolVar(&o.All, "all", false, "publish to everyone instead of to a room")
	flags.IntVar(&o.Window, "window", o.Window, "`number` of publishes outstanding in a closed loop")
	flags.DurationVar(&o.P99, "p99", o.P99, "search: the highest p99 `latency` that holds")
	flags.DurationVar(&o.Step, "step", o.Step, "search: `time` that is measured at each step")
	flags.DurationVar(&o.Drain, "drain", o.Drain, "what is missing counts as lost after this `time` in which nothing arrived")
	flags.Uint64Var(&o.Seed, "seed", o.Seed, "`seed` of what is random")
	flags.IntVar(&o.Rooms, "rooms", o.Rooms, "`number` of rooms")
	flags.IntVar(&o.Members, "members", o.Members, "`number` of members of each room")
	flags.BoolVar(&o.Shared, "shared", false, "--clients share the memberships; else one client for each")
	flags.IntVar(&o.Residents, "residents", 0, "`number` of clients that stay, in rooms of --room-size")
	flags.IntVar(&o.RoomSize, "room-size", o.RoomSize, "`number` of residents of a room")
	flags.DurationVar(&o.Life, "life", o.Life, "`time` between join and leave")
	flags.DurationVar(&o.CutEvery, "cut-every", o.CutEvery, "each client is cut once in this `time`")
	flags.DurationVar(&o.CutFor, "cut-for", o.CutFor, "`time` before a client's first attempt to come back")
	flags.BoolVar(&o.HalfOpen, "half-open", false, "leave the old connection open and silent, as a phone that changes networks does")
	flags.DurationVar(&o.Every, "every", o.Every, "`time` between two messages")
	flags.IntSliceVar(&o.Kill, "kill", nil, "`process` to kill by SIGKILL, instead of cutting all clients; repeat for several")
}

// bench runs a scenario and prints its result, also of one that failed half way.
func bench(ctx context.Context, o load.Options, asJSON bool, out io.Writer) error {
	load.Prepare(o)
	begin := time.Now()
	r, err := load.Run(ctx, o)
	if r == nil {
		return err
	}
	r["took_s"] = time.Since(begin).Round(time.Millisecond).Seconds()
	if err != nil {
		r["error"] = err.Error()
	}
	write := r.Table
	if asJSON {
		write = func(w io.Writer) error { return json.NewEncoder(w).Encode(r) }
	}
	if failedToWrite := write(out); err == nil {
		err = failedToWrite
	}
	return err
}
