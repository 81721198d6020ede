// Package redissub knows which channels of one Redis server a node wants, which it has, and which are certain. It is a pure
// state machine: it reads no clock, talks to no server and is not safe for concurrent use.
//
//	Want ──▶ rows ──Next──▶ commands ──▶ (Redis) ──Confirm, Refuse──▶ rows ──▶ waits ──▶ Ended
//	                                                                            ▲
//	                       SendProbe ──▶ (Redis) ──Returned──▶ fences ──────────┘
//
// A row is one channel, with the interests that share its name. Wishes are turned into few large commands, and into the
// next one when half of the last is confirmed, so that single joins become batches by themselves when there are many.
//
// A wait is for rows to be on, and then for a fence: a probe that is sent after that and comes back while no row has gone
// off without our doing. All that wait when a probe is sent share it.
//
// The same probes tell whether the connection receives anything. One that Redis took and that does not come back makes the
// subscription deaf, and the connection is to be replaced.
package redissub
