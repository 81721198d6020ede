// Package redisconn makes single connections to Redis servers, for code that must know exactly what happens on each one.
//
// go-redis replaces connections silently: a subscription has gaps that nothing counts, and a pipeline may be sent again
// although it was carried out. Here a connection is an epoch. It is dialled and logged in through the go-redis options of
// the caller's client, so that TLS, unix sockets, ACL users, credentials providers, Sentinel and hooks work as they do
// there; then it is taken out of go-redis, read and written by this package, and never replaced. When it fails, the owner
// dials the next one, which first ends its predecessor at the server: a half-open subscription would still be counted by
// the queries of Node's servers, and a half-sent batch could be carried out late.
//
// Five parts:
//
//   - Source: where the server is and how to log in, taken from a go-redis client.
//   - Dialer: the connections of one purpose, one after the other. It refuses replicas: they accept PUBLISH, but what is
//     published there reaches no other server.
//   - Conn and Reader: RESP2 for what is read most, messages and results of PUBLISH, bounded in memory.
//   - Topology: which server of a Redis Cluster serves which slot.
//   - Backoff and Refusals: how to wait between attempts, and how to report missing rights once.
package redisconn
