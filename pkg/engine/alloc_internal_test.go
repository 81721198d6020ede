package engine

import (
	"strings"
	"testing"
	"time"
)

func TestNewFrame_AllocatesTheFrameAndItsBytes(t *testing.T) {
	data := []byte(strings.Repeat("x", 150))
	for _, binary := range []bool{false, true} {
		if n := testing.AllocsPerRun(100, func() { NewFrame(data, binary, time.Time{}) }); n > 2 {
			t.Errorf("binary %v: %v allocations", binary, n)
		}
	}
}

func TestPayload_DecodingAllocatesNothing(t *testing.T) {
	message := "4" + strings.Repeat("x", 150)
	for _, c := range []struct {
		name   string
		codec  codec
		body   string
		octets bool
	}{
		{"revision 4", codec{revision: 4}, strings.Repeat(message+"\x1e", 9) + "3", false},
		{"revision 3", codec{revision: 3}, strings.Repeat("151:"+message, 9) + "1:2", false},
		{"octets of revision 3", codec{revision: 3}, strings.Repeat("\x00\x01\x05\x01\xff"+message, 9), true},
	} {
		body, packets := []byte(c.body), 0
		n := testing.AllocsPerRun(100, func() {
			if err := c.codec.decode(body, c.octets, func(packet) bool { packets++; return true }); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 || packets == 0 {
			t.Errorf("%s: %v allocations for %d packets", c.name, n, packets)
		}
	}
}
