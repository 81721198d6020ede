// Command moves measures sessions that all move from one node to two others at the same moment. It starts Redis and three gateways,
// connects clients to the first one and measures three ways in which its sessions go: claimed by their clients while it lives, handed
// over at the end of its drain, and claimed by clients that its drain sends away. Of each it prints how long clients waited, what
// Redis and the peer listeners were asked for, the nodes' peak of memory, and how many clients lost their session or an event.
//
//	go run ./test/bench/moves -clients 20000
package main
