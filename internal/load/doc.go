// Package load drives many Socket.IO clients from one process, lean enough to be worth measuring a server on the same
// machine: a few workers, each one thread with one epoll set and one shared read buffer, and raw system calls on
// non-blocking sockets. An idle connection costs about half a kilobyte. It speaks Socket.IO v5 over Engine.IO 4 and Socket.IO 2.x
// over Engine.IO 3, by WebSocket or HTTP long-polling, plain or under TLS. It runs on Linux.
//
// [Run] runs one scenario against a server, any server, and returns what it measured. For all scenarios but connect, storm
// and jitter's reconnects the server answers these events in the namespace "/":
//
//	join (room), acknowledged             joins the socket to the room
//	echo (payload), acknowledged          acknowledges with the payload
//	publish (room, payload)               emits msg (payload) to the room
//	publishAll (payload)                  emits msg (payload) to everyone
//
// # What the figures mean
//
// Publishing is open-loop: a message carries the moment at which it was due to be sent, and its latency counts from there, so a
// generator or a server that falls behind shows in the latencies instead of in fewer samples (coordinated omission).
// The closed loops are echo without a rate, and a publishing rate of "max".
//
// A rate of "auto" is searched: a closed loop gives the ceiling, steps rise or fall from 95 % of it until two neighbours
// differ by less than 4 %, and a last run confirms. A step holds when nothing is lost, p99 is below the limit, and at
// least 95 % of what was due arrived in time. The field search_bracketed is false when no step ever failed: the figure is then a
// lower bound.
//
// Fields are named with their unit: _s per second or seconds, _ms milliseconds, _kb 1,024 bytes, _per_M for each million
// deliveries, requests or cycles. cpu_s_per_M is the user and system time of the server's processes, the figure that other load
// on the machine disturbs least; cpu_s_per_M_incl_aux adds that of Redis; foreign_cores is what neither server, Redis nor
// generator used. wakeups, reads and writes are how often a second threads of the server's processes had waited, and their system
// calls of these kinds. generator_limited is true when the generator's threads were busy or its messages left late: all figures
// are then lower bounds.
package load
