package config

import (
	"net/netip"
	"time"
)

// Server is the listener clients connect to.
type Server struct {
	// host:port; without a host every interface.
	Address string `key:"address"`
	// Path of Socket.IO, served with and without its last slash.
	Path string `key:"path"`
	// A certificate makes the listener HTTPS. The files are read again when they change.
	TLS TLS `key:"tls,live"`
	// Pages of other hosts that browsers may connect from: `https://host[:port]`, `https://*.host`, any other scheme, `null`, or `*`.
	// Requests without Origin and pages of the own host always pass. Listed pages may send cookies; with `*` none may.
	Origins []string `key:"origins"`
	// Networks of balancers. A client's address is the first one from the right of X-Forwarded-For that is in none of them.
	TrustedProxies []netip.Prefix `key:"trusted_proxies"`
	// How long a client may take to send the headers of a request.
	HeaderTimeout time.Duration `key:"header_timeout"`
	// Folder with the official browser client, served under the path: socket.io.js, .min.js, .esm.min.js, .msgpack.min.js. Empty:
	// not served.
	ClientBundle string `key:"client_bundle"`
	// Headers that answers to cluster queries leave out of a socket's handshake, beside authorization and cookie.
	PrivateHeaders []string `key:"private_headers"`
	// Name of a cookie that carries the session's id, for balancers that are configured for Node's. Empty: none.
	Cookie string `key:"cookie"`
}

// TLS is a certificate and its key.
type TLS struct {
	// PEM text, or the name of a file; with intermediate certificates.
	Cert PEM `key:"cert"`
	// PEM text, or the name of a file.
	Key PrivateKey `key:"key"`
}

// Ops is the listener for metrics and probes.
type Ops struct {
	// host:port of /metrics, /livez and /readyz.
	Address string `key:"address"`
	// Serves Go's profiler under /debug/pprof/.
	PProf bool `key:"pprof"`
}

// Peer is how gateway nodes reach one another directly.
type Peer struct {
	// host:port to listen on for other nodes, when there can be any. Where another process has the default, any free port
	// will do.
	Address string `key:"address"`
	// URL that other nodes dial. Empty: http://, the address of this pod or host, and the port of peer.address.
	Advertise URL `key:"advertise"`
	// Signs what nodes hand to each other. Empty: the nodes of one Redis agree on a random one there.
	Secret Secret `key:"secret"`
	// URLs of the other nodes, for clusters without Redis.
	Nodes []URL `key:"nodes"`
}

// Door is an endpoint for clients without a Socket.IO library.
type Door struct {
	// Path of the namespace `/`; `<path>/<name>` is that of `/<name>`. Empty: off.
	Path string `key:"path"`
}

// API is the HTTP API for backends.
type API struct {
	// host:port to listen on, apart from clients. Empty: no API.
	Address string `key:"address"`
	// What backends send as Authorization: Bearer: keys, or names of files with one key a line, which begin with / or ./ and are
	// read again when they change. Several may hold at once, so that keys can be replaced one after the other.
	Keys []Secret `key:"keys,live"`
}
