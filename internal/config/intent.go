package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// checkIntent warns of what is possible and hardly meant.
func (l *loader) checkIntent(c *Config) {
	l.checkSecretLength(c)
	// Only what a user said counts: gateway dev serves 2.x clients by itself.
	if _, asked := l.origins["engine.eio3"]; !asked || !c.Engine.EIO3 {
		return
	}
	if i := slices.Index(c.Server.Origins, "*"); i >= 0 {
		l.warn(indexKey("server.origins", i), `"*" shuts out browsers with Socket.IO 2.x (engine.eio3): they send credentials, `+
			"which * forbids; list the origins of your pages")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Namespaces)) {
		key, namespace := entryKey("namespaces", name), c.Namespaces[name]
		l.checkPublishedIDs(key+".connect.do", namespace.Connect.Do)
		for i, rule := range namespace.Rules {
			l.checkPublishedIDs(indexKey(key+".rules", i)+".do", rule.Do)
		}
		l.checkPublishedIDs(key+".disconnect.do", namespace.Disconnect.Do)
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
