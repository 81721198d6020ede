package socketio

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/rooms"
	"go.uber.org/zap"
)

// Server is an http.Handler that serves Socket.IO under its path, "/socket.io/" by default.
type Server struct {
	// Static after construction.
	cfg     Config
	adapter adapter.Adapter
	private private
	engine  *engine.Server
	metrics *metrics
	log     *zap.Logger

	limits  limits
	table   table
	members sync.Pool // *[]*rooms.Member[*Socket], what broadcasts select into

	workers workers
	clients sync.WaitGroup // one for each connection whose handlers may still run
	servers sync.WaitGroup // one for each namespace that works on other servers' events
	tellers sync.WaitGroup // one for each namespace whose handlers are told of rooms
}

// New makes a server. It starts nothing; Run does, and with the Local adapter Run need not be called.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	io := &Server{cfg: cfg, adapter: cfg.Adapter, private: newPrivate(&cfg), log: cfg.Logger}
	io.SetLimits(Limits{Rooms: cfg.MaxRooms, Dynamic: cfg.MaxDynamic})
	io.workers.init()
	io.members.New = func() any { return new([]*rooms.Member[*Socket]) }
	if io.engine, err = engine.New(opener{io}, cfg.Engine); err != nil {
		return nil, fmt.Errorf("socketio: make the engine: %w", err)
	}
	if io.metrics, err = newMetrics(io, cfg.Registry); err != nil {
		return nil, fmt.Errorf("socketio: register metrics: %w", err)
	}
	io.Of("/")
	return io, nil
}

// ServeHTTP serves every request below Config.Path, whatever follows it, and Config.Path itself without its last slash. It may
// stand behind any http.Handler; http.ServeMux redirects the latter unless it has a pattern of its own.
func (io *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, io.cfg.Path) && r.URL.Path+"/" != io.cfg.Path {
		http.NotFound(w, r)
		return
	}
	io.engine.ServeHTTP(w, r)
}

// Run connects the adapter and serves the cluster until ctx ends. It is called once.
func (io *Server) Run(ctx context.Context) error {
	err := io.adapter.Run(ctx, node{io})
	io.servers.Wait()
	if err != nil {
		return fmt.Errorf("socketio: run the adapter: %w", err)
	}
	return nil
}

// Engine is the server's Engine.IO layer.
func (io *Server) Engine() *engine.Server { return io.engine }

// Shutdown drains: it refuses new connections, closes the open ones evenly over Config.DrainWindow, each after what was
// queued for it, and waits until their disconnect handlers have returned. Clients come back, to another node. When ctx
// ends first, what is left is cut and the error is ctx's. It must not be called from a handler.
func (io *Server) Shutdown(ctx context.Context) error {
	err := io.engine.Drain(ctx, io.cfg.DrainWindow)
	io.engine.Close()
	done := make(chan struct{})
	go func() {
		io.settle()
		close(done)
	}()
	if err != nil {
		return fmt.Errorf("socketio: drain: %w", err)
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("socketio: wait for handlers: %w", ctx.Err())
	}
}

// Close ends every session at once and waits until the handlers have returned. It must not be called from a handler.
// The adapter ends with the context of Run.
func (io *Server) Close() {
	io.engine.Close()
	io.settle()
}

// settle waits until nothing of what connections have started runs any more.
func (io *Server) settle() {
	io.clients.Wait()
	io.tellers.Wait()
	io.workers.close()
}

// opener hears from the engine of new sessions.
type opener struct{ io *Server }

func (o opener) Open(s *engine.Session) engine.Receiver { return newClient(o.io, s) }
