package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/carillon-io/carillon/internal/auth"
	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/demo"
	"github.com/carillon-io/carillon/internal/policy"
)

// DevOptions is what `gateway dev` was started with.
type DevOptions struct {
	Address string // of the demo; a busy port moves on to the next free one
	File    string // configuration over the demo's; empty: none
	Token   bool   // clients need a token, which the demo's pages get
	Environ []string
	Version string
	// Sign is the shell command that signs a token with a secret.
	Sign func(secret string) string
	// Emit is the shell command that publishes, with flags of `gateway emit` that say where to.
	Emit func(flags ...string) string
	Out  io.Writer // what the user reads
}

// Development is a whole system in one process: a node, a Redis, and the demo.
type Development struct {
	options  DevOptions
	source   Source
	config   config.Config
	warnings []config.Warning
	embedded bool // the Redis is this process's own
}

// devKey is the key of the HTTP API, which listens on loopback; pages of strangers cannot send it.
const devKey = "dev"

// portsTried is how far a busy port is moved before giving up.
const portsTried = 100

// clientBundleDir is where `make client` puts the official browser client.
const clientBundleDir = "client"

// NewDevelopment reads the demo's configuration with the user's over it. What is wrong with that is found here; it starts
// nothing.
func NewDevelopment(o DevOptions) (*Development, error) {
	if _, _, err := splitAddress(o.Address); err != nil {
		return nil, err
	}
	base, err := demoConfig(o.Address, o.Token)
	if err != nil {
		return nil, err
	}
	d := &Development{options: o, source: Source{File: o.File, Environ: o.Environ, base: &base}}
	d.config, d.warnings, err = d.source.Load()
	if !d.config.Redis.Configured() {
		// What needs a Redis will have one: the address is known once it listens.
		d.embedded, base.Redis.URL = true, "redis://127.0.0.1"
		d.config, d.warnings, err = d.source.Load()
	}
	if err != nil {
		return nil, err
	}
	return d, Check(d.config, nil)
}

// demoConfig is what holds where the user says nothing.
func demoConfig(address string, token bool) (config.Config, error) {
	base := config.Default()
	base.Server.Address = address
	base.Ops.Address = "127.0.0.1:9090"
	base.API.Address, base.API.Keys = "127.0.0.1:9092", []config.Secret{devKey}
	base.Engine.EIO3 = true
	base.Native.Path, base.SSE.Path = "/ws", "/sse"
	base.Drain = config.Drain{}
	base.Log = config.Log{Level: "warn", Format: config.LogConsole}
	if _, err := os.Stat(clientBundleDir); err == nil {
		base.Server.ClientBundle = clientBundleDir
	}
	rules := demo.Rules()
	if token {
		base.Auth.JWT.Secret = config.Secret(rand.Text() + rand.Text()) // one alone is shorter than 32 bytes, which is warned of
		rules = demo.TokenRules()
	}
	base, _, err := config.Load(config.Source{Base: &base, Name: "the demo's rules", File: rules})
	return base, err
}

// Run serves until ctx ends.
func (d *Development) Run(ctx context.Context) error {
	if d.embedded {
		server, err := startMiniredis()
		if err != nil {
			return err
		}
		defer server.Close()
		d.useRedis(config.URL("redis://" + server.Addr()))
	}
	clients, err := listenNear(d.config.Server.Address)
	if err != nil {
		return err
	}
	ops, err := listenNear(d.config.Ops.Address)
	if err != nil {
		return errors.Join(err, clients.Close())
	}
	backends, err := d.listenAPI()
	if err != nil {
		return errors.Join(err, clients.Close(), ops.Close())
	}
	publish := d.publish()
	out := terminal{d.options.Out}
	g, err := New(Options{
		Config:          d.config,
		Source:          &d.source,
		Version:         d.options.Version,
		Log:             out,
		Clients:         clients,
		Ops:             ops,
		API:             backends,
		Root:            demo.Handler(publish, d.signer()),
		LoopbackOrigins: true,
		EmbeddedRedis:   d.embedded,
		OnDecision:      func(d *policy.Decision) { fmt.Fprint(out, d.Notice()) },
		OnReload:        func() { fmt.Fprintf(out, "reloaded %s\n", d.options.File) },
	})
	if err != nil {
		err = errors.Join(err, clients.Close(), ops.Close())
		if backends != nil {
			err = errors.Join(err, backends.Close())
		}
		return err
	}
	for _, warning := range d.warnings {
		fmt.Fprintln(out, "warning:", warning)
	}
	fmt.Fprintf(out, banner, d.demoURL(clients), d.config.Redis.URL, port(ops), apiURL(backends), publish)
	if secret := d.source.base.Auth.JWT.Secret; secret != "" && secret == d.config.Auth.JWT.Secret {
		fmt.Fprintf(out, tokenBanner, d.options.Sign(string(secret)))
	}
	return g.Run(ctx)
}

// listenAPI opens the listener of the HTTP API; nil where the user has turned it off.
func (d *Development) listenAPI() (net.Listener, error) {
	if d.config.API.Address == "" {
		return nil, nil
	}
	return listenNear(d.config.API.Address)
}

func apiURL(l net.Listener) string {
	if l == nil {
		return "off"
	}
	return fmt.Sprintf("http://localhost:%d/v1/openapi.json", port(l))
}

// useRedis makes the embedded Redis what the user's configuration stands on, now and when it is read again.
func (d *Development) useRedis(url config.URL) {
	for _, cfg := range []*config.Config{d.source.base, &d.config} {
		cfg.Redis.URL = url
		if cfg.Adapter.Kind != config.AdapterStreams {
			cfg.Adapter.Kind = config.AdapterPubSub
		}
	}
}

const banner = `
  Carillon is running. Ctrl-C ends it.

    demo      %s
    redis     %s
    metrics   http://localhost:%d/metrics
    http api  %s

  Publish from another shell, as any backend would:

    %s

`

const tokenBanner = `  Clients need a token. Sign one for a client of your own:

    %s

`

// demoTokenTTL is short, so that renewing shows. The page renews every two minutes.
const demoTokenTTL = 5 * time.Minute

// signer makes the tokens of the demo's pages; nil where they need none.
func (d *Development) signer() func(name string) (string, error) {
	if !d.options.Token {
		return nil
	}
	return func(name string) (string, error) {
		return auth.Sign(d.config.Auth.JWT, map[string]any{"sub": name}, demoTokenTTL)
	}
}

func (d *Development) demoURL(clients net.Listener) string {
	scheme := "http"
	if d.config.Server.TLS.Cert != "" {
		scheme = "https"
	}
	return fmt.Sprintf("%s://localhost:%d/", scheme, port(clients))
}

// publish is a command whose event reaches every open page of the demo.
func (d *Development) publish() string {
	where := []string{"--config", d.options.File}
	if d.embedded || d.options.File == "" {
		where = []string{"--redis", d.config.Redis.URL.String()}
		if key := d.config.Adapter.Key; key != config.Default().Adapter.Key {
			where = append(where, "--key", key)
		}
	}
	return d.options.Emit(where...) + ` announcement "Hello from a backend"`
}

// startMiniredis starts the Redis of this process on its usual port, or the next free one.
func startMiniredis() (*miniredis.Miniredis, error) {
	server := miniredis.NewMiniRedis()
	server.ClockTTL(true)
	for port := 6379; port < 6379+portsTried; port++ {
		err := server.StartAddr(net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return server, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("embedded Redis: %w", err)
		}
	}
	return nil, fmt.Errorf("embedded Redis: no free port from 6379 to %d", 6379+portsTried-1)
}

// listenNear listens at address, or at the next free port after it.
func listenNear(address string) (net.Listener, error) {
	host, first, err := splitAddress(address)
	if err != nil {
		return nil, err
	}
	for port := first; port < first+portsTried; port++ {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) {
			return l, err
		}
	}
	return nil, fmt.Errorf("no free port from %s on", address)
}

func splitAddress(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	port, err = net.LookupPort("tcp", text)
	return host, port, err
}

func port(l net.Listener) int {
	return l.Addr().(*net.TCPAddr).Port
}
