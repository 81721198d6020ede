package relay

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// serverFrame is one unmasked frame with a payload of n bytes, each of which looks like the head of another.
func serverFrame(n int) []byte {
	frame := []byte{0x82}
	switch {
	case n < 126:
		frame = append(frame, byte(n))
	case n < 1<<16:
		frame = binary.BigEndian.AppendUint16(append(frame, 126), uint16(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, 127), uint64(n))
	}
	return append(frame, bytes.Repeat([]byte{0x81}, n)...)
}

func TestFrames_BoundariesAreFoundHoweverTheBytesArrive(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var data []byte
		ends := map[int]bool{0: true}
		for range 1 + random.IntN(6) {
			lengths := []int{0, 1, 125, 126, 127, 1000, 1<<16 - 1, 1 << 16, 70_000}
			data = append(data, serverFrame(lengths[random.IntN(len(lengths))])...)
			ends[len(data)] = true
		}
		var f frames
		for at := 0; at < len(data); {
			n := min(1+random.IntN(1+random.IntN(40_000)), len(data)-at)
			rest := f.rest(data[at : at+n])
			if want := bytesToEnd(at, n, ends); rest != want {
				t.Fatalf("at %d of %d: %d of %d bytes belong to the frame that has begun; want %d", at, len(data), rest, n, want)
			}
			f.feed(data[at : at+n])
			at += n
			if f.between() != ends[at] {
				t.Fatalf("at %d of %d: between two frames %v; want %v", at, len(data), f.between(), ends[at])
			}
		}
	}
}

// bytesToEnd is how many of the n bytes at a place lie before the next end of a frame.
func bytesToEnd(at, n int, ends map[int]bool) int {
	for i := range n {
		if ends[at+i] {
			return i
		}
	}
	return n
}
