package socketio

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carillon-io/carillon/internal/origin"
	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/internal/sio/hub"
	"github.com/carillon-io/carillon/internal/sio/tally"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/engine"
	"go.uber.org/zap"
)

// Server is an http.Handler that serves Socket.IO under its path, "/socket.io/" by default.
type Server struct {
	// Static after construction.
	cfg     Config
	origins *origin.Policy // nil: any
	private private
	engine  *engine.Server
	conns   *conn.Set
	hubs    hub.Server
	tally   *tally.Tally
	log     *zap.Logger

	running   chan struct{}          // closed by Run, and by New where Run need not be called
	forgotten atomic.Bool            // a request has waited for Run in vain
	limits    atomic.Pointer[Limits] // in force
	table     table
	moves     moves
	sessions  adapter.Sessions // nil: sessions are on this node alone, or move between living ones
	servers   sync.WaitGroup   // one for each namespace that works on other servers' events
}

// New makes a server. It starts nothing; Run does, and with the Local adapter Run need not be called.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	io := &Server{cfg: cfg, private: newPrivate(&cfg), log: cfg.Logger, running: make(chan struct{})}
	io.SetLimits(Limits{
		Rooms: cfg.MaxRooms, Dynamic: cfg.MaxDynamic, ConnectRate: cfg.ConnectRate, ConnectBurst: cfg.ConnectBurst,
	})
	if err := io.useOrigins(); err != nil {
		return nil, fmt.Errorf("socketio: %w", err)
	}
	if io.tally, err = tally.New(cfg.Logger, cfg.Registry); err != nil {
		return nil, fmt.Errorf("socketio: register metrics: %w", err)
	}
	io.hubs = hub.Server{
		Adapter: cfg.Adapter, Tally: io.tally, MaxRooms: func() int { return io.limits.Load().Rooms },
	}
	io.conns = conn.NewSet(conn.Config{
		Parser:         cfg.Parser,
		MaxAttachments: cfg.MaxAttachments,
		MaxDepth:       cfg.MaxDepth,
		MaxNamespaces:  cfg.MaxNamespaces,
		MaxAuth:        cfg.MaxAuth,
		ConnectLimit: func() (perSecond, burst int) {
			l := io.limits.Load()
			return l.ConnectRate, l.ConnectBurst
		},
		ConnectTimeout:    cfg.ConnectTimeout,
		AttachmentTimeout: cfg.AttachmentTimeout,
		Tag:               cfg.Engine.Tag,
		Tally:             io.tally,
		Hello:             cfg.Hello,
		NewSocket:         io.newSocket,
	})
	if io.engine, err = engine.New(io.conns, io.cfg.Engine); err != nil {
		return nil, fmt.Errorf("socketio: make the engine: %w", err)
	}
	if io.hubs.Recovery, err = io.newRecovery(); err != nil {
		return nil, fmt.Errorf("socketio: %w", err)
	}
	if cfg.Registry != nil {
		if err := cfg.Registry.Register(census{io}); err != nil {
			return nil, fmt.Errorf("socketio: register metrics: %w", err)
		}
	}
	if io.isLocal() {
		close(io.running)
	}
	io.Of("/")
	return io, nil
}

func (io *Server) isLocal() bool {
	switch io.cfg.Adapter.(type) {
	case adapter.Local, *adapter.Local:
		return true
	}
	return false
}

// ServeHTTP serves every request below Config.Path, whatever follows it, and Config.Path itself without its last slash. It may
// stand behind any http.Handler; http.ServeMux redirects the latter unless it has a pattern of its own.
func (io *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, io.cfg.Path) && r.URL.Path+"/" != io.cfg.Path {
		http.NotFound(w, r)
		return
	}
	if io.origins != nil && io.origins.Preflight(w, r) {
		return
	}
	if io.ready(w, r) {
		io.engine.ServeHTTP(w, r)
	}
}

// ready reports whether requests can be served; else it has answered.
func (io *Server) ready(w http.ResponseWriter, r *http.Request) bool {
	ok := io.awaitRun(r.Context())
	if !ok {
		http.Error(w, "socketio: Server.Run has not been called, which connects the adapter", http.StatusServiceUnavailable)
	}
	return ok
}

// Run connects the adapter and serves the cluster until ctx ends. It is called once. With an adapter other than Local no
// request is served before: a server that looks alive, and whose events reach no other node, is worse than none.
func (io *Server) Run(ctx context.Context) error {
	if !io.isLocal() {
		close(io.running)
	}
	err := io.cfg.Adapter.Run(ctx, node{io})
	io.servers.Wait()
	if err != nil {
		return fmt.Errorf("socketio: run the adapter: %w", err)
	}
	return nil
}

// useOrigins has the engine ask Config.Origins before the application's own hooks.
func (io *Server) useOrigins() (err error) {
	if io.cfg.Origins == nil {
		return nil
	}
	if io.origins, err = origin.New(io.cfg.Origins, false); err != nil {
		return err
	}
	check, headers := io.cfg.Engine.Check, io.cfg.Engine.Headers
	io.cfg.Engine.Check = func(r *http.Request) *engine.Refusal {
		switch {
		case !io.origins.Allows(r):
			return &engine.Refusal{
				Status: http.StatusForbidden, Code: 4, Message: "Forbidden",
				Cause: fmt.Sprintf("Origin %q is neither listed nor the Host %q", r.Header.Get("Origin"), r.Host),
			}
		case check != nil:
			return check(r)
		}
		return nil
	}
	io.cfg.Engine.Headers = func(r *http.Request, h http.Header) {
		io.origins.Headers(r, h)
		if headers != nil {
			headers(r, h)
		}
	}
	return nil
}

// runWithin is how long the first request waits for Run, which programs call on a goroutine of its own.
const runWithin = 5 * time.Second

// awaitRun reports whether Run has been called where it must be, and waits for it a moment.
func (io *Server) awaitRun(ctx context.Context) bool {
	select {
	case <-io.running:
		return true
	default:
	}
	if io.forgotten.Load() {
		return false
	}
	late := time.NewTimer(runWithin)
	defer late.Stop()
	select {
	case <-io.running:
		return true
	case <-ctx.Done():
		return false
	case <-late.C:
	}
	if !io.forgotten.Swap(true) {
		io.log.Error("Server.Run has not been called: requests are refused")
	}
	return false
}

// Engine is the server's Engine.IO layer.
func (io *Server) Engine() *engine.Server { return io.engine }

// Shutdown drains: it refuses new connections, closes the open ones evenly over Config.DrainWindow, each after what was
// queued for it, and waits until their disconnect handlers have returned. Clients come back, to another node, which fetches
// their sessions; those of clients that have not yet are handed to other nodes from the end of the window on. For that, clients
// that do not let go are cut when half of what ctx gives beyond the window is over. When ctx ends first, what is left is cut. The
// error is then that of a context. It must not be called from a handler.
func (io *Server) Shutdown(ctx context.Context) error {
	io.moves.leaving.Store(true)
	drained := make(chan struct{})
	handed := make(chan struct{})
	go func() {
		defer close(handed)
		select {
		case <-time.After(io.cfg.DrainWindow):
		case <-drained:
		}
		io.handOver(ctx, drained)
	}()
	letting, cancel := io.letGoWithin(ctx)
	defer cancel()
	err := io.engine.Drain(letting, io.cfg.DrainWindow)
	io.engine.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.conns.Wait()
		close(drained)
		<-handed
		io.settle()
	}()
	select {
	case <-done:
	case <-ctx.Done():
		if err == nil {
			return fmt.Errorf("socketio: wait for handlers: %w", ctx.Err())
		}
	}
	if err != nil {
		return fmt.Errorf("socketio: drain: %w", err)
	}
	return nil
}

// letGoWithin is how long a drain waits for its clients: a connection that is half open lets go of nothing, and would leave no
// time for the sessions of all others.
func (io *Server) letGoWithin(ctx context.Context) (context.Context, context.CancelFunc) {
	end, bounded := ctx.Deadline()
	if !bounded || !io.handsOver() {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, end.Add(-(time.Until(end)-io.cfg.DrainWindow)/2))
}

// Close ends every session at once and waits until the handlers have returned. It must not be called from a handler.
// The adapter ends with the context of Run.
func (io *Server) Close() {
	io.engine.Close()
	io.settle()
}

// settle waits until nothing of what connections have started runs any more.
func (io *Server) settle() {
	io.conns.Wait()
	io.moves.settle()
	if io.hubs.Recovery != nil {
		io.hubs.Recovery.Close()
	}
	io.hubs.Wait()
	io.conns.Close()
}

// withDeadline returns ctx with Config.AckTimeout where it has no deadline of its own.
func (io *Server) withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, io.cfg.AckTimeout)
}
