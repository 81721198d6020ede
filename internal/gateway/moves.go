package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/redissessions"
	"github.com/carillon-io/carillon/internal/relay"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/socketio"
)

// moves is how Socket.IO sessions reach the node that their clients come back to: over the peer listener, and entered in Redis.
type moves struct {
	*redissessions.Registry

	// Static once reach was called, which is before anything is served.
	peers     relay.Peers
	directory relay.Directory
}

var _ socketio.Peers = (*moves)(nil)

// entryGrace is how long an entry outlives the session's window.
const entryGrace = time.Minute

// newMoves makes it where sessions can move: with recovery, and an adapter that cuts the order of commands; else nil.
func (g *Gateway) newMoves(cfg config.Config, registry prometheus.Registerer) (err error) {
	if !cfg.SocketIO.Recovery.Enabled || g.redis == nil || adapter.FencerOf(g.adapter) == nil {
		return nil
	}
	m := new(moves)
	m.Registry, err = redissessions.New(redissessions.Config{
		Client: g.redis, Prefix: cfg.Redis.Prefix, Expiry: cfg.SocketIO.Recovery.Window + entryGrace, Timeout: cfg.Adapter.RequestTimeout,
		Logger: g.logger.Named("recovery"), Registerer: registry,
	})
	if err != nil {
		return err
	}
	g.moves = m
	return nil
}

func (m *moves) reach(peers relay.Peers, directory relay.Directory) {
	m.peers, m.directory = peers, directory
}

// Entry is what is entered for a session.
func (m *moves) Entry(ctx context.Context, pid string) (string, error) { return m.Get(ctx, pid) }

// Call hands a request to the node of a tag. A node is gone when it has no record, or nothing listens at its address. Two nodes
// may have a tag for a while: the first that can be reached answers.
func (m *moves) Call(ctx context.Context, tag, call string, request []byte) (io.ReadCloser, error) {
	bases, err := m.directory.Owners(ctx, tag)
	if err != nil {
		return nil, fmt.Errorf("find the node of a session: %w", err)
	}
	for _, base := range bases {
		answer, err := m.peers.Move(ctx, base, call, request)
		if declined := (*relay.StatusError)(nil); errors.As(err, &declined) && declined.Status == http.StatusConflict {
			return nil, fmt.Errorf("%w: %w", socketio.ErrDeclined, err)
		}
		if !refusesConnections(err) {
			return answer, err
		}
	}
	return nil, socketio.ErrNoPeer
}

// refusesConnections reports whether nothing listens any more where a request went.
func refusesConnections(err error) bool {
	var dial *net.OpError
	return errors.As(err, &dial) && dial.Op == "dial" && errors.Is(err, syscall.ECONNREFUSED)
}

// Others lists a tag of each other node.
func (m *moves) Others(ctx context.Context) ([]string, error) {
	switch d := m.directory.(type) {
	case interface{ Others() []string }:
		return d.Others(), nil
	case interface {
		Others(ctx context.Context) []string
	}:
		return d.Others(ctx), nil
	}
	return nil, nil
}
