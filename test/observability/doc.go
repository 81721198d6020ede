// Package observability checks what operators look at against nodes that run: the metrics by the contract's names and by
// promtool, the alerts by their unit tests, and every query of the dashboard in a Prometheus that scrapes two gateways on a
// Redis with clients. It starts every process itself on free loopback ports and stops it by its process id.
package observability
