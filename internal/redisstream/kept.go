package redisstream

import (
	"strconv"
	"strings"
	"sync"
)

// kept are the values of this node's entries until they are read back, in the order of their serial numbers, which is that of
// the queue and of the stream.
type kept struct {
	limit int // bytes

	mu sync.Mutex
	// mu guards the following.
	serial uint64
	list   []keptValue // list[head:] are kept
	head   int
	bytes  int
}

type keptValue struct {
	serial uint64
	size   int
	value  any
}

// keptOverhead is about what a value takes beside the bytes of its entry.
const keptOverhead = 128

// add keeps a value, unless it is nil, and calls queue with the next serial number. Over the limit the oldest values are
// forgotten: their entries are decoded when they come back.
func (k *kept) add(value any, size int, queue func(serial uint64)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.serial++
	if value != nil {
		k.list = append(k.list, keptValue{k.serial, size + keptOverhead, value})
		k.bytes += size + keptOverhead
		for k.bytes > k.limit {
			k.popLocked()
		}
	}
	queue(k.serial)
}

// take returns the value of an entry that was read back, and forgets those before it, whose entries Redis did not take.
func (k *kept) take(serial uint64) (value any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for k.head < len(k.list) && k.list[k.head].serial <= serial {
		if k.list[k.head].serial == serial {
			value = k.list[k.head].value
		}
		k.popLocked()
	}
	return value
}

func (k *kept) popLocked() {
	k.bytes -= k.list[k.head].size
	k.list[k.head] = keptValue{}
	k.head++
	switch {
	case k.head == len(k.list):
		k.list, k.head = k.list[:0], 0
	case k.head > len(k.list)/2 && k.head > 1024:
		k.list = append(make([]keptValue, 0, len(k.list)-k.head), k.list[k.head:]...)
		k.head = 0
	}
}

// serialOf is the serial number in the id of an entry; 0: it is not one of this node's.
func (s *Stream) serialOf(id []byte) uint64 {
	text, ours := strings.CutPrefix(string(id), s.config.Node+"-")
	if !ours {
		return 0
	}
	n, err := strconv.ParseUint(text, 36, 64)
	if err != nil {
		return 0
	}
	return n
}
