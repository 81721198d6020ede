// Command relaycost measures what a WebSocket costs that reaches its session through another node, beside one that comes to the
// session's own node: memory of an idle connection at both ends, CPU of a message there and back, and latency. It starts two
// nodes of its own, and prints the table of docs/operations.md.
//
//	go run ./test/bench/relaycost -n 5000
package main
