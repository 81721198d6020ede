// Package api serves the HTTP API for backends: a Server is the handler of the listener under api.address. The contract is
// openapi.json, which is served; tests hold the handlers to it.
//
//	request ─▶ key ─▶ rate ─▶ body, bounded ─▶ call read strictly ─▶ Idempotency-Key claimed ─▶ call ─▶ answer
//
// A call that addresses sockets says which: rooms or all. Whatever it does not know it refuses, before anything is done, so
// that a typo never addresses everyone.
//
// # What a failure means
//
// Events go to the cluster first and to this node's own clients once the cluster has taken them. So `unavailable` and
// `overloaded` mean that nothing was done and a repetition is safe; `unknown` means that it may have been done.
//
// An Idempotency-Key is claimed before anything is done and holds the answer afterwards, for 24 hours. A claim whose holder
// has died turns into the answer `unknown` once the time is over that its call may have taken. Claims where nothing was done
// are given back.
package api
