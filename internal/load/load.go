//go:build linux

package load

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// Run plays a scenario and returns what it measured. An error means that it could not be played; what was measured until then
// is returned with it. It ends early with ctx, with its error.
func Run(ctx context.Context, o Options) (Result, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	g, err := newGenerator(ctx, &o)
	if err != nil {
		return nil, err
	}
	defer g.close()
	play := map[string]func(*generator) (Result, error){
		"connect": connectScenario, "echo": echoScenario, "fanout": pubsubScenario, "rooms": pubsubScenario, "churn": churnScenario,
		"jitter": jitterScenario, "storm": stormScenario, "roll": stormScenario,
	}[o.Scenario]
	r, err := play(g)
	if r == nil {
		r = Result{}
	}
	r["scenario"], r["transport"], r["eio"] = o.Scenario, o.Transport, o.EIO
	r["gen_rss_mb"] = rounded(float64(ResidentBytes([]int{os.Getpid()})) / 1e6)
	if o.Deflate {
		deflated := int64(0)
		g.collect(func(w *worker) { deflated += w.deflated })
		r["deflated_messages"] = deflated
	}
	if errors := g.noted(); len(errors) > 0 {
		r["errors"] = errors
	}
	switch {
	case ctx.Err() != nil:
		return r, fmt.Errorf("%s: interrupted: %w", o.Scenario, context.Cause(ctx))
	case err != nil:
		return r, fmt.Errorf("%s: %w", o.Scenario, err)
	}
	return r, nil
}

// checkDescriptors refuses more connections than this process may open.
func (o *Options) checkDescriptors() error {
	need, limit := uint64(o.connections()), unix.Rlimit{}
	if o.Transport == Polling {
		need *= 2 // one for polls and one for posts
	}
	const others = 100 // the process' own
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err == nil && need+others > limit.Cur {
		return fmt.Errorf("%d connections need as many descriptors, and the limit is %d: raise it with ulimit -n", need, limit.Cur)
	}
	return nil
}

// Prepare makes this process fit to run o: as many descriptors as it may have, few threads, rare garbage collections.
func Prepare(o Options) {
	raiseDescriptors()
	runtime.GOMAXPROCS(o.Workers + 2)
	debug.SetGCPercent(400)
}

// raiseDescriptors raises the limit as far as it goes: to a million for root.
func raiseDescriptors() {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return
	}
	for _, want := range []uint64{1 << 20, limit.Max} {
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: want, Max: max(want, limit.Max)}) == nil {
			return
		}
	}
}

// connections is how many there will be.
func (o *Options) connections() int {
	switch {
	case o.Scenario == "rooms" && !o.Shared:
		return o.Rooms * o.Members
	case o.Scenario == "fanout":
		return o.Clients + o.Publishers
	case o.Scenario == "churn":
		return o.Clients + o.Residents
	}
	return o.Clients
}
