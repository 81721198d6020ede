package config

import (
	"maps"
	"net"
	"slices"
)

// checkCombinations finds values that are fine alone and impossible together.
func (l *loader) checkCombinations(c *Config) {
	l.checkOneRedis(&c.Redis)
	if c.Adapter.Kind != AdapterMemory && !c.Redis.Configured() {
		l.fault("adapter.kind", "%s needs a Redis: set redis.url, redis.cluster.addresses or redis.sentinel.addresses",
			quote(c.Adapter.Kind))
	}
	if c.SocketIO.Recovery.Enabled && c.Adapter.Kind != AdapterStreams {
		l.fault("socketio.recovery.enabled", "true needs adapter.kind: %s, not %s", AdapterStreams, c.Adapter.Kind)
	}
	// Port 0 is another port for each listener.
	_, port, err := net.SplitHostPort(c.Ops.Address)
	if err == nil && port != "0" && c.Ops.Address == c.Server.Address {
		l.fault("ops.address", "%s is already server.address", quote(c.Ops.Address))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Namespaces)) {
		key, namespace := entryKey("namespaces", name), c.Namespaces[name]
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
	if !c.Redis.Configured() {
		l.fault(key, "%s needs a Redis: set redis.url, redis.cluster.addresses or redis.sentinel.addresses", quote(route))
	}
}
