// Command arrivals shows what follows when one of three servers with many clients is killed: it starts Redis and three gateways,
// connects clients evenly, kills one server, and prints when 50, 95 and 100 % of its clients are back, how long the survivors' probes
// took meanwhile, and how many clients were lost for good. Then the same with three of Node's servers and their Redis adapter.
//
//	go run ./test/bench/arrivals -clients 19500
package main
