// Server answers the test suites of the official JavaScript clients, as the servers in their own test/support do, and
// those of the protocols.
//
//	server -suite socket.io-client          on 127.0.0.1:3210, with pkg/socketio
//	server -suite engine.io-client          on 127.0.0.1:3000, with pkg/engine
//	server -suite engine.io-protocol/v3     likewise; /v4 without clients of revision 3
//	server -suite socket.io-protocol/v5     on 127.0.0.1:3000, with pkg/socketio
//
// The ports are the ones written into the suites. ../run.sh starts it and runs a suite against it.
package main
