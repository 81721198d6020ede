// Command capacity says how many nodes, how much memory, Redis and network a load takes, from what the benchmark measured.
// It calculates and measures nothing; model.go has the whole of the arithmetic.
//
//	go run ./test/bench/capacity -connections 1e6 -publishes 1000 -room 100
//	go run ./test/bench/capacity -docs docs     docs/capacity.md anew
package main
