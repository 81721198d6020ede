package gateway

import (
	"crypto/sha256"

	"github.com/carillon-io/carillon/pkg/socketio"
)

// recovery is how clients come back whose connection broke. What they carry about events is signed with a key from
// peer.secret, so that a node knows what another one, or this one before a restart, has signed; without it each process has a
// key of its own.
func (g *Gateway) recovery() socketio.Recovery {
	cfg := g.config.SocketIO.Recovery
	r := socketio.Recovery{Enabled: cfg.Enabled, Window: cfg.Window, Bytes: int(cfg.Bytes), Except: g.policy.Fresh}
	if secret := g.config.Peer.Secret; secret != "" {
		key := sha256.Sum256([]byte("carillon recovery offsets\n" + string(secret)))
		r.Key = &key
	}
	return r
}
