package redisqueue

// fifo is a list of messages, oldest first, that does not allocate while its length stays about the same.
type fifo struct {
	items []Message
	head  int
}

func (f *fifo) len() int        { return len(f.items) - f.head }
func (f *fifo) first() *Message { return &f.items[f.head] }

func (f *fifo) push(m Message) {
	if len(f.items) == cap(f.items) && f.head > len(f.items)/2 {
		n := copy(f.items, f.items[f.head:])
		clear(f.items[n:])
		f.items, f.head = f.items[:n], 0
	}
	f.items = append(f.items, m)
}

func (f *fifo) pop() Message {
	m := f.items[f.head]
	f.items[f.head] = Message{}
	if f.head++; f.head == len(f.items) {
		f.items, f.head = f.items[:0], 0
	}
	return m
}

// unshift puts messages in front.
func (f *fifo) unshift(messages []Message) {
	if len(messages) == 0 {
		return
	}
	f.items = append(append(make([]Message, 0, len(messages)+f.len()), messages...), f.items[f.head:]...)
	f.head = 0
}

// extract removes and returns those that match.
func (f *fifo) extract(match func(*Message) bool) []Message {
	var out []Message
	kept := f.items[:0]
	for _, m := range f.items[f.head:] {
		if match(&m) {
			out = append(out, m)
		} else {
			kept = append(kept, m)
		}
	}
	clear(f.items[len(kept):])
	f.items, f.head = kept, 0
	return out
}
