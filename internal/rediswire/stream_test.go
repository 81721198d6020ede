package rediswire_test

import (
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
)

const streamUID = "3c3c6873169b3d25"

// goldenStream is what @socket.io/redis-streams-adapter 0.3.1 writes into its stream.
var goldenStream = []struct {
	kind, data string
	command    adapter.Command
}{
	{"3", `{"packet":{"type":2,"data":["hello","world"]},"opts":{"rooms":[],"except":[],"flags":{}}}`,
		adapter.Broadcast{Namespace: "/", Args: args(`["hello","world"]`)}},
	{"3", "gqZwYWNrZXSCpHR5cGUCpGRhdGGSo2JpbsQCAQKkb3B0c4Olcm9vbXOQpmV4Y2VwdJClZmxhZ3OA",
		adapter.Broadcast{Namespace: "/", Args: args(`["bin",{"_placeholder":true,"num":0}]`, []byte{1, 2})}},
	{"3", `{"packet":{"type":2,"data":["hi"]},"opts":{"rooms":["room1"],"except":["zz"],"flags":{"volatile":true}}}`,
		adapter.Broadcast{Namespace: "/", Args: args(`["hi"]`), Volatile: true, Target: rooms.Target{Rooms: []string{"room1"}, Except: []string{"zz"}}}},
	{"4", `{"opts":{"rooms":[],"except":[],"flags":{}},"rooms":["r2"]}`, adapter.Join{Namespace: "/", Rooms: []string{"r2"}}},
	{"5", `{"opts":{"rooms":["a"],"except":[],"flags":{}},"rooms":["r2"]}`, adapter.Leave{Namespace: "/", Target: to("a"), Rooms: []string{"r2"}}},
	{"6", `{"opts":{"rooms":["a"],"except":[],"flags":{}},"close":true}`, adapter.Disconnect{Namespace: "/", Target: to("a"), Close: true}},
}

func TestStream_EntriesAreThoseOfNode(t *testing.T) {
	for _, golden := range goldenStream {
		e, err := rediswire.NewStreamEntry(streamUID, golden.command)
		if err != nil {
			t.Fatal(err)
		}
		want := rediswire.StreamEntry{UID: streamUID, Namespace: "/", Type: golden.kind, Data: []byte(golden.data)}
		if !reflect.DeepEqual(e, want) {
			t.Errorf("got %s %s, want %s %s", e.Type, e.Data, want.Type, want.Data)
		}
		message, err := want.Message()
		if err != nil {
			t.Fatal(err)
		}
		m, err := rediswire.DecodeCluster("/", message, rediswire.Limits{})
		if err != nil || m.UID != streamUID {
			t.Fatalf("%s: %v, of %q", golden.data, err, m.UID)
		}
		again, err := rediswire.NewStreamEntry(streamUID, m.Command)
		if err != nil || string(again.Data) != golden.data {
			t.Errorf("read and written again: %s, %v", again.Data, err)
		}
		if _, _, fast := rediswire.ClusterBroadcast("/", "", message, rediswire.Limits{}); fast != (golden.kind == "3" && golden.data[0] == '{') {
			t.Errorf("%s: read in one pass: %v", golden.data, fast)
		}
	}
}

// TestStream_EntriesOfTheEmitter: its packets name their namespace, and its options stand in another order.
func TestStream_EntriesOfTheEmitter(t *testing.T) {
	e := rediswire.StreamEntry{UID: "emitter", Namespace: "/", Type: "3",
		Data: []byte(`{"packet":{"type":2,"data":["a",1],"nsp":"/"},"opts":{"rooms":["r"],"flags":{},"except":[]}}`)}
	message, err := e.Message()
	if err != nil {
		t.Fatal(err)
	}
	m, err := rediswire.DecodeCluster("/", message, rediswire.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := adapter.Broadcast{Namespace: "/", Args: args(`["a",1]`), Target: to("r")}
	if got, _ := m.Command.(adapter.Broadcast); !reflect.DeepEqual(got.Target, want.Target) || string(got.Args.JSON) != string(want.Args.JSON) {
		t.Errorf("got %+v, want %+v", m.Command, want)
	}
}

func TestStream_RefusesWhatIsNoEntry(t *testing.T) {
	for _, e := range []rediswire.StreamEntry{
		{Namespace: "/", Type: ""}, {Namespace: "/", Type: "-1", Data: []byte("{}")}, {Namespace: "/", Type: "3.5"}, {Namespace: "/", Type: "70000"},
		{Namespace: "/", Type: "3"}, {Namespace: "/", Type: "3", Data: []byte("!")}, {Namespace: "/", Type: "3", Data: []byte("AAAA")},
		{Namespace: "/", Type: "3", Data: []byte("{")}, {Namespace: "/", Type: "3", Data: []byte(`{"packet":1}`)},
		{Namespace: "/", Type: "3", Data: []byte(`{},"nsp":"/other"`)},
		{Namespace: "/", Type: "1"}, {Namespace: "/", Type: "2"}, {Namespace: "/", Type: "13"}, // heartbeats of 0.2
	} {
		message, err := e.Message()
		if err == nil {
			_, err = rediswire.DecodeCluster("/", message, rediswire.Limits{})
		}
		if err == nil {
			t.Errorf("%s %s is taken for a message", e.Type, e.Data)
		}
		if (e.Type == "1" || e.Type == "2" || e.Type == "13") && !errors.Is(err, rediswire.ErrType) {
			t.Errorf("type %s: %v", e.Type, err)
		}
	}
}

// TestEphemeral_IsMessagePack: Node's streams adapter decodes nothing else beside its stream. The bytes are the beginnings of
// what 0.3.1 publishes.
func TestEphemeral_IsMessagePack(t *testing.T) {
	for _, golden := range goldenCluster {
		if golden.message.Command != nil {
			continue
		}
		packed, err := rediswire.AppendEphemeral(nil, "/", &golden.message)
		if err != nil {
			t.Fatalf("%s: %v", golden.name, err)
		}
		if begin := "84a474797065"; !strings.HasPrefix(hex.EncodeToString(packed), begin) {
			t.Errorf("%s: %x does not begin with %s", golden.name, packed, begin)
		}
		m, err := rediswire.DecodeCluster("/", packed, rediswire.Limits{})
		if err != nil {
			t.Fatalf("%s: %v", golden.name, err)
		}
		text, err := rediswire.AppendCluster(nil, "/", &m)
		want, err2 := rediswire.AppendCluster(nil, "/", &golden.message)
		if err != nil || err2 != nil || string(text) != string(want) {
			t.Errorf("%s: read again as %s, want %s (%v)", golden.name, text, want, err)
		}
	}
}

func TestStreamOf_CountsAsNodeDoes(t *testing.T) {
	for nsp, want := range map[string]string{"/": "s-47", "/foo": "s-1501751", "/admin": "s-438238848", "/notifications": "s--14064871"} {
		if got := rediswire.StreamOf("s", 1_000_000_000, nsp); got != want {
			t.Errorf("%s: %s, want %s", nsp, got, want)
		}
	}
	if got := rediswire.StreamOf("s", 1, "/notifications"); got != "s" {
		t.Errorf("one stream is called %q", got)
	}
}

func TestIsClassic_TellsListsFromMaps(t *testing.T) {
	classic, err := rediswire.AppendBroadcast(nil, "uid", &adapter.Broadcast{Namespace: "/", Args: args(`["a"]`)})
	if err != nil || !rediswire.IsClassic(classic) {
		t.Errorf("a classic broadcast is not classic: %v", err)
	}
	ephemeral, err := rediswire.AppendEphemeral(nil, "/", &rediswire.ClusterMessage{ID: "x", Query: adapter.FetchSockets{Namespace: "/"}})
	if err != nil || rediswire.IsClassic(ephemeral) || rediswire.IsClassic(nil) {
		t.Errorf("a question is classic: %v", err)
	}
}
