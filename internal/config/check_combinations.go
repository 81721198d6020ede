package config

import (
	"maps"
	"net"
	"slices"
	"strings"
)

// checkCombinations finds values that are fine alone and impossible together.
func (l *loader) checkCombinations(c *Config) {
	l.checkOneRedis(&c.Redis)
	if c.Adapter.Kind != AdapterMemory {
		l.needRedis("adapter.kind", quote(c.Adapter.Kind), c)
	}
	if c.Adapter.Python != "" {
		l.needCluster("adapter.python", quote(c.Adapter.Python), c)
	}
	l.checkListeners(c)
	if len(c.Peer.Nodes) > 0 && c.Peer.Secret == "" {
		l.fault("peer.nodes", "need peer.secret, which signs what they relay to one another")
	}
	if c.API.Address != "" && len(c.API.Keys) == 0 {
		l.fault("api.address", "%s needs keys: set api.keys", quote(c.API.Address))
	}
	if len(c.History) > 0 && c.Adapter.Kind == AdapterMemory {
		l.fault("history", "needs a Redis, and an adapter.kind other than %s", AdapterMemory)
	}
	l.checkCookieToken(c)
	for _, name := range slices.Sorted(maps.Keys(c.Routes)) {
		if c.Routes[name].Webhook != nil {
			l.needRedis(EntryKey("routes", name)+".webhook", "a webhook", c)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Namespaces)) {
		key, namespace := EntryKey("namespaces", name), c.Namespaces[name]
		if namespace.Connect.Require == RequireToken && !c.Auth.JWT.HasKey() {
			l.fault(key+".connect.require",
				"%s needs a key: set auth.jwt.secret, auth.jwt.public_key or auth.jwt.jwks", quote(RequireToken))
		}
		for i, rule := range namespace.Rules {
			for j, action := range rule.Do {
				if action.Forward != "" {
					l.checkForward(indexKey(indexKey(key+".rules", i)+".do", j)+".forward", action.Forward, c)
				}
			}
		}
	}
}

// needRedis checks that there is a Redis for what, which is at key.
func (l *loader) needRedis(key, what string, c *Config) {
	if !c.Redis.Configured() {
		l.fault(key, "%s needs a Redis: set redis.url, redis.cluster.addresses or redis.sentinel.addresses", what)
	}
}

// needCluster checks that there is a Redis for what, and that the adapter uses it.
func (l *loader) needCluster(key, what string, c *Config) {
	if l.needRedis(key, what, c); c.Redis.Configured() && c.Adapter.Kind == AdapterMemory {
		l.fault(key, "%s needs an adapter.kind other than %s", what, AdapterMemory)
	}
}

// checkListeners checks that no two listeners have one address.
func (l *loader) checkListeners(c *Config) {
	known := map[string]string{c.Server.Address: "server.address"}
	for _, listener := range []struct{ key, address string }{
		{"ops.address", c.Ops.Address}, {"peer.address", c.Peer.Address}, {"api.address", c.API.Address},
	} {
		// Port 0 is another port for each listener.
		_, port, err := net.SplitHostPort(listener.address)
		if err != nil || port == "0" {
			continue
		}
		if other, taken := known[listener.address]; taken {
			l.fault(listener.key, "%s is already %s", quote(listener.address), other)
		}
		known[listener.address] = listener.key
	}
}

// checkCookieToken keeps pages of strangers from acting for those who visit them: browsers send cookies by themselves.
func (l *loader) checkCookieToken(c *Config) {
	if !slices.Contains(c.Server.Origins, "*") {
		return
	}
	for i, place := range c.Auth.Token {
		if strings.HasPrefix(place, "cookie.") {
			l.fault(indexKey("auth.token", i), "%s is not possible with server.origins: [\"*\"]; list the origins of your pages", quote(place))
		}
	}
}

func (l *loader) checkOneRedis(r *Redis) {
	var given []string
	if r.URL != "" {
		given = append(given, "redis.url")
	}
	if len(r.Cluster.Addresses) > 0 {
		given = append(given, "redis.cluster.addresses")
	}
	if len(r.Sentinel.Addresses) > 0 {
		given = append(given, "redis.sentinel.addresses")
	}
	for _, key := range given[min(1, len(given)):] {
		l.fault(key, "cannot be set together with %s; there is one Redis", given[0])
	}
}

func (l *loader) checkForward(key, route string, c *Config) {
	if _, known := c.Routes[route]; !known {
		names := slices.Sorted(maps.Keys(c.Routes))
		if len(names) == 0 {
			l.fault(key, "%s is not a route; routes is empty", quote(route))
		} else {
			l.fault(key, "%s is not a route; the nearest is %s", quote(route), nearest(route, names))
		}
	}
	l.needRedis(key, quote(route), c)
}
