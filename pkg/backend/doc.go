// Package backend consumes what clients of Carillon send to a backend: the entries that gateways write into Redis Streams
// for rules with `forward`, and for the lifecycle of sockets.
//
//	mux := backend.NewMux()
//	backend.Answer(mux, "order:new", func(ctx context.Context, e *backend.Entry, o Order) (Receipt, error) { … })
//	consumer, err := backend.New(client, backend.Config{Route: "orders", Handler: mux})
//	err = consumer.Run(ctx) // until ctx ends
//
// # What is promised
//
// Each entry is handled at least once by each group: after a crash, or after a lease was lost, once more, with the same
// [Entry.Key]. The entries of a socket are handled in order and one at a time, whatever the number of processes, also over
// crashes; entries of different sockets are handled side by side. An entry that fails again and again becomes a dead
// letter in carillon:dead:{<route>}: its fields as they were, and dead.reason, dead.attempts, dead.group, dead.stream,
// dead.id and dead.ts (Unix ms).
//
// # How
//
//	partition     a Redis Stream; the entries of a socket are all in one
//	lease         a partition is consumed by one process at a time: the holder of its lease
//	fence         the lease's number, larger each time it is taken; scripts compare it before they change anything
//	window        the entries that were read and not acknowledged, by socket
//	outbox        answers and dead letters that were decided, until they are carried out
//
// A consumer group alone would let two processes handle entries of one socket at the same time. So each partition has a
// lease, and a process that takes one over first finishes what was pending. Partitions are divided evenly over the
// processes of a group, which know each other by a sorted set, and go from one to another as processes come and go. A
// process that was frozen and wakes up after its lease has gone cannot read, acknowledge, answer or write dead letters,
// because each of these begins with a script that compares the fence. What its handlers do elsewhere is theirs to fence,
// by [Entry.Fence].
package backend
