package config

import (
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// checkIntent warns of what is possible and hardly meant.
func (l *loader) checkIntent(c *Config) {
	l.checkSecretLength(c)
	l.checkPeers(&c.Peer)
	l.checkAdapterKind(&c.Adapter)
	// Only what a user said counts: gateway dev serves 2.x clients by itself.
	if _, asked := l.origins["engine.eio3"]; !asked || !c.Engine.EIO3 {
		return
	}
	if i := slices.Index(c.Server.Origins, "*"); i >= 0 {
		l.warn(indexKey("server.origins", i), `"*" shuts out browsers with Socket.IO 2.x (engine.eio3): they send credentials, `+
			"which * forbids; list the origins of your pages")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Namespaces)) {
		key, namespace := EntryKey("namespaces", name), c.Namespaces[name]
		l.checkPublishedIDs(key+".connect.do", namespace.Connect.Do)
		for i, rule := range namespace.Rules {
			l.checkPublishedIDs(indexKey(key+".rules", i)+".do", rule.Do)
		}
		l.checkPublishedIDs(key+".disconnect.do", namespace.Disconnect.Do)
	}
}

// checkAdapterKind warns of what is set for a kind of adapter that is not in use.
func (l *loader) checkAdapterKind(a *Adapter) {
	if a.Kind == AdapterStreams {
		return
	}
	s, unset := &a.Streams, Default().Adapter.Streams
	for _, set := range []struct {
		key string
		is  bool
	}{{"name", s.Name != unset.Name}, {"count", s.Count != unset.Count}, {"max_length", s.MaxLength != unset.MaxLength}} {
		if set.is {
			l.warn("adapter.streams."+set.key, "is for adapter.kind: streams, and without effect")
		}
	}
}

// checkSecretLength warns of secrets that can be found from one token by trying: RFC 7518, section 3.2, wants a key as long
// as the hash, which for HS256 is 32 bytes.
func (l *loader) checkSecretLength(c *Config) {
	const shortest = 32
	for line := range strings.SplitSeq(string(c.Auth.JWT.Secret), "\n") {
		if line = strings.TrimSuffix(line, "\r"); line != "" && len(line) < shortest {
			l.warn("auth.jwt.secret", "has a secret of %d bytes, which can be guessed from a token; use %d or more", len(line), shortest)
		}
	}
}

// checkPeers warns of a secret that can be found from one relayed request by trying, and of addresses that no other node can
// dial.
func (l *loader) checkPeers(p *Peer) {
	const shortest = 32
	if n := len(p.Secret); n > 0 && n < shortest {
		l.warn("peer.secret", "has %d bytes, which can be guessed from one relayed request; use %d or more", n, shortest)
	}
	if p.Advertise != "" {
		l.checkPeerURL("peer.advertise", p.Advertise)
	}
	for i, node := range p.Nodes {
		l.checkPeerURL(indexKey("peer.nodes", i), node)
	}
}

func (l *loader) checkPeerURL(key string, address URL) {
	u, err := url.Parse(string(address))
	if err != nil {
		return // a fault already
	}
	ip := net.ParseIP(u.Hostname())
	switch {
	case u.Scheme == "https":
		l.warn(key, "nodes speak plain HTTP to one another, not https")
	case u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		l.warn(key, "only host and port are used of it")
	case ip.IsUnspecified():
		l.warn(key, "%s is no address that another node can dial", ip)
	case key == "peer.advertise" && (ip.IsLoopback() || u.Hostname() == "localhost"):
		l.warn(key, "%s reaches this node from its own machine only", u.Hostname())
	}
}

// checkPublishedIDs warns of actions that show a socket's id to other clients.
func (l *loader) checkPublishedIDs(key string, actions []Action) {
	for i, action := range actions {
		verb, args := ".emit.args", Value{}
		switch {
		case action.Emit != nil:
			args = action.Emit.Args
		case action.Broadcast != nil:
			verb, args = ".broadcast.args", action.Broadcast.Args
		}
		if args.mentionsSID() {
			l.warn(indexKey(key, i)+verb, "publishes sid, the session secret of a Socket.IO 2.x client (engine.eio3): others can "+
				"speak and listen in its name; publish an id from the token or from auth")
		}
	}
}

// sidVariable finds the variable sid in a template, but no member of that name.
var sidVariable = regexp.MustCompile(`\$\{([^}]*[^.\w"'}])?sid\b`)

func (v Value) mentionsSID() bool {
	if v.Kind == String && sidVariable.MatchString(strings.ReplaceAll(v.Text, "$${", "")) {
		return true
	}
	return slices.ContainsFunc(v.List, Value.mentionsSID) ||
		slices.ContainsFunc(v.Map, func(m Member) bool { return m.Value.mentionsSID() })
}
