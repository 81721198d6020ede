// Package e2e runs the gateway binary as it is deployed: real redis-server, two nodes behind HAProxy with cookie
// stickiness, the official JavaScript client on each transport, the official emitter and adapter, and Chromium on the
// demo page. The tests start every process themselves on free loopback ports and stop it by its process id.
//
// The scenarios are Node programs under js/, run with Node's own test runner against the addresses in their environment;
// this package owns the processes.
package e2e
