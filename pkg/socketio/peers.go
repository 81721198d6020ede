package socketio

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
)

// Peers is how a server reaches the other servers of its cluster, for clients that come back to another one than they were
// connected to. All methods are safe for concurrent use.
type Peers interface {
	// Call hands a request to the server that has a tag, whose Server.ServePeer answers it. The answer is to be closed. The error is
	// ErrNoPeer where no such server is alive, and ErrDeclined where ServePeer answered with status 409; any other means that the
	// server was not reached.
	Call(ctx context.Context, tag, call string, request []byte) (answer io.ReadCloser, err error)
	// Others lists the tags of the servers that are alive and take clients, this one left out.
	Others(ctx context.Context) (tags []string, err error)

	// Entry returns what is entered for a session; empty: nothing is.
	Entry(ctx context.Context, pid string) (entry string, err error)
	// Swap enters something for a session instead of from; false: something else is entered. With an error either may be true. An
	// entry stays for a minute longer than sessions wait for their clients.
	Swap(ctx context.Context, pid, from, to string) (swapped bool, err error)
	// Hold keeps an entry of this server until Drop. It does not wait.
	Hold(pid, entry string)
	// Drop ends Hold: the session is over, or another server's. It does not wait.
	Drop(pid, entry string)
}

// ErrNoPeer is for a call to a server that is gone.
var ErrNoPeer = errors.New("socketio: no server has the tag")

// ErrDeclined is for a call that a server has answered, and cannot serve now.
var ErrDeclined = errors.New("socketio: the server cannot do that now")

// The calls of ServePeer, in their order.
const (
	callReserve = "reserve" // a client claims a session: may it move?
	callCut     = "cut"     // publish a fence, and hand over what was before it
	callDone    = "done"    // the session has moved, or cannot
	callAdopt   = "adopt"   // fetch these sessions, the node that has them leaves
	callAlive   = "alive"   // does the client answer for which this session is fetched? Another claims it
)

// reserveRequest asks for a session that is here.
type reserveRequest struct {
	Namespace string `json:"namespace"`
	PID       string `json:"pid"`
	Offset    string `json:"offset,omitempty"` // that the client has received last
	Entry     string `json:"entry,omitempty"`  // in the registry
	By        string `json:"by,omitempty"`     // the tag of the node that asks
	Claim     string `json:"claim,omitempty"`  // names the claim, for callAlive
}

type reserveAnswer struct {
	Refused string   `json:"refused,omitempty"` // a reason of recovery's
	Token   string   `json:"token,omitempty"`   // names the reservation
	Entry   string   `json:"entry,omitempty"`   // newer than the request's where an earlier move came to nothing
	Rooms   []string `json:"rooms,omitempty"`
}

// cutRequest says to which rooms the new node has subscribed.
type cutRequest struct {
	Token string   `json:"token"`
	Held  []string `json:"held"`
}

// cutAnswer is what the answer to a cut begins with. Where Missing is empty, the events follow.
type cutAnswer struct {
	Missing []string `json:"missing,omitempty"` // rooms besides: the fence does not count

	Fence     fence           `json:"fence"`
	ID        string          `json:"id"`
	Rooms     []string        `json:"rooms"`
	Kicked    bool            `json:"kicked,omitempty"`
	Away      time.Duration   `json:"away"`             // since when it is absent
	Offset    string          `json:"offset,omitempty"` // that counts where the claim names none
	Data      []byte          `json:"data,omitempty"`
	Auth      []byte          `json:"auth,omitempty"`
	Handshake handshakeOfPeer `json:"handshake"`
	State     []byte          `json:"state,omitempty"` // of the Logic
}

type fence struct {
	Node   string `json:"node"`
	Number uint64 `json:"number"`
}

// handshakeOfPeer is an engine.Handshake as it travels.
type handshakeOfPeer struct {
	Time    time.Time           `json:"time"`
	Address string              `json:"address"`
	Secure  bool                `json:"secure,omitempty"`
	XDomain bool                `json:"xdomain,omitempty"`
	URL     string              `json:"url"`
	Query   map[string][]string `json:"query,omitempty"`
	Headers map[string][]string `json:"headers,omitempty"`
}

func (h *handshakeOfPeer) handshake() engine.Handshake {
	return engine.Handshake{
		Time: h.Time, Address: h.Address, Secure: h.Secure, XDomain: h.XDomain, URL: h.URL, Query: h.Query, Headers: h.Headers,
	}
}

func peerHandshake(h engine.Handshake) handshakeOfPeer {
	return handshakeOfPeer{
		Time: h.Time, Address: h.Address, Secure: h.Secure, XDomain: h.XDomain, URL: h.URL, Query: h.Query, Headers: h.Headers,
	}
}

type doneRequest struct {
	Token string `json:"token"`
	// Unused: the session has not moved, and this entry, which may have been made for that, is to be replaced. Empty: it has moved.
	Unused string `json:"unused,omitempty"`
}

// aliveRequest is about a session that the node fetches which is asked.
type aliveRequest struct {
	Namespace string        `json:"namespace"`
	PID       string        `json:"pid"`
	Claim     string        `json:"claim"`
	Within    time.Duration `json:"within"` // the time for its client's answer; 0: that is not asked
}

type aliveAnswer struct {
	Alive    bool `json:"alive"`    // false: its connection has been ended, or no client waits for the session there
	Arriving bool `json:"arriving"` // the node may take the session yet, or give it back
}

// adoptRequest names sessions of a node that leaves.
type adoptRequest struct {
	Node     string    `json:"node"` // its tag
	Sessions []adopted `json:"sessions"`
}

type adopted struct {
	Namespace string `json:"namespace"`
	PID       string `json:"pid"`
}
