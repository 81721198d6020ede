package rediswire_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/carillon-io/carillon/internal/msgjson"
	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// What can be read can be written again, and then means the same.
func FuzzDecodeBroadcast(f *testing.F) {
	for _, golden := range goldenBroadcasts {
		f.Add("room1", unhex(f, golden.bytes))
	}
	f.Add("b", unhex(f, "93a7656d697474657283a47479706502a46461746192a2686901a36e7370a12f82a5726f6f6d7393a161a162a163a566"+
		"6c61677380"))
	for _, bomb := range bombs {
		f.Add("b", bomb(50))
	}
	f.Fuzz(func(t *testing.T, room string, payload []byte) {
		rediswire.Sender(payload)
		var b adapter.Broadcast
		var err error
		expectLinear(t, payload, func() { b, err = rediswire.DecodeBroadcast("/", room, payload, rediswire.Limits{}) })
		if err != nil {
			return
		}
		if !json.Valid(b.Args.JSON) {
			t.Fatalf("arguments %s", b.Args.JSON)
		}
		written, err := rediswire.AppendBroadcast(nil, "u", &b)
		if err != nil {
			t.Fatalf("%s: %v", fingerprint(b), err)
		}
		again, err := rediswire.DecodeBroadcast("/", "", written, rediswire.Limits{})
		if err != nil {
			t.Fatalf("%x: %v", written, err)
		}
		// A placeholder that stands twice is the same attachment twice afterwards, so what the lists stand for is compared.
		first, second := packedArgs(t, b.Args), packedArgs(t, again.Args)
		b.Args, again.Args = packet.Args{}, packet.Args{}
		if fingerprint(b) != fingerprint(again) || !bytes.Equal(first, second) {
			t.Errorf("%s %x came back as %s %x", fingerprint(b), first, fingerprint(again), second)
		}
	})
}

func packedArgs(t *testing.T, args packet.Args) []byte {
	t.Helper()
	packed, err := msgjson.AppendMsgpack(nil, args.JSON, args.Attachments, rediswire.DefaultDepth)
	if err != nil {
		t.Fatalf("%s: %v", args.JSON, err)
	}
	return packed
}

func FuzzDecodeRequest(f *testing.F) {
	for _, golden := range goldenRequests {
		f.Add(payload(f, golden.bytes))
	}
	f.Add([]byte(`{"requestId":"r2","type":2,"sid":"ThXQ9CNvzGyJkxC7AAAA","room":"x"}`))
	for _, bomb := range bombs {
		f.Add(bomb(50))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		var r rediswire.Request
		var err error
		expectLinear(t, payload, func() { r, err = rediswire.DecodeRequest("/", payload, rediswire.Limits{}) })
		if err != nil {
			return
		}
		if (r.Command == nil) == (r.Query == nil) {
			t.Fatalf("%q holds %v and %v", payload, r.Command, r.Query)
		}
		written, err := rediswire.AppendRequest(nil, &r)
		if err != nil {
			t.Fatalf("%s: %v", fingerprint(r), err)
		}
		if _, err := rediswire.DecodeRequest("/", written, rediswire.Limits{}); err != nil {
			t.Fatalf("%q written as %q: %v", payload, written, err)
		}
	})
}

func FuzzDecodeResponse(f *testing.F) {
	for _, golden := range goldenResponses {
		f.Add(payload(f, golden.bytes))
	}
	for _, bomb := range bombs {
		f.Add(bomb(50))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		var r rediswire.Response
		var err error
		expectLinear(t, payload, func() { r, err = rediswire.DecodeResponse(payload, rediswire.Limits{}) })
		if err != nil {
			return
		}
		if acked, ok := r.Reply.(adapter.Acked); ok && !json.Valid(acked.Args.JSON) {
			t.Fatalf("arguments %s", acked.Args.JSON)
		}
		written, err := rediswire.AppendResponse(nil, &r)
		if err != nil {
			t.Fatalf("%s: %v", fingerprint(r), err)
		}
		again, err := rediswire.DecodeResponse(written, rediswire.Limits{})
		if err != nil {
			t.Fatalf("%q written as %q: %v", payload, written, err)
		}
		if r.ID != again.ID || r.UID != again.UID || (r.Reply == nil) != (again.Reply == nil) {
			t.Errorf("%s came back as %s", fingerprint(r), fingerprint(again))
		}
	})
}
