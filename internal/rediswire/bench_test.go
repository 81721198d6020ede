package rediswire_test

import (
	"testing"

	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// A message of a chat, about 150 bytes on Redis.
func chatMessage(tb testing.TB) (b adapter.Broadcast, payload []byte) {
	tb.Helper()
	b = adapter.Broadcast{Namespace: "/", Target: to("lobby"),
		Args: args(`["message",{"from":"user-12345","text":"Hello, how are you doing?","ts":1700000000123,"ok":true}]`)}
	payload, err := rediswire.AppendBroadcast(nil, "7ODgax", &b)
	if err != nil {
		tb.Fatal(err)
	}
	return b, payload
}

func BenchmarkAppendBroadcast(b *testing.B) {
	message, payload := chatMessage(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		if _, err := rediswire.AppendBroadcast(payload[:0], "7ODgax", &message); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeBroadcast(b *testing.B) {
	_, payload := chatMessage(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		if _, err := rediswire.DecodeBroadcast("/", "lobby", payload, rediswire.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSender(b *testing.B) {
	_, payload := chatMessage(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := rediswire.Sender(payload); !ok {
			b.Fatal("no sender")
		}
	}
}

func TestBroadcast_AllocatesOnlyWhatItHandsOut(t *testing.T) {
	message, payload := chatMessage(t)
	if n := testing.AllocsPerRun(100, func() {
		if uid, ok := rediswire.Sender(payload); !ok || string(uid) == "own" {
			t.Fatal("no sender")
		}
	}); n > 0 {
		t.Errorf("Sender allocates %v times", n)
	}
	space := make([]byte, 0, 2*len(payload))
	if n := testing.AllocsPerRun(100, func() {
		if _, err := rediswire.AppendBroadcast(space, "7ODgax", &message); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("AppendBroadcast allocates %v times", n)
	}
	const textAndRooms = 2 // the name of the room is the channel's
	if n := testing.AllocsPerRun(100, func() {
		if _, err := rediswire.DecodeBroadcast("/", "lobby", payload, rediswire.Limits{}); err != nil {
			t.Fatal(err)
		}
	}); n > textAndRooms {
		t.Errorf("DecodeBroadcast allocates %v times", n)
	}
}
