// Package socketiotest is a Socket.IO client for tests of servers.
//
// [Connect] opens a connection to an http.Handler, such as a socketio.Server or a mux around it, in memory: nothing listens.
// [Dial] opens one to a URL. Either way a [Client] is one WebSocket with one namespace joined, and what goes wrong fails the
// test that it was made for:
//
//	ada := socketiotest.Connect(t, io, socketiotest.Options{Auth: map[string]string{"name": "ada"}})
//	ada.Emit("join", "tea")
//	ada.Expect("joined", "tea")
//	answer := ada.EmitWithAck("message", "hello")
//
// # Waiting
//
// Nothing sleeps. A call that waits does so until what it waits for has come, until the connection ends, or at most for
// Options.Patience. In memory a client and its server work in a testing/synctest bubble too: there heartbeats and timeouts
// cost no time.
//
// # Goroutines
//
// A client's methods are for the goroutine of its test. One goroutine of its own reads, answers the server's heartbeats, and
// keeps what has come until the test asks for it, up to a few thousand packets; beyond that it is a client that does not
// read. The end of the test closes the connection and waits for that goroutine.
//
// # What it is not
//
// It is no client for applications: it does not come back by itself, does not poll, and speaks Engine.IO 4 and the default
// parser only.
package socketiotest
