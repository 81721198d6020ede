package frame

import "github.com/carillon-io/carillon/internal/eioproto"

// Overhead is the memory that a frame takes beside its bytes: the Frame, a place in a queue that grows, and what the
// allocator rounds up.
const Overhead = 96

// Size is what frames count in an outbox: the memory they hold, which for small ones is mostly overhead. A frame that several
// outboxes hold counts in each of them.
func Size(batch []*Frame) int {
	size := 0
	for _, f := range batch {
		size += len(f.wire.frame) + Overhead
	}
	return size
}

// Messages counts the messages of a batch; the other packets are control packets.
func Messages(batch []*Frame) int {
	n := 0
	for _, f := range batch {
		if f.kind == eioproto.Message {
			n++
		}
	}
	return n
}

// Compressible reports whether a batch holds a message that may be compressed.
func Compressible(batch []*Frame) bool {
	for _, f := range batch {
		if f.kind == eioproto.Message && !f.verbatim {
			return true
		}
	}
	return false
}

// Types is how many types of packets there are.
const Types = eioproto.Noop - eioproto.Open + 1

// Count counts the packets of a batch, each type at the index of its digit. oldest is when the first of the publishes was
// received that the batch stems from, in Unix nanoseconds; 0: none was measured.
func Count(batch []*Frame) (packets [Types]int, oldest int64) {
	for _, f := range batch {
		packets[f.kind-eioproto.Open]++
		if f.received != 0 && (oldest == 0 || f.received < oldest) {
			oldest = f.received
		}
	}
	return packets, oldest
}
