package rediswire_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
)

const (
	clusterAsker    = "a19da7764762d0d1"
	clusterAnswerer = "f642bff65d2762fb"
)

// goldenCluster is what @socket.io/redis-adapter 8.3.0 publishes with createShardedAdapter in the main namespace.
var goldenCluster = []struct {
	name, bytes string
	message     rediswire.ClusterMessage
}{
	{"broadcast", `{"type":3,"data":{"packet":{"type":2,"data":["hello","world"]},"opts":{"rooms":[],"except":[],` +
		`"flags":{}}},"uid":"a19da7764762d0d1","nsp":"/"}`,
		rediswire.ClusterMessage{UID: clusterAsker,
			Command: adapter.Broadcast{Namespace: "/", Args: args(`["hello","world"]`)}}},
	{"to a room", `{"type":3,"data":{"packet":{"type":2,"data":["hi"]},"opts":{"rooms":["room1"],"except":[],` +
		`"flags":{}}},"uid":"a19da7764762d0d1","nsp":"/"}`,
		rediswire.ClusterMessage{UID: clusterAsker,
			Command: adapter.Broadcast{Namespace: "/", Args: args(`["hi"]`), Target: to("room1")}}},
	{"except, volatile", `{"type":3,"data":{"packet":{"type":2,"data":["exc"]},"opts":{"rooms":[],"except":["zz"],` +
		`"flags":{"volatile":true}}},"uid":"a19da7764762d0d1","nsp":"/"}`,
		rediswire.ClusterMessage{UID: clusterAsker, Command: adapter.Broadcast{Namespace: "/", Args: args(`["exc"]`),
			Target: rooms.Target{Except: []string{"zz"}}, Volatile: true}}},
	{"binary", "84a47479706503a46461746182a67061636b657482a47479706502a46461746192a362696ec4020102a46f70747383a5726f6f" +
		"6d7390a665786365707490a5666c61677380a3756964b061313964613737363437363264306431a36e7370a12f",
		rediswire.ClusterMessage{UID: clusterAsker, Command: adapter.Broadcast{Namespace: "/",
			Args: args(`["bin",{"_placeholder":true,"num":0}]`, []byte{1, 2})}}},
	{"with acknowledgement", `{"type":3,"data":{"packet":{"type":2,"data":["q",1]},"requestId":"4fb4f8ddedfca622",` +
		`"opts":{"rooms":[],"except":[],"flags":{"timeout":500}}},"uid":"a19da7764762d0d1","nsp":"/"}`,
		rediswire.ClusterMessage{UID: clusterAsker, ID: "4fb4f8ddedfca622", Query: adapter.BroadcastAsk{
			Broadcast: adapter.Broadcast{Namespace: "/", Args: args(`["q",1]`)}, Timeout: 500 * time.Millisecond}}},
	{"with acknowledgement, binary", "84a47479706503a46461746183a67061636b657482a47479706502a46461746192a171c40105a97265" +
		"71756573744964b038626532626231383565663733643533a46f70747383a5726f6f6d7391a5726f6f6d31a665786365707490a5666c61" +
		"677381a774696d656f7574cd01f4a3756964b061313964613737363437363264306431a36e7370a12f",
		rediswire.ClusterMessage{UID: clusterAsker, ID: "8be2bb185ef73d53", Query: adapter.BroadcastAsk{
			Broadcast: adapter.Broadcast{Namespace: "/", Target: to("room1"),
				Args: args(`["q",{"_placeholder":true,"num":0}]`, []byte{5})},
			Timeout: 500 * time.Millisecond}}},
	{"client count", `{"type":11,"data":{"requestId":"4fb4f8ddedfca622","clientCount":1},"uid":"f642bff65d2762fb",` +
		`"nsp":"/"}`,
		rediswire.ClusterMessage{UID: clusterAnswerer, ID: "4fb4f8ddedfca622", Type: rediswire.TypeBroadcastAsk,
			Reply: adapter.Count(1)}},
	{"acknowledgement", `{"type":12,"data":{"requestId":"4fb4f8ddedfca622","packet":"ack-from-B"},` +
		`"uid":"f642bff65d2762fb","nsp":"/"}`,
		rediswire.ClusterMessage{UID: clusterAnswerer, ID: "4fb4f8ddedfca622", Type: rediswire.TypeBroadcastAsk,
			Reply: adapter.Acked{Args: args(`["ack-from-B"]`)}}},
	{"fetch", `{"type":7,"data":{"opts":{"rooms":["room1"],"except":[],"flags":{}},"requestId":"9ee27bb9f9bb4411"},` +
		`"uid":"a19da7764762d0d1","nsp":"/"}`,
		rediswire.ClusterMessage{UID: clusterAsker, ID: "9ee27bb9f9bb4411",
			Query: adapter.FetchSockets{Namespace: "/", Target: to("room1")}}},
	{"sockets", `{"type":8,"data":{"requestId":"9ee27bb9f9bb4411","sockets":[{"id":"pUgELiSqau2jqYkNAAAA","handshake":` +
		`{"secure":false,"issued":1795216707322},"rooms":["pUgELiSqau2jqYkNAAAA","room1"],"data":{"user":"B"}}]},` +
		`"uid":"f642bff65d2762fb","nsp":"/"}`,
		rediswire.ClusterMessage{UID: clusterAnswerer, ID: "9ee27bb9f9bb4411", Type: rediswire.TypeFetch,
			Reply: adapter.Sockets{{ID: "pUgELiSqau2jqYkNAAAA", Handshake: []byte(`{"secure":false,"issued":1795216707322}`),
				Rooms: []string{"pUgELiSqau2jqYkNAAAA", "room1"}, Data: []byte(`{"user":"B"}`)}}}},
	{"join", `{"type":4,"data":{"opts":{"rooms":["room1"],"except":[],"flags":{}},"rooms":["r2"]},` +
		`"uid":"a19da7764762d0d1","nsp":"/"}`,
		rediswire.ClusterMessage{UID: clusterAsker,
			Command: adapter.Join{Namespace: "/", Target: to("room1"), Rooms: []string{"r2"}}}},
	{"leave", `{"type":5,"data":{"opts":{"rooms":["room1"],"except":[],"flags":{}},"rooms":["r2"]},` +
		`"uid":"a19da7764762d0d1","nsp":"/"}`,
		rediswire.ClusterMessage{UID: clusterAsker,
			Command: adapter.Leave{Namespace: "/", Target: to("room1"), Rooms: []string{"r2"}}}},
	{"disconnect", `{"type":6,"data":{"opts":{"rooms":["room1"],"except":[],"flags":{}},"close":true},` +
		`"uid":"a19da7764762d0d1","nsp":"/"}`,
		rediswire.ClusterMessage{UID: clusterAsker,
			Command: adapter.Disconnect{Namespace: "/", Target: to("room1"), Close: true}}},
	{"server-side emit", `{"type":9,"data":{"packet":["ping",1]},"uid":"a19da7764762d0d1","nsp":"/"}`,
		rediswire.ClusterMessage{UID: clusterAsker, Command: adapter.ServerEmit{Namespace: "/", Args: args(`["ping",1]`)}}},
	{"server-side emit, binary", "84a47479706509a46461746181a67061636b657492a470696e67c40101a3756964b0613139646137373634" +
		"37363264306431a36e7370a12f",
		rediswire.ClusterMessage{UID: clusterAsker, Command: adapter.ServerEmit{Namespace: "/",
			Args: args(`["ping",{"_placeholder":true,"num":0}]`, []byte{1})}}},
	{"server-side emit with acknowledgement", `{"type":9,"data":{"requestId":"94ffa8ddc81f30e8","packet":["ping2","x"]},` +
		`"uid":"a19da7764762d0d1","nsp":"/"}`,
		rediswire.ClusterMessage{UID: clusterAsker, ID: "94ffa8ddc81f30e8",
			Query: adapter.ServerAsk{Namespace: "/", Args: args(`["ping2","x"]`)}}},
	{"server's acknowledgement", `{"type":10,"data":{"requestId":"94ffa8ddc81f30e8","packet":"pongB"},` +
		`"uid":"f642bff65d2762fb","nsp":"/"}`,
		rediswire.ClusterMessage{UID: clusterAnswerer, ID: "94ffa8ddc81f30e8", Type: rediswire.TypeServerEmit,
			Reply: adapter.Acked{Args: args(`["pongB"]`)}}},
	{"empty acknowledgement", `{"type":12,"data":{"requestId":"1"},"uid":"f642bff65d2762fb","nsp":"/"}`,
		rediswire.ClusterMessage{UID: clusterAnswerer, ID: "1", Type: rediswire.TypeBroadcastAsk,
			Reply: adapter.Acked{Args: args(`[]`)}}},
	// Ours: Node takes it for a fetch of all sockets, and answers so.
	{"all rooms", `{"type":7,"data":{"opts":{"rooms":[],"except":[],"flags":{}},"requestId":"1","onlyRooms":true},` +
		`"uid":"a19da7764762d0d1","nsp":"/"}`,
		rediswire.ClusterMessage{UID: clusterAsker, ID: "1", Query: adapter.AllRooms{Namespace: "/"}}},
	{"count", `{"type":7,"data":{"opts":{"rooms":["room1"],"except":[],"flags":{}},"requestId":"1","onlyCount":true},` +
		`"uid":"a19da7764762d0d1","nsp":"/"}`,
		rediswire.ClusterMessage{UID: clusterAsker, ID: "1",
			Query: adapter.CountSockets{Namespace: "/", Rooms: []string{"room1"}}}},
	{"list those of servers without names", `{"type":7,"data":{"opts":{"rooms":["room1"],"except":[],"flags":{}},` +
		`"requestId":"1","onlyOthers":true},"uid":"a19da7764762d0d1","nsp":"/"}`,
		rediswire.ClusterMessage{UID: clusterAsker, ID: "1",
			Query: adapter.ListSockets{Namespace: "/", Target: to("room1")}}},
	{"list those of a node", `{"type":20,"data":{"opts":{"rooms":["room1"],"except":[],"flags":{}},"requestId":"1",` +
		`"node":"n","after":"a\"b","limit":10},"uid":"a19da7764762d0d1","nsp":"/"}`,
		rediswire.ClusterMessage{UID: clusterAsker, ID: "1",
			Query: adapter.ListSockets{Namespace: "/", Target: to("room1"), Node: "n", After: `a"b`, Limit: 10}}},
	{"confirmed leave", `{"type":5,"data":{"opts":{"rooms":["room1"],"except":[],"flags":{}},"requestId":"1","rooms":["r2"]},` +
		`"uid":"a19da7764762d0d1","nsp":"/"}`,
		rediswire.ClusterMessage{UID: clusterAsker, ID: "1",
			Query: adapter.Perform{Command: adapter.Leave{Namespace: "/", Target: to("room1"), Rooms: []string{"r2"}}}}},
	{"names of rooms", `{"type":8,"data":{"requestId":"1","sockets":[],"rooms":["a"]},"uid":"f642bff65d2762fb","nsp":"/"}`,
		rediswire.ClusterMessage{UID: clusterAnswerer, ID: "1", Type: rediswire.TypeAllRooms,
			Reply: adapter.RoomNames{"a"}}},
}

func TestCluster_WritesAndReadsWhatNodePublishes(t *testing.T) {
	for _, golden := range goldenCluster {
		t.Run(golden.name, func(t *testing.T) {
			want := payload(t, golden.bytes)
			got, err := rediswire.AppendCluster([]byte("x"), "/", &golden.message)
			if err != nil || string(got) != "x"+string(want) {
				t.Errorf("written as\n%q, %v instead of\n%q", got, err, want)
			}
			read, err := rediswire.DecodeCluster("/", want, rediswire.Limits{})
			if err != nil || fingerprint(read) != fingerprint(golden.message) {
				t.Errorf("read as %s, %v instead of %s", fingerprint(read), err, fingerprint(golden.message))
			}
			if reflect.TypeOf(read.Query) != reflect.TypeOf(golden.message.Query) {
				t.Errorf("query %T instead of %T", read.Query, golden.message.Query)
			}
			if !rediswire.IsClusterEcho(want, "/", golden.message.UID) {
				t.Error("its own sender does not know it")
			}
			if rediswire.IsClusterEcho(want, "/", "1") || rediswire.IsClusterEcho(want, "/x", golden.message.UID) {
				t.Error("somebody else takes it for an own one")
			}
		})
	}
}

func TestCluster_WithAttachmentIsMsgpack(t *testing.T) {
	for _, m := range []rediswire.ClusterMessage{
		{UID: "u", ID: "1", Type: rediswire.TypeBroadcastAsk,
			Reply: adapter.Acked{Args: args(`[{"_placeholder":true,"num":0}]`, []byte{9})}},
		{UID: "u", ID: "1", Type: rediswire.TypeServerEmit,
			Reply: adapter.Acked{Args: args(`[{"_placeholder":true,"num":0}]`, []byte{9})}},
		{UID: "u", Command: adapter.Broadcast{Namespace: "/chat", Args: args(`["x",{"_placeholder":true,"num":0}]`,
			[]byte{9}), NoCompress: true, Volatile: true, Target: to("a", "b")}},
		{UID: "u", ID: "1", Query: adapter.ServerAsk{Namespace: "/chat", Args: args(`["x",{"_placeholder":true,"num":0}]`,
			[]byte{9})}},
	} {
		written, err := rediswire.AppendCluster(nil, "/chat", &m)
		if err != nil || written[0] == '{' {
			t.Errorf("%s written as %q, %v", fingerprint(m), written, err)
		}
		read, err := rediswire.DecodeCluster("/chat", written, rediswire.Limits{})
		if err != nil || fingerprint(read) != fingerprint(m) {
			t.Errorf("%s came back as %s, %v", fingerprint(m), fingerprint(read), err)
		}
	}
}

func TestCluster_RefusesWhatItCannotUse(t *testing.T) {
	head := func(kind, data string) string {
		return `{"type":` + kind + `,"data":` + data + `,"uid":"u","nsp":"/"}`
	}
	opts := `"opts":{"rooms":[],"except":[],"flags":{}}`
	cases := map[string]struct {
		payload string
		err     error // nil: any
	}{
		"empty":              {"", nil},
		"list":               {"\x91\x01", nil},
		"cut":                {`{"type":3`, nil},
		"other namespace":    {`{"type":2,"uid":"u","nsp":"/x"}`, rediswire.ErrNamespace},
		"no namespace":       {`{"type":2,"uid":"u"}`, rediswire.ErrNamespace},
		"heartbeat":          {`{"type":2,"uid":"u","nsp":"/"}`, rediswire.ErrType},
		"close":              {`{"type":13,"uid":"u","nsp":"/"}`, rediswire.ErrType},
		"type with fraction": {head("3.5", "{}"), rediswire.ErrType},
		"no data":            {`{"type":3,"uid":"u","nsp":"/"}`, nil},
		"data is a list":     {head("3", "[]"), nil},
		"no options":         {head("3", `{"packet":{"type":2,"data":["x"]}}`), nil},
		"no event":           {head("3", `{`+opts+`,"packet":{"type":2,"data":[]}}`), nil},
		"reserved event":     {head("3", `{`+opts+`,"packet":{"type":2,"data":["connect"]}}`), nil},
		"join, no options":   {head("4", `{"rooms":["a"]}`), nil},
		"rooms false":        {head("3", `{"opts":{"rooms":false},"packet":{"type":2,"data":["x"]}}`), nil},
		"rooms of null":      {head("6", `{"opts":{"rooms":[null]}}`), nil},
		"rooms as text":      {head("7", `{"requestId":"1","opts":{"rooms":"zz"}}`), nil},
		"except a number":    {head("4", `{"opts":{"except":43},"rooms":["a"]}`), nil},
		"options false":      {head("6", `{"opts":false}`), nil},
		"fetch without id":   {head("7", `{`+opts+`}`), nil},
		"count without id":   {head("11", `{"clientCount":1}`), nil},
		"negative count":     {head("11", `{"requestId":"1","clientCount":-1}`), nil},
		"no sockets":         {head("8", `{"requestId":"1"}`), nil},
		"ids of sockets":     {head("8", `{"requestId":"1","sockets":["a"]}`), nil},
		"socket without id":  {head("8", `{"requestId":"1","sockets":[{"id":""}]}`), nil},
		"no server event":    {head("9", `{"packet":{}}`), nil},
		"too long":           {head("4", `{`+opts+`,"rooms":["`+strings.Repeat("x", 2000)+`"]}`), rediswire.ErrTooLarge},
	}
	for name, c := range cases {
		m, err := rediswire.DecodeCluster("/", []byte(c.payload), rediswire.Limits{Bytes: 1000})
		if err == nil || c.err != nil && !errors.Is(err, c.err) {
			t.Errorf("%s: %s, %v", name, fingerprint(m), err)
		}
	}
	for name, m := range map[string]rediswire.ClusterMessage{
		"nothing":        {},
		"no event":       {Command: adapter.Broadcast{Args: args(`[]`)}},
		"reserved event": {Command: adapter.Broadcast{Args: args(`["disconnect"]`)}},
		"malformed":      {Query: adapter.ServerAsk{Args: args(`["x"`)}},
		"malformed data": {Reply: adapter.Sockets{{ID: "x", Data: []byte(`{`)}}},
		"malformed ack":  {Reply: adapter.Acked{Args: args(`[`)}},
	} {
		if got, err := rediswire.AppendCluster([]byte("x"), "/", &m); err == nil || string(got) != "x" {
			t.Errorf("%s written as %q", name, got)
		}
	}
}

// What can be read can be written again, and then means the same.
func FuzzDecodeCluster(f *testing.F) {
	for _, golden := range goldenCluster {
		f.Add(payload(f, golden.bytes))
	}
	for _, bomb := range bombs {
		f.Add(bomb(50))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		var m rediswire.ClusterMessage
		var err error
		expectLinear(t, payload, func() { m, err = rediswire.DecodeCluster("/", payload, rediswire.Limits{}) })
		if err != nil {
			return
		}
		if b, ok := m.Command.(adapter.Broadcast); ok && !json.Valid(b.Args.JSON) {
			t.Fatalf("arguments %s", b.Args.JSON)
		}
		written, err := rediswire.AppendCluster(nil, "/", &m)
		if err != nil {
			t.Fatalf("%s: %v", fingerprint(m), err)
		}
		again, err := rediswire.DecodeCluster("/", written, rediswire.Limits{})
		if err != nil {
			t.Fatalf("%q written as %q: %v", payload, written, err)
		}
		if reflect.TypeOf(m.Command) != reflect.TypeOf(again.Command) ||
			reflect.TypeOf(m.Query) != reflect.TypeOf(again.Query) || m.ID != again.ID || m.UID != again.UID {
			t.Errorf("%s came back as %s", fingerprint(m), fingerprint(again))
		}
	})
}

func TestMode_ChoosesNodesChannels(t *testing.T) {
	const (
		static, dynamic, private = rediswire.ModeStatic, rediswire.ModeDynamic, rediswire.ModeDynamicPrivate
		main                     = "socket.io#/#"
	)
	cases := []struct {
		mode rediswire.Mode
		to   []string
		want string
	}{
		{static, []string{"room1"}, main},
		{static, nil, main},
		{dynamic, nil, main},
		{dynamic, []string{"room1"}, main + "room1#"},
		{dynamic, []string{"a", "b"}, main},
		{dynamic, []string{"abcdefghijklmnopqrst"}, main},
		{dynamic, []string{"äbcdefghijklmnopqrst"}, main}, // 20 for JavaScript
		{dynamic, []string{"🔔cdefghijklmnopqrst"}, main},  // a pair of surrogates
		{dynamic, []string{"abcdefghijklmnopqrs"}, main + "abcdefghijklmnopqrs#"},
		{dynamic, []string{"/x#abcdefghijklmnopqrst"}, main + "/x#abcdefghijklmnopqrst#"},
		{private, []string{"abcdefghijklmnopqrst"}, main + "abcdefghijklmnopqrst#"},
		{private, []string{"a", "b"}, main},
	}
	for _, c := range cases {
		b := adapter.Broadcast{Namespace: "/", Target: to(c.to...)}
		if got := rediswire.ShardedBroadcastTo("socket.io", c.mode, &b); got != c.want {
			t.Errorf("%v to %q on %q instead of %q", c.mode, c.to, got, c.want)
		}
	}
	for _, m := range []rediswire.Mode{static, dynamic, private} {
		if parsed, err := rediswire.ParseMode(m.String()); err != nil || parsed != m {
			t.Errorf("%v parsed as %v, %v", m, parsed, err)
		}
	}
	if _, err := rediswire.ParseMode("classic"); err == nil {
		t.Error("parsed what is no mode")
	}
}

func TestIsClusterEcho_AllocatesNothing(t *testing.T) {
	text := []byte(goldenCluster[0].bytes)
	if n := testing.AllocsPerRun(100, func() {
		if !rediswire.IsClusterEcho(text, "/", clusterAsker) {
			t.Fatal("not known")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDecodeCluster(b *testing.B) {
	message, _ := chatMessage(b)
	text, err := rediswire.AppendCluster(nil, "/", &rediswire.ClusterMessage{UID: clusterAsker, Command: message})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := rediswire.DecodeCluster("/", text, rediswire.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
