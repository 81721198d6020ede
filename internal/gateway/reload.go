package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/auth"
	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/pkg/socketio"
)

// watchInterval is how often the files of the configuration are looked at. They are read rather than watched: a mounted
// ConfigMap changes by a symbolic link beside the file, and many editors put another file in its place.
const watchInterval = 500 * time.Millisecond

// reloader reads the configuration again while the node runs.
type reloader struct {
	// Static after construction.
	source  *Source // nil: there is nothing to read
	started config.Config
	done    func() // called after each configuration that was applied; may be nil
	success prometheus.Gauge
	applied prometheus.Counter
	refused prometheus.Counter
	removed prometheus.Counter // sockets

	mu sync.Mutex // held while a configuration is applied
	// mu guards the following.
	tls config.TLS // in use, whose files are watched too
	jwt config.JWT // likewise
	api config.API // likewise
}

var (
	errNoSource   = errors.New("reload: the configuration came without a source to read it from again")
	errUnreadable = errors.New("reload: the configuration cannot be read")
)

func newReloader(o Options, registry prometheus.Registerer) *reloader {
	results := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "carillon", Name: "config_reloads_total",
		Help: "Configurations read again while running: applied, or refused whole because of a fault.",
	}, []string{"result"})
	r := &reloader{
		source:  o.Source,
		started: o.Config,
		done:    o.OnReload,
		tls:     o.Config.Server.TLS,
		jwt:     o.Config.Auth.JWT,
		api:     o.Config.API,
		success: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "carillon", Name: "config_reload_success",
			Help: "1 when the configuration read last is in force, 0 when it was refused and an older one goes on.",
		}),
		applied: results.WithLabelValues("applied"),
		refused: results.WithLabelValues("refused"),
	}
	r.removed = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: "carillon", Name: "config_removed_sockets_total",
		Help: "Sockets disconnected because their namespace was taken out of the configuration.",
	})
	r.success.Set(1)
	registry.MustRegister(r.success, r.removed, results)
	return r
}

// closeNamespaces disconnects the sockets of namespaces that the policy no longer knows: an operator who takes a namespace
// away has shut it.
func (g *Gateway) closeNamespaces() {
	for _, n := range g.socketio.Namespaces() {
		if g.policy.Label(n.Name()) != "" {
			continue
		}
		sockets := n.Close(socketio.ServerDisconnect)
		g.reloader.removed.Add(float64(sockets))
		g.logger.Info("namespace removed", zap.String("namespace", n.Name()), zap.Int("sockets", sockets))
	}
}

// Reload reads the configuration again and puts in force what a running node can change: namespaces, limits, certificates,
// keys of tokens, log level. No connection is dropped. A configuration with a fault is refused whole: the one before goes on, as it does
// where the files cannot be read, which says nothing about them. Safe for concurrent use.
func (g *Gateway) Reload() error {
	r := g.reloader
	if r.source == nil {
		return errNoSource
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := digest(r.filesLocked()); err != nil {
		g.logger.Warn("configuration cannot be read, the one before goes on", zap.Error(err))
		return fmt.Errorf("%w: %w", errUnreadable, err)
	}
	cfg, warnings, err := r.source.Load()
	if err == nil {
		err = g.applyLocked(cfg)
	}
	if err != nil {
		r.success.Set(0)
		r.refused.Inc()
		g.logFaults(err)
		return err
	}
	r.success.Set(1)
	r.applied.Inc()
	g.logWarnings(warnings)
	if keys := needRestart(r.started, cfg); len(keys) > 0 {
		g.logger.Warn("these keys take effect after a restart", zap.Strings("keys", keys))
	}
	g.logger.Info("configuration reloaded")
	if r.done != nil {
		r.done()
	}
	return nil
}

// applyLocked puts cfg in force: whatever may fail comes first.
func (g *Gateway) applyLocked(cfg config.Config) error {
	level, err := parseLevel(cfg.Log.Level)
	if err != nil {
		return err
	}
	renew, err := g.certificate.prepare(cfg.Server.TLS)
	if err != nil {
		return err
	}
	replaceKeys, err := g.tokens.Prepare(cfg.Auth.JWT)
	if err != nil {
		return err
	}
	replaceAPI, err := g.api.prepare(cfg.API)
	if err != nil {
		return err
	}
	if err := g.policy.Replace(policyConfig(cfg)); err != nil {
		return err
	}
	if g.webhooks != nil {
		g.webhooks.Set(cfg.Routes)
	}
	if g.upstream != nil {
		g.upstream.Replace(cfg.Routes)
	}
	g.closeNamespaces()
	replaceKeys()
	replaceAPI()
	renew()
	g.limits.set(cfg.Limits)
	g.level.SetLevel(level)
	g.reloader.tls, g.reloader.jwt, g.reloader.api = cfg.Server.TLS, cfg.Auth.JWT, cfg.API
	return nil
}

// needRestart names the keys that differ and cannot change while the node runs.
func needRestart(before, after config.Config) []string {
	keys := config.RestartKeys(before, after)
	if before.Server.TLS.Cert == "" != (after.Server.TLS.Cert == "") {
		keys = append(keys, "server.tls") // from plain to encrypted, or back
	}
	return keys
}

// files are those whose change calls for a reload.
func (r *reloader) files() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.filesLocked()
}

func (r *reloader) filesLocked() []string {
	return slices.Concat(r.source.files(), certificateFiles(r.tls), auth.Files(r.jwt), apiFiles(r.api))
}

// watch calls changed when the content of a file has changed and stayed the same for one interval: a file half written is
// no configuration. files is called each time. While a file cannot be read nothing is taken to have changed; where that
// happens to changed itself it returns errUnreadable, and is called again.
func watch(ctx context.Context, files func() []string, changed func() error) {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	known, _ := digest(files()) // unreadable: the configuration is read again as soon as it can be
	last := known
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, err := digest(files())
		if err != nil {
			continue
		}
		if now != known && now == last && !errors.Is(changed(), errUnreadable) {
			known = now
		}
		last = now
	}
}

// logFaults writes one line for each fault.
func (g *Gateway) logFaults(err error) {
	var faults *config.Error
	if !errors.As(err, &faults) {
		g.logger.Error("configuration refused, the one before goes on", zap.Error(err))
		return
	}
	for _, fault := range faults.Faults {
		g.logger.Error("configuration refused, the one before goes on", zap.Stringer("fault", fault))
	}
}

func (g *Gateway) logWarnings(warnings []config.Warning) {
	for _, warning := range warnings {
		g.logger.Warn("configuration", zap.Stringer("warning", warning))
	}
}
