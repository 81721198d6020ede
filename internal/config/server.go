package config

import (
	"net/netip"
	"time"
)

// Server is the listener clients connect to.
type Server struct {
	// Address is the host and port to listen on; an empty host means every interface.
	Address string `key:"address"`
	// Path is where Engine.IO answers. After Load it begins and ends with a slash.
	Path string `key:"path"`
	TLS  TLS    `key:"tls,live"`
	// Origins lists the browser origins let in: scheme://host[:port], scheme://*.host, null or *. Empty means same host.
	Origins []string `key:"origins"`
	// TrustedProxies are the networks whose X-Forwarded-For and X-Forwarded-Proto are believed.
	TrustedProxies []netip.Prefix `key:"trusted_proxies"`
	// HeaderTimeout bounds how long a client may take to send its request headers.
	HeaderTimeout time.Duration `key:"header_timeout"`
	// ClientBundle is the folder with the official client's files; empty means they are not served.
	ClientBundle string `key:"client_bundle"`
	// PrivateHeaders stay out of answers to cluster queries, as authorization and cookie always do.
	PrivateHeaders []string `key:"private_headers"`
	// Cookie is the name of a cookie that carries the session's id, for balancers that are configured for Node's; empty
	// means none.
	Cookie string `key:"cookie"`
}

// TLS is a certificate and its key, each as PEM text or as the name of a file.
type TLS struct {
	Cert string     `key:"cert"`
	Key  PrivateKey `key:"key"`
}

// Ops is the listener for metrics and probes, which clients never see.
type Ops struct {
	Address string `key:"address"`
	// PProf serves the Go profiler under /debug/pprof/.
	PProf bool `key:"pprof"`
}

// Peer is how gateway nodes reach one another directly.
type Peer struct {
	Address string `key:"address"`
	// Advertise is the URL other nodes dial; empty means the address of this pod or host.
	Advertise URL `key:"advertise"`
	// Secret signs relayed requests; empty means one agreed on in Redis.
	Secret Secret `key:"secret"`
	// Nodes lists the other nodes of a cluster without Redis.
	Nodes []URL `key:"nodes"`
}
