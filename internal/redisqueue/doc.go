// Package redisqueue holds the messages for one Redis server until its publisher takes them.
//
// A queue is bounded by number, bytes and age; over a bound the oldest messages go first, whether or not anything takes
// messages at the time. What goes is counted under the queue's lock and finished without it: methods that may drop
// messages return [Losses], and the caller finishes them once it holds no lock.
//
// Probes have a lane of their own, in front: a fence must not wait for ten thousand messages.
//
// On a Redis Cluster a slot may move to another server while one of its messages is on its way. Then the queue of the new
// server holds the later ones back until the old server has settled that one:
//
//	old: Extract ──────────────────────────────▶ Settle
//	new: Hold, Push, Push … (held back) ───────▶ Release: first what comes back, then what was held
package redisqueue
