package wsconn

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/frame"
	"github.com/carillon-io/carillon/internal/wsframe"
)

// However the kernel takes them, the pieces leave whole and in order, and never more than a chunk of copies at once.
func TestPieces_LeaveInOrderHoweverTheyAreTaken(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		codec := frame.Codec{Revision: 4}
		p := pieces{codec: &codec}
		var want []byte
		if random.IntN(2) == 0 {
			p.pong = frame.NewControl(wsframe.Pong, []byte("ping"))
			want = append(want, codec.Wire(p.pong)...)
		}
		for range random.IntN(8) {
			data := bytes.Repeat([]byte{'a' + byte(random.IntN(26))}, random.IntN(2)*random.IntN(2*Chunk)+random.IntN(200))
			f := frame.NewMessage(data, random.IntN(2) == 0, time.Time{})
			p.batch = append(p.batch, f)
			want = append(want, codec.Wire(f)...)
		}
		if random.IntN(2) == 0 {
			p.close = wsframe.AppendClose(nil, wsframe.GoingAway, "")
			want = append(want, p.close...)
		}
		var got []byte
		for p.advance() {
			out := p.rest
			if p.gathers() {
				out = p.gather(new([Chunk]byte))
			}
			n := random.IntN(len(out) + 1) // what the kernel takes
			got = append(got, out[:n]...)
			p.skip(n)
		}
		if !bytes.Equal(got, want) || p.written != len(want) {
			t.Fatalf("seed %d: %d bytes left, %d counted, want %d", seed, len(got), p.written, len(want))
		}
	}
}
