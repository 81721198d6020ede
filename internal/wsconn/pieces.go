package wsconn

import (
	"sync"

	"github.com/carillon-io/carillon/internal/frame"
)

// Chunk is how much one write copies together. Larger frames leave uncopied, so a client that does not read pins no
// more than this privately.
const Chunk = 16 << 10

var chunks = sync.Pool{New: func() any { return new([Chunk]byte) }}

// pieces is what one write consists of: a pong, the frames of a batch, and a Close frame, of which the first and the last may
// be empty. Small ones are copied together, large ones are written from where they are.
type pieces struct {
	codec *frame.Codec
	pong  *frame.Frame // nil: none
	batch []*frame.Frame
	close []byte

	next    int    // the index of the piece after rest
	rest    []byte // what has not been written of the piece before next
	written int
}

// piece returns the bytes of the piece at i, empty when there is none, and whether there is a piece at i or behind.
func (p *pieces) piece(i int) (bytes []byte, more bool) {
	switch n := len(p.batch); {
	case i == 0 && p.pong == nil:
		return nil, true
	case i == 0:
		return p.codec.Wire(p.pong), true
	case i <= n:
		return p.codec.Wire(p.batch[i-1]), true
	case i == n+1:
		return p.close, true
	}
	return nil, false
}

// advance makes rest the next bytes to write; false when there are none.
func (p *pieces) advance() bool {
	for len(p.rest) == 0 {
		bytes, more := p.piece(p.next)
		if !more {
			return false
		}
		p.rest = bytes
		p.next++
	}
	return true
}

// gathers reports whether rest is to be written together with what follows.
func (p *pieces) gathers() bool {
	following, _ := p.piece(p.next)
	return len(p.rest) < Chunk && len(following) > 0
}

// gather copies what comes next into a chunk, as far as whole pieces fit behind the first.
func (p *pieces) gather(buffer *[Chunk]byte) []byte {
	used := copy(buffer[:], p.rest)
	for i := p.next; ; i++ {
		bytes, more := p.piece(i)
		if !more || len(bytes) > Chunk-used {
			return buffer[:used]
		}
		used += copy(buffer[used:], bytes)
	}
}

// skip counts n bytes as written.
func (p *pieces) skip(n int) {
	p.written += n
	for n > 0 && p.advance() {
		k := min(n, len(p.rest))
		p.rest = p.rest[k:]
		n -= k
	}
}
