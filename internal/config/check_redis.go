package config

import (
	"net/url"
	"strconv"
	"strings"
)

func (l *loader) checkRedis(r *Redis) {
	if r.URL != "" {
		l.checkRedisURL(r.URL)
	}
	for i, address := range r.Cluster.Addresses {
		l.checkAddress(indexKey("redis.cluster.addresses", i), address)
	}
	for i, address := range r.Sentinel.Addresses {
		l.checkAddress(indexKey("redis.sentinel.addresses", i), address)
	}
	switch {
	case len(r.Sentinel.Addresses) > 0 && r.Sentinel.Master == "":
		l.fault("redis.sentinel.addresses", "is of no use without redis.sentinel.master")
	case len(r.Sentinel.Addresses) == 0 && r.Sentinel.Master != "":
		l.fault("redis.sentinel.master", "%s is of no use without redis.sentinel.addresses", quote(r.Sentinel.Master))
	}
	l.checkPair("redis.tls", r.TLS.Cert, r.TLS.Key)
	// Braces choose the slot of a key on Redis Cluster, so they are the gateway's to place.
	if l.notEmpty("redis.prefix", r.Prefix); strings.ContainsAny(r.Prefix, "{} \t\r\n") {
		l.fault("redis.prefix", "%s holds a space or a brace", quote(r.Prefix))
	}
	positive(l, "redis.queue.messages", r.Queue.Messages)
	positive(l, "redis.queue.bytes", r.Queue.Bytes)
	positive(l, "redis.queue.age", r.Queue.Age)
}

// checkRedisURL never shows the URL: parts of its password may stand anywhere in a malformed one.
func (l *loader) checkRedisURL(address URL) {
	u, err := url.Parse(string(address))
	if err != nil {
		l.fault("redis.url", "is not a URL such as redis://host:6379/0; in a password, write characters such as "+
			"/ # %% as %%2F %%23 %%25")
		return
	}
	database := strings.Trim(u.Path, "/")
	switch u.Scheme {
	case "redis", "rediss":
		if u.Host == "" {
			l.fault("redis.url", "names no host")
		}
		if port, err := strconv.ParseUint(u.Port(), 10, 16); u.Port() != "" && (err != nil || port == 0) {
			l.fault("redis.url", "has a port that is not one of 1 to 65535")
		}
	case "unix":
		if u.Path == "" {
			l.fault("redis.url", "names no socket")
		}
		database = u.Query().Get("db")
	default:
		l.fault("redis.url", "does not begin with redis://, rediss:// or unix://")
		return
	}
	if _, err := strconv.ParseUint(database, 10, 31); database != "" && err != nil {
		l.fault("redis.url", "names a database that is not a number")
	}
	for name := range u.Query() {
		switch foldName(name) {
		case "password", "pass", "pwd", "auth", "username", "user":
			l.fault("redis.url", "takes no parameter %s; write redis://user:password@host, or set redis.password", quote(name))
		}
	}
}
