// Package adaptertest has what tests need around an adapter: Cluster, an in-memory cluster for the tests of a server on
// several nodes, and Run, the conformance suite that every implementation of adapter.Adapter passes.
//
// The cluster is strict where real ones are lenient, so that a server that leans on luck fails: a node hears a room's
// broadcasts only after it touched the room, everything arrives on a goroutine of the receiver's, and a node can be
// paused or ended in the middle of a question.
//
// The suite waits for conditions and against deadlines, and proves an absence by something that must arrive after what
// must not.
package adaptertest
