package polling

import (
	"io"
	"sync"
)

const (
	// chunk is how much of small pieces is written together.
	chunk = 16 << 10
	// largest is how much one call writes where its progress cannot be seen from outside.
	largest = 64 << 10
)

var chunks = sync.Pool{New: func() any { return new([chunk]byte) }}

// coalescer writes many small pieces in few writes, and large ones in parts, each of which is progress of the client.
type coalescer struct {
	client  Client
	w       io.Writer
	buffer  *[chunk]byte
	used    int
	written int
	err     error
}

func newCoalescer(client Client, w io.Writer) coalescer {
	return coalescer{client: client, w: w, buffer: chunks.Get().(*[chunk]byte)}
}

// add writes a piece, at once or with those that follow. It does not keep p.
func (c *coalescer) add(p []byte) {
	if len(p) > chunk-c.used {
		c.flush()
	}
	if len(p) >= chunk {
		c.write(p)
		return
	}
	c.used += copy(c.buffer[c.used:], p)
}

func (c *coalescer) flush() {
	if c.used > 0 {
		c.write(c.buffer[:c.used])
		c.used = 0
	}
}

func (c *coalescer) write(p []byte) {
	for len(p) > 0 && c.err == nil {
		part := p[:min(len(p), largest)]
		var n int
		n, c.err = c.w.Write(part)
		c.written += n
		p = p[len(part):]
		c.client.Progressed()
	}
}

// close writes the rest and gives the buffer back.
func (c *coalescer) close() error {
	c.flush()
	chunks.Put(c.buffer)
	return c.err
}
