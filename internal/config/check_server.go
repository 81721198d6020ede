package config

import (
	"strings"

	origins "github.com/carillon-io/carillon/internal/origin"
)

func (l *loader) checkServer(s *Server) {
	l.checkAddress("server.address", s.Address)
	l.checkPath("server.path", s.Path)
	l.checkPair("server.tls", s.TLS.Cert, s.TLS.Key)
	for i, entry := range s.Origins {
		if !origins.IsEntry(entry) {
			l.fault(indexKey("server.origins", i),
				"%s is not an origin: write https://host[:port], https://*.host, null or *", quote(entry))
		}
	}
	positive(l, "server.header_timeout", s.HeaderTimeout)
	for i, header := range s.PrivateHeaders {
		if !isToken(header) {
			l.fault(indexKey("server.private_headers", i), "%s is not the name of a header", quote(header))
		}
	}
	if s.Cookie != "" && !isToken(s.Cookie) {
		l.fault("server.cookie", "%s is not the name of a cookie", quote(s.Cookie))
	}
}

// checkDoors checks the ways in and out beside Socket.IO, and what is kept of rooms.
func (l *loader) checkDoors(c *Config) {
	l.checkDoor("native.path", c.Native, c)
	l.checkDoor("sse.path", c.SSE, c)
	if c.Native.Path != "" && strings.TrimSuffix(c.Native.Path, "/") == strings.TrimSuffix(c.SSE.Path, "/") {
		l.fault("sse.path", "%s is already native.path", quote(c.SSE.Path))
	}
	if c.API.Address != "" {
		l.checkAddress("api.address", c.API.Address)
	}
	for i, key := range c.API.Keys {
		l.notEmpty(indexKey("api.keys", i), string(key))
	}
	for i := range c.History {
		key, history := indexKey("history", i), &c.History[i]
		l.checkKept(key, history.Namespace, history.Rooms)
		positive(l, key+".messages", history.Messages)
		positive(l, key+".age", history.Age)
	}
	for i := range c.Presence {
		key, presence := indexKey("presence", i), &c.Presence[i]
		l.checkKept(key, presence.Namespace, presence.Rooms)
		if presence.User.Kind != String || presence.User.Text == "" {
			l.fault(key+".user", "must be a text that names the user, such as ${claims.sub}")
		}
		atLeast(l, key+".grace", presence.Grace, 0)
	}
}

func (l *loader) checkDoor(key string, door Door, c *Config) {
	if door.Path == "" {
		return
	}
	l.checkPath(key, door.Path)
	if strings.TrimSuffix(door.Path, "/") == strings.TrimSuffix(c.Server.Path, "/") {
		l.fault(key, "%s is already server.path", quote(door.Path))
	}
}

// checkKept checks which rooms an entry of history or presence is for.
func (l *loader) checkKept(key, namespace string, rooms []string) {
	l.checkNamespaceName(key+".namespace", namespace)
	if len(rooms) == 0 {
		l.fault(key+".rooms", "names no room")
	}
	for i, room := range rooms {
		l.notEmpty(indexKey(key+".rooms", i), room)
		l.checkPattern(indexKey(key+".rooms", i), room)
	}
}

// checkPath checks the path of an endpoint.
func (l *loader) checkPath(key, path string) {
	switch {
	case !strings.HasPrefix(path, "/"):
		l.fault(key, "%s does not begin with /", quote(path))
	case strings.ContainsAny(path, "?#% \t\r\n"):
		l.fault(key, "%s is not a plain path", quote(path))
	}
}

// isToken reports whether name has the form of a header's name.
func isToken(name string) bool {
	for _, r := range name {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		digit := r >= '0' && r <= '9'
		if !letter && !digit && !strings.ContainsRune("!#$%&'*+-.^_`|~", r) {
			return false
		}
	}
	return name != ""
}
