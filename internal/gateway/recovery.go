package gateway

import (
	"crypto/sha256"

	"github.com/carillon-io/carillon/pkg/socketio"
)

// recovery is how clients come back whose connection broke. What they carry about events is signed with a key from the peers'
// secret, so that a node knows what another one, or this one before a restart, has signed. Where the nodes agree on the secret
// only when they run, each has a key of its own until then.
func (g *Gateway) recovery() socketio.Recovery {
	cfg := g.config.SocketIO.Recovery
	r := socketio.Recovery{
		Enabled: cfg.Enabled, Window: cfg.Window, Bytes: int(cfg.Bytes), Except: g.policy.Fresh, MoveTimeout: g.config.Adapter.RequestTimeout,
	}
	if g.moves != nil {
		r.Peers = g.moves
	}
	if secret := g.config.Peer.Secret; secret != "" {
		key := recoveryKey([]byte(secret))
		r.Key = &key
	}
	return r
}

// recoveryKey is a key that serves nothing else.
func recoveryKey(secret []byte) [sha256.Size]byte {
	return sha256.Sum256(append([]byte("carillon recovery offsets\n"), secret...))
}
