// Command bench measures the gateway beside its peers: Node's socket.io, and two bare servers that show what a WebSocket
// library and the kernel cost without any Socket.IO. Each in turn in one run, on the same cores, under the same load (gateway
// bench), several rounds, medians with their spread. Only ratios travel from one machine to another.
//
// What was measured is kept as JSON lines; tables and plots are made from them, with or without measuring anew.
//
//	make bench                                  everything, into docs/
//	make bench BENCH="-rounds 1 -only fanout"   one scenario, as a table on the terminal
//	make bench-docs                             draw again what was measured last
package main
