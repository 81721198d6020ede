package rediswire_test

import (
	"bytes"
	"runtime"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/msgjson"
	"github.com/carillon-io/carillon/internal/rediswire"
)

// What doc.go promises: reading n bytes allocates at most bytesPerByte*n + bytesPerMessage.
const (
	bytesPerByte    = 64
	bytesPerMessage = 16 << 10
)

// allocated is how many bytes read allocates, whether or not they are garbage at once.
func allocated(read func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	read()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// expectLinear fails when read, which decodes payload, allocates more than doc.go promises.
func expectLinear(t *testing.T, payload []byte, read func()) {
	t.Helper()
	bound := uint64(bytesPerByte*len(payload) + bytesPerMessage)
	if got := allocated(read); got > bound {
		t.Errorf("%d bytes allocated for a message of %d, at most %d are right: %.80q", got, len(payload), bound, payload)
	}
}

func decoders(nsp string) map[string]func([]byte) {
	none := rediswire.Limits{}
	return map[string]func([]byte){
		"broadcast": func(p []byte) { _, _ = rediswire.DecodeBroadcast(nsp, "", p, none) },
		"request":   func(p []byte) { _, _ = rediswire.DecodeRequest(nsp, p, none) },
		"response":  func(p []byte) { _, _ = rediswire.DecodeResponse(p, none) },
		"cluster":   func(p []byte) { _, _ = rediswire.DecodeCluster(nsp, p, none) },
		"cluster broadcast": func(p []byte) {
			_, _, _ = rediswire.ClusterBroadcast(nsp, "", p, none)
		},
	}
}

// Hostile messages of n repetitions. Each is put to every decoder: what one of them refuses early is cheap.
var bombs = map[string]func(n int) []byte{
	"data repeated": func(n int) []byte {
		return classicPacket(n, packText("data"), []byte{0x91, 0xa1, 'a'})
	},
	"data repeated, with attachments": func(n int) []byte {
		return classicPacket(n, packText("data"), []byte{0x92, 0xa1, 'a', 0xc4, 0})
	},
	"data repeated, with control characters": func(n int) []byte {
		return classicPacket(n, packText("data"), []byte{0x92, 0xa1, 'a', 0xa4, 1, 1, 1, 1})
	},
	"options repeated": func(n int) []byte {
		p := classicPacket(1, packText("data"), []byte{0x91, 0xa1, 'a'})
		p = msgjson.AppendMap(p[:len(p)-1], 2*n)
		for range n {
			p = append(append(p, packText("rooms")...), 0x92, 0xa1, 'a', 0xa1, 'b')
			p = append(append(p, packText("except")...), 0x91, 0xa2, 'c', 'd')
		}
		return p
	},
	"empty attachments": func(n int) []byte {
		list := append(msgjson.AppendArray(nil, n+1), 0xa1, 'a')
		return classicPacket(1, packText("data"), append(list, bytes.Repeat([]byte{0xc4, 0}, n)...))
	},
	"empty extensions": func(n int) []byte {
		list := append(msgjson.AppendArray(nil, n+1), 0xa1, 'a')
		return classicPacket(1, packText("data"), append(list, bytes.Repeat([]byte{0xc7, 0, 5}, n)...))
	},
	"plain data like placeholders beside an attachment": func(n int) []byte {
		list := append(msgjson.AppendArray(nil, n+2), 0xa1, 'a', 0xc4, 0)
		return classicPacket(1, packText("data"),
			append(list, bytes.Repeat(append([]byte{0x81}, append(packText("_placeholder"), 0xc3)...), n)...))
	},
	"one long name": func(n int) []byte {
		return classicPacket(1, packText("data"), append([]byte{0x91}, packText(strings.Repeat("\x01", n))...))
	},
	"rooms without a name": func(n int) []byte {
		p := classicPacket(1, packText("data"), []byte{0x91, 0xa1, 'a'})
		p = append(append(p[:len(p)-1], 0x81), packText("rooms")...)
		return append(msgjson.AppendArray(p, n), bytes.Repeat([]byte{0xa0}, n)...)
	},
	"rooms that are not there": func(n int) []byte {
		p := classicPacket(1, packText("data"), []byte{0x91, 0xa1, 'a'})
		p = append(append(p[:len(p)-1], 0x81), packText("rooms")...)
		return append(append(msgjson.AppendArray(p, n), 0xc1), make([]byte, n)...)
	},
	"arrays in each other": func(n int) []byte {
		return classicPacket(1, packText("data"), bytes.Repeat([]byte{0x91}, n))
	},
	"wide arrays in each other": func(n int) []byte {
		wide := "[" + strings.Repeat("0,", 20)
		return []byte(`{"type":6,"data":["a",` + strings.Repeat(wide, 100) + strings.Repeat("0,", n) + "0" +
			strings.Repeat("]", 101) + "}")
	},
	"request that repeats its data": func(n int) []byte {
		return []byte(`{"type":6` + strings.Repeat(`,"data":["a"]`, n) + "}")
	},
	"request that repeats its packet": func(n int) []byte {
		return []byte(`{"type":7,"requestId":"r","opts":{}` + strings.Repeat(`,"packet":{"type":2,"data":["a",[]]}`, n) +
			"}")
	},
	"request that repeats the data of its packet": func(n int) []byte {
		return []byte(`{"type":7,"requestId":"r","opts":{},"packet":{"type":2` + strings.Repeat(`,"data":["a",[]]`, n) +
			"}}")
	},
	"request that repeats its options": func(n int) []byte {
		return []byte(`{"type":2,"rooms":["a"]` + strings.Repeat(`,"opts":{"rooms":["a","b"]}`, n) + "}")
	},
	"answer of sockets": func(n int) []byte {
		return []byte(`{"requestId":"r","sockets":[` + strings.Repeat(`{"id":"a"},`, n) + `{"id":"a"}]}`)
	},
	"answer of packed sockets": func(n int) []byte {
		p := append(msgjson.AppendMap(nil, 2), packText("requestId")...)
		p = append(append(append(p, 0xa1, 'r'), packText("sockets")...), msgjson.AppendArray(nil, n)...)
		return append(p, bytes.Repeat([]byte{0x81, 0xa2, 'i', 'd', 0xa1, 'a'}, n)...)
	},
	"answer of ids": func(n int) []byte {
		return []byte(`{"requestId":"r","sockets":[` + strings.Repeat(`"a",`, n) + `"a"]}`)
	},
	"answer that repeats handshakes": func(n int) []byte {
		return []byte(`{"requestId":"r","sockets":[{"id":"a"` + strings.Repeat(`,"handshake":1,"data":[]`, n) + "}]}")
	},
	"answer of bytes": func(n int) []byte {
		p := append(msgjson.AppendMap(nil, 2), packText("requestId")...)
		p = append(append(append(p, 0xa1, 'r'), packText("sockets")...), 0x91, 0x82, 0xa2, 'i', 'd', 0xa1, 'a')
		p = append(append(p, packText("data")...), msgjson.AppendArray(nil, n)...)
		return append(p, bytes.Repeat([]byte{0xc4, 0}, n)...)
	},
	"answer of rooms": func(n int) []byte {
		return []byte(`{"requestId":"r","rooms":[` + strings.Repeat(`"",`, n) + `""]}`)
	},
	"acknowledgement of bytes": func(n int) []byte {
		p := append(msgjson.AppendMap(nil, 3), packText("requestId")...)
		p = append(append(append(p, 0xa1, 'r'), packText("type")...), 9)
		p = append(append(p, packText("packet")...), msgjson.AppendArray(nil, n)...)
		return append(p, bytes.Repeat([]byte{0xc4, 0}, n)...)
	},
	"sharded broadcast that repeats its data": func(n int) []byte {
		return []byte(`{"type":3,"data":{"packet":{"type":2` + strings.Repeat(`,"data":["a"]`, n) +
			`,"x\u0079":1},"opts":{"rooms":[],"except":[],"flags":{}}},"uid":"x","nsp":"/"}`)
	},
	"sharded broadcast that repeats its packet": func(n int) []byte {
		return []byte(`{"type":3,"data":{"x\u0079":1` + strings.Repeat(`,"packet":{"type":2,"data":["a"]}`, n) +
			`,"opts":{"rooms":[],"except":[],"flags":{}}},"uid":"x","nsp":"/"}`)
	},
	"sharded broadcast that repeats its flags": func(n int) []byte {
		return []byte(`{"type":3,"data":{"packet":{"type":2,"data":["a"]},"opts":{"rooms":[],"except":[]` +
			strings.Repeat(`,"flags":{"volatile":true}`, n) + `}},"uid":"x","nsp":"/"}`)
	},
	"sharded broadcast that repeats its rooms": func(n int) []byte {
		return []byte(`{"type":3,"data":{"packet":{"type":2,"data":["a"]},"opts":{"except":[],"flags":{}` +
			strings.Repeat(`,"rooms":["a"]`, n) + `}},"uid":"x","nsp":"/"}`)
	},
	"sharded broadcast to rooms without a name": func(n int) []byte {
		return []byte(`{"type":3,"data":{"packet":{"type":2,"data":["a"]},"opts":{"rooms":[` +
			strings.Repeat(`"",`, n) + `""],"except":[],"flags":{}}},"uid":"x","nsp":"/"}`)
	},
	"sharded message that repeats data": func(n int) []byte {
		return []byte(`{"type":7` + strings.Repeat(`,"data":{"requestId":"abcd","opts":{}}`, n) + `,"uid":"x","nsp":"/"}`)
	},
	"sharded answer of sockets": func(n int) []byte {
		return []byte(`{"type":8,"data":{"requestId":"r","sockets":[` + strings.Repeat(`{"id":"a"},`, n) +
			`{"id":"a"}]},"uid":"x","nsp":"/"}`)
	},
}

func packText(s string) []byte { return msgjson.AppendString(nil, s) }

// classicPacket is a broadcast whose packet holds one member n times.
func classicPacket(n int, key, value []byte) []byte {
	p := append(msgjson.AppendArray(nil, 3), packText("emitter")...)
	p = msgjson.AppendMap(p, n+2)
	p = append(append(p, packText("type")...), 2)
	p = append(append(p, packText("nsp")...), packText("/")...)
	for range n {
		p = append(append(p, key...), value...)
	}
	return msgjson.AppendMap(p, 0)
}

func TestDecode_AllocIsLinearInTheMessage(t *testing.T) {
	for name, bomb := range bombs {
		for decoder, read := range decoders("/") {
			t.Run(name+"/"+decoder, func(t *testing.T) {
				for _, n := range []int{10, 1000, 20_000} {
					payload := bomb(n)
					expectLinear(t, payload, func() { read(payload) })
				}
			})
		}
	}
}
