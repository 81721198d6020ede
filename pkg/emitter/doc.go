// Package emitter publishes to the clients of a Socket.IO cluster from a process that holds no sockets itself: a
// worker, a cron job, an HTTP backend. It needs nothing but the cluster's Redis, and writes what
// @socket.io/redis-emitter 5.1 writes, so gateways of this project and Node servers with the classic Redis adapter both
// understand it.
//
// An Emitter is a value. Every operator returns a new one and leaves the old as it was, so a narrowed emitter can be
// kept and used from many goroutines:
//
//	lobby := emitter.New(client, emitter.Config{}).To("lobby")
//	err := lobby.Except("banned").Emit(ctx, "news", "hello")
//
// # What a nil error means
//
// That Redis took the message, not that any client received it: Pub/Sub keeps nothing. A message is published
// with one command and never repeated here. go-redis itself repeats a command whose answer got lost, which can publish
// it twice; give the client MaxRetries: -1 to leave that decision to the caller of Emit.
//
// Messages published one after the other in one namespace arrive in that order. On Redis Cluster all of them are published
// at one master for that.
//
// A gateway subscribes to the channel of a room when the first of its sockets joins. So that an event emitted right after
// SocketsJoin is not published on a channel without subscribers, the emitter addresses such a room on the channel of the
// namespace for the next seconds. This works for emitters that come from the same New.
//
// # Acknowledgements
//
// EmitWithAck collects what clients answer, from all servers of the cluster, gateways and Node's, and names what is missing.
// It subscribes to the channel of answers for as long as it waits; everything else only publishes.
//
// # Sharded clusters
//
// Config.Sharded makes an emitter of the sharded adapters' form, which has no official emitter. Without it gateways with
// sharded channels are reached all the same, and Node's sharded servers are not. Streams of Node's streams adapter are not
// written.
package emitter
