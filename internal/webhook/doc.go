// Package webhook delivers the entries of routes to HTTP endpoints: a gateway that has a route with a webhook is one of the
// consumers of pkg/backend, and its handler posts each entry.
//
//	Redis Stream ─▶ pkg/backend: lease, order of each socket, retries, dead letters ─▶ handler ─▶ POST, signed
//	                                                          acknowledgement ◀─ JSON list ◀─┘
//
// An entry is a CloudEvent 1.0 in structured mode, with the arguments as plain JSON and bytes as {"$bytes": "<base64>"}. It
// is posted at least once, under the id <socket>/<route>/<seq>: again after a failure, and again when the gateway that posted
// it lost its lease, as one that stood still does. A receiver that remembers ids sees each entry once and those of a socket in
// order.
package webhook
