package rediswire_test

import (
	"encoding/base64"
	"testing"

	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// FuzzStreamEntry: decoding an entry, as a broadcast or as any command, takes memory in proportion to its size, and each command that
// is decoded can be encoded again.
func FuzzStreamEntry(f *testing.F) {
	for _, golden := range goldenStream {
		f.Add(golden.kind, []byte(golden.data))
	}
	f.Add("101", []byte(`{"opts":{"rooms":[false],"except":[]},"close":true}`))
	f.Add("65535", []byte{})
	for _, bomb := range bombs {
		f.Add("3", bomb(50))
		f.Add("3", base64.StdEncoding.AppendEncode(nil, bomb(50)))
	}
	f.Fuzz(func(t *testing.T, kind string, data []byte) {
		e := rediswire.StreamEntry{UID: "u", Namespace: "/", Type: kind, Data: data}
		var command adapter.Command
		expectLinear(t, data, func() {
			payload, err := e.Message()
			if err != nil {
				return
			}
			if len(payload) > len(data)+len("/")+64 {
				t.Fatalf("%d bytes became %d", len(data), len(payload))
			}
			if _, b, ok := rediswire.ClusterBroadcast("/", "", payload, rediswire.Limits{}); ok {
				command = b
				return
			}
			if m, err := rediswire.DecodeCluster("/", payload, rediswire.Limits{}); err == nil {
				command = m.Command
			}
		})
		if command == nil {
			return
		}
		if nsp := adapter.NamespaceOf(command); nsp != "/" {
			t.Fatalf("an entry of / is for %s", nsp)
		}
		again, err := rediswire.NewStreamEntry("u", command)
		if err != nil {
			t.Fatalf("%s: %v", fingerprint(command), err)
		}
		payload, err := again.Message()
		if err != nil {
			t.Fatalf("%s: %v", fingerprint(command), err)
		}
		if _, err := rediswire.DecodeCluster("/", payload, rediswire.Limits{}); err != nil {
			t.Errorf("%s came back as %q: %v", fingerprint(command), payload, err)
		}
	})
}
