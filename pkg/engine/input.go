package engine

import "sync"

// waitBuffer is the input buffer of a connection that must hold one while it waits; larger reads go straight into the
// message.
const waitBuffer = 512

// input holds what was read from a WebSocket and not looked at yet: buffer[start:end]. A nil input is empty.
type input struct {
	start, end int
	buffer     []byte
}

var inputs = sync.Pool{New: func() any { return &input{buffer: make([]byte, readBuffer)} }}

// newInput returns one that holds what came early.
func newInput(early []byte) *input {
	in := inputs.Get().(*input)
	if len(early) > len(in.buffer) {
		in.buffer = make([]byte, len(early))
	}
	in.end = copy(in.buffer, early)
	return in
}

func (in *input) release() {
	in.start, in.end = 0, 0
	inputs.Put(in)
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

// fill reads more input. A connection that can wait without a buffer gets one only when something is there.
func (c *wsConn) fill() error {
	switch {
	case c.input != nil:
	case c.raw != nil:
		_, err := c.readInto(nil)
		return err
	default:
		c.input = &input{buffer: make([]byte, waitBuffer)}
	}
	n, err := c.readInto(c.input.room())
	c.input.end += n
	return err
}
