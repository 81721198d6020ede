package wsframe

import "sync"

const (
	// bufferSize is what is read at once.
	bufferSize = 4 << 10
	// residentSize is the input buffer of a Resident Reader; longer messages are read straight into their own buffer.
	residentSize = 512
	// keepSize is the largest buffer kept for reuse.
	keepSize = 64 << 10
)

var buffers = sync.Pool{New: func() any {
	b := make([]byte, 0, bufferSize)
	return &b
}}

// newBuffer returns an empty one.
func newBuffer() *[]byte {
	b := buffers.Get().(*[]byte)
	*b = (*b)[:0]
	return b
}

func release(b *[]byte) {
	if cap(*b) <= keepSize {
		buffers.Put(b)
	}
}

// input holds what was read and not looked at yet: buffer[start:end]. A nil input is empty.
type input struct {
	start, end int
	buffer     []byte
}

var inputs = sync.Pool{New: func() any { return &input{buffer: make([]byte, bufferSize)} }}

func newInput(size int) *input {
	if size > bufferSize {
		return &input{buffer: make([]byte, size)}
	}
	return inputs.Get().(*input)
}

// release gives back an input of the usual size.
func (in *input) release() {
	if len(in.buffer) == bufferSize {
		in.start, in.end = 0, 0
		inputs.Put(in)
	}
}

func (in *input) empty() bool { return in == nil || in.start == in.end }

func (in *input) unread() []byte {
	if in == nil {
		return nil
	}
	return in.buffer[in.start:in.end]
}

// take removes n unread bytes. They stay valid until room is called.
func (in *input) take(n int) []byte {
	p := in.buffer[in.start : in.start+n]
	in.start += n
	return p
}

// room returns where more can be read to. A frame's head, or a control frame, always finds room.
func (in *input) room() []byte {
	if in.start > 0 {
		in.end = copy(in.buffer, in.buffer[in.start:in.end])
		in.start = 0
	}
	return in.buffer[in.end:]
}
