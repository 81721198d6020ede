package engine

import (
	"errors"
	"io"
	"sync"
)

const (
	// readBuffer is what a message is first read into.
	readBuffer = 4 << 10
	// keepBuffer is the largest buffer kept for reuse.
	keepBuffer = 64 << 10
)

var readBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, readBuffer)
	return &b
}}

var errTooLarge = errors.New("engine: message exceeds the limit")

// release gives a buffer back.
func release(b *[]byte) {
	if cap(*b) <= keepBuffer {
		readBuffers.Put(b)
	}
}

// readLimited appends all of r to dst. What is longer than limit is errTooLarge, read no further than one byte beyond. It
// calls grown with the memory that dst takes, first and whenever it has grown.
func readLimited(dst []byte, r io.Reader, limit int, grown func(bytes int)) ([]byte, error) {
	grown(cap(dst))
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
			grown(cap(dst))
		}
		room := dst[len(dst):min(cap(dst), limit+1)]
		n, err := r.Read(room)
		dst = dst[:len(dst)+n]
		switch {
		case len(dst) > limit:
			return dst, errTooLarge
		case err == io.EOF:
			return dst, nil
		case err != nil:
			return dst, err
		}
	}
}
