package rediswire_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
)

// payload is the bytes that s stands for: themselves for JSON, else hex.
func payload(t testing.TB, s string) []byte {
	t.Helper()
	if s == "" || s[0] == '{' {
		return []byte(s)
	}
	return unhex(t, s)
}

// What @socket.io/redis-adapter 8.3.0 and @socket.io/redis-emitter 5.1.0 published for these requests.
var goldenRequests = []struct {
	name, bytes string
	request     rediswire.Request
}{
	{"all rooms", `{"uid":"7ODgax","requestId":"pyxOXm","type":1}`,
		rediswire.Request{UID: "7ODgax", ID: "pyxOXm", Type: rediswire.TypeAllRooms,
			Query: adapter.AllRooms{Namespace: "/"}}},
	{"join", `{"uid":"7ODgax","type":2,"opts":{"rooms":["room1"],"except":[]},"rooms":["r2","r3"]}`,
		rediswire.Request{UID: "7ODgax", Type: rediswire.TypeJoin,
			Command: adapter.Join{Namespace: "/", Target: to("room1"), Rooms: []string{"r2", "r3"}}}},
	{"join, escaped", `{"uid":"7ODgax","type":2,"opts":{"rooms":[],"except":["x\"y"]},"rooms":["r\n1"]}`,
		rediswire.Request{UID: "7ODgax", Type: rediswire.TypeJoin,
			Command: adapter.Join{Namespace: "/", Target: rooms.Target{Except: []string{`x"y`}},
				Rooms: []string{"r\n1"}}}},
	{"leave", `{"uid":"7ODgax","type":3,"opts":{"rooms":["room1"],"except":["zz"]},"rooms":["r2"]}`,
		rediswire.Request{UID: "7ODgax", Type: rediswire.TypeLeave,
			Command: adapter.Leave{Namespace: "/",
				Target: rooms.Target{Rooms: []string{"room1"}, Except: []string{"zz"}}, Rooms: []string{"r2"}}}},
	{"disconnect", `{"uid":"7ODgax","type":4,"opts":{"rooms":["room1"],"except":[]},"close":true}`,
		rediswire.Request{UID: "7ODgax", Type: rediswire.TypeDisconnect,
			Command: adapter.Disconnect{Namespace: "/", Target: to("room1"), Close: true}}},
	{"disconnect, not closing", `{"uid":"7ODgax","type":4,"opts":{"rooms":["a"],"except":[]},"close":false}`,
		rediswire.Request{UID: "7ODgax", Type: rediswire.TypeDisconnect,
			Command: adapter.Disconnect{Namespace: "/", Target: to("a")}}},
	{"fetch", `{"uid":"7ODgax","requestId":"pdlmTa","type":5,"opts":{"rooms":["room1"],"except":[]}}`,
		rediswire.Request{UID: "7ODgax", ID: "pdlmTa", Type: rediswire.TypeFetch,
			Query: adapter.FetchSockets{Namespace: "/", Target: to("room1")}}},
	{"server-side emit", `{"uid":"7ODgax","type":6,"data":["ping",1,{"a":1}]}`,
		rediswire.Request{UID: "7ODgax", Type: rediswire.TypeServerEmit,
			Command: adapter.ServerEmit{Namespace: "/", Args: args(`["ping",1,{"a":1}]`)}}},
	{"server-side emit with acknowledgement", `{"uid":"7ODgax","requestId":"EDYKrx","type":6,"data":["ping2","x"]}`,
		rediswire.Request{UID: "7ODgax", ID: "EDYKrx", Type: rediswire.TypeServerEmit,
			Query: adapter.ServerAsk{Namespace: "/", Args: args(`["ping2","x"]`)}}},
	{"broadcast with acknowledgement",
		"85a3756964a6374f44676178a9726571756573744964a64e586432464ba47479706507a67061636b657483a474797065" +
			"02a46461746192a87175657374696f6e81a17101a36e7370a12fa46f70747383a5726f6f6d7390a665786365707490a5" +
			"666c61677381a774696d656f7574cd0320",
		rediswire.Request{UID: "7ODgax", ID: "NXd2FK", Type: rediswire.TypeBroadcastAsk, Query: adapter.BroadcastAsk{
			Broadcast: adapter.Broadcast{Namespace: "/", Args: args(`["question",{"q":1}]`)},
			Timeout:   800 * time.Millisecond}}},
	{"broadcast with acknowledgement and attachment",
		"85a3756964a6374f44676178a9726571756573744964a64345644c3857a47479706507a67061636b657483a474797065" +
			"02a46461746192a87175657374696f6ec40109a36e7370a12fa46f70747383a5726f6f6d7391a5726f6f6d31a6657863" +
			"65707490a5666c61677381a774696d656f7574cd0320",
		rediswire.Request{UID: "7ODgax", ID: "CEdL8W", Type: rediswire.TypeBroadcastAsk, Query: adapter.BroadcastAsk{
			Broadcast: adapter.Broadcast{Namespace: "/", Target: to("room1"),
				Args: args(`["question",{"_placeholder":true,"num":0}]`, []byte{9})},
			Timeout: 800 * time.Millisecond}}},
	// Ours. Node's servers answer the first two as they always do, obey the third and ignore the fourth.
	{"count", `{"uid":"7ODgax","requestId":"1","type":0,"rooms":["room1"],"onlyCount":true}`,
		rediswire.Request{UID: "7ODgax", ID: "1", Type: rediswire.TypeSockets,
			Query: adapter.CountSockets{Namespace: "/", Rooms: []string{"room1"}}}},
	{"list those of servers without names", `{"uid":"7ODgax","requestId":"1","type":5,"opts":{"rooms":["room1"],"except":[]},` +
		`"onlyOthers":true}`,
		rediswire.Request{UID: "7ODgax", ID: "1", Type: rediswire.TypeFetch,
			Query: adapter.ListSockets{Namespace: "/", Target: to("room1")}}},
	{"confirmed join", `{"uid":"7ODgax","requestId":"1","type":2,"opts":{"rooms":["room1"],"except":[]},"rooms":["r2"]}`,
		rediswire.Request{UID: "7ODgax", ID: "1", Type: rediswire.TypeJoin,
			Query: adapter.Perform{Command: adapter.Join{Namespace: "/", Target: to("room1"), Rooms: []string{"r2"}}}}},
	{"list those of a node", `{"uid":"7ODgax","requestId":"1","type":20,"opts":{"rooms":["room1"],"except":[]},` +
		`"node":"n","after":"a\"b","limit":10}`,
		rediswire.Request{UID: "7ODgax", ID: "1", Type: 20,
			Query: adapter.ListSockets{Namespace: "/", Target: to("room1"), Node: "n", After: `a"b`, Limit: 10}}},
	{"emitter's join", `{"type":2,"opts":{"rooms":[],"except":[]},"rooms":["room1"]}`,
		rediswire.Request{Type: rediswire.TypeJoin, Command: adapter.Join{Namespace: "/", Rooms: []string{"room1"}}}},
	{"emitter's leave", `{"type":3,"opts":{"rooms":["a"],"except":["b"]},"rooms":["r1"]}`,
		rediswire.Request{Type: rediswire.TypeLeave,
			Command: adapter.Leave{Namespace: "/", Target: rooms.Target{Rooms: []string{"a"}, Except: []string{"b"}},
				Rooms: []string{"r1"}}}},
	{"emitter's disconnect", `{"type":4,"opts":{"rooms":["a"],"except":[]},"close":true}`,
		rediswire.Request{Type: rediswire.TypeDisconnect,
			Command: adapter.Disconnect{Namespace: "/", Target: to("a"), Close: true}}},
	{"emitter's server-side emit", `{"uid":"emitter","type":6,"data":["hello",1,{"a":1}]}`,
		rediswire.Request{UID: "emitter", Type: rediswire.TypeServerEmit,
			Command: adapter.ServerEmit{Namespace: "/", Args: args(`["hello",1,{"a":1}]`)}}},
}

func TestRequest_BytesAreThoseOfNode(t *testing.T) {
	for _, test := range goldenRequests {
		t.Run(test.name, func(t *testing.T) {
			want := payload(t, test.bytes)
			got, err := rediswire.AppendRequest([]byte("kept"), &test.request)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != "kept"+string(want) {
				t.Errorf("written as\n%q, want\n%q", got, want)
			}
			read, err := rediswire.DecodeRequest("/", want, rediswire.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if fingerprint(read) != fingerprint(test.request) {
				t.Errorf("read as\n%s, want\n%s", fingerprint(read), fingerprint(test.request))
			}
		})
	}
}

func TestAppendRequest_BytesOfAServerSideEmitAreNodesBuffers(t *testing.T) {
	r := rediswire.Request{UID: "7ODgax", Command: adapter.ServerEmit{Namespace: "/",
		Args: args(`["ev",{"_placeholder":true,"num":0},{"d":"2023-11-14T22:13:20.123Z"},"é",null]`, []byte{1, 2})}}
	const want = `{"uid":"7ODgax","type":6,"data":["ev",{"type":"Buffer","data":[1,2]},` +
		`{"d":"2023-11-14T22:13:20.123Z"},"é",null]}`
	got, err := rediswire.AppendRequest(nil, &r)
	if err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
}

func TestAppendRequest_RefusesWhatIsNoRequest(t *testing.T) {
	for name, r := range map[string]rediswire.Request{
		"nothing":           {},
		"broadcast":         {Command: adapter.Broadcast{Namespace: "/", Args: args(`["x"]`)}},
		"no event":          {Command: adapter.ServerEmit{Namespace: "/"}},
		"unnamed event":     {Command: adapter.ServerEmit{Namespace: "/", Args: args(`[null]`)}},
		"invalid arguments": {Query: adapter.ServerAsk{Namespace: "/", Args: args(`["a",}`)}},
		"invalid broadcast": {Query: adapter.BroadcastAsk{Broadcast: adapter.Broadcast{Namespace: "/",
			Args: args(`{}`)}}},
	} {
		if got, err := rediswire.AppendRequest([]byte("kept"), &r); err == nil || string(got) != "kept" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestDecodeRequest_ReadsWhatOthersWrite(t *testing.T) {
	tests := []struct {
		name, bytes string
		want        rediswire.Request
	}{
		{"sockets", `{"requestId":"r1","type":0,"rooms":["room1"]}`,
			rediswire.Request{ID: "r1", Query: adapter.FetchSockets{Namespace: "/", Target: to("room1")}}},
		{"old join", `{"requestId":"r2","type":2,"sid":"ThXQ9CNvzGyJkxC7AAAA","room":"x"}`,
			rediswire.Request{ID: "r2", Type: rediswire.TypeJoin, Socket: "ThXQ9CNvzGyJkxC7AAAA",
				Command: adapter.Join{Namespace: "/", Target: to("ThXQ9CNvzGyJkxC7AAAA"), Rooms: []string{"x"}}}},
		{"old leave", `{"requestId":"r3","type":3,"sid":"ThXQ9CNvzGyJkxC7AAAA","room":"x"}`,
			rediswire.Request{ID: "r3", Type: rediswire.TypeLeave, Socket: "ThXQ9CNvzGyJkxC7AAAA",
				Command: adapter.Leave{Namespace: "/", Target: to("ThXQ9CNvzGyJkxC7AAAA"), Rooms: []string{"x"}}}},
		{"old disconnect", `{"requestId":"r5","type":4,"sid":"ThXQ9CNvzGyJkxC7AAAA","close":true}`,
			rediswire.Request{ID: "r5", Type: rediswire.TypeDisconnect, Socket: "ThXQ9CNvzGyJkxC7AAAA",
				Command: adapter.Disconnect{Namespace: "/", Target: to("ThXQ9CNvzGyJkxC7AAAA"), Close: true}}},
		{"one room to join as text", `{"type":2,"opts":{"rooms":["a"],"except":""},"rooms":"r"}`,
			rediswire.Request{Type: rediswire.TypeJoin,
				Command: adapter.Join{Namespace: "/", Target: to("a"), Rooms: []string{"r"}}}},
		{"lists null", `{"uid":null,"type":3,"opts":{"rooms":null,"except":null},"rooms":["r"]}`,
			rediswire.Request{Type: rediswire.TypeLeave,
				Command: adapter.Leave{Namespace: "/", Rooms: []string{"r"}}}},
		{"options a PHP array", `{"type":4,"opts":[],"close":0}`,
			rediswire.Request{Type: rediswire.TypeDisconnect, Command: adapter.Disconnect{Namespace: "/"}}},
		{"numeric rooms, spaces, other members",
			"{ \"type\" : 2.0, \"more\" : [{}],\n\"opts\" : {\"rooms\" : [42]}, \"rooms\" : [1.5] }",
			rediswire.Request{Type: rediswire.TypeJoin,
				Command: adapter.Join{Namespace: "/", Target: to("42"), Rooms: []string{"1.5"}}}},
		{"fetch in msgpack",
			"84a9726571756573744964a27234a3756964a3616263a47479706505a46f70747382a5726f6f6d7391a46e6f7065a665" +
				"786365707490",
			rediswire.Request{UID: "abc", ID: "r4", Type: rediswire.TypeFetch,
				Query: adapter.FetchSockets{Namespace: "/", Target: to("nope")}}},
		{"server-side emit in msgpack", "82a47479706506a46461746192a470696e67c40101",
			rediswire.Request{Type: rediswire.TypeServerEmit, Command: adapter.ServerEmit{Namespace: "/",
				Args: args(`["ping",{"_placeholder":true,"num":0}]`, []byte{1})}}},
		{"server-side emit with id and no uid", `{"type":6,"requestId":"q","data":["ping",1]}`,
			rediswire.Request{ID: "q", Type: rediswire.TypeServerEmit,
				Query: adapter.ServerAsk{Namespace: "/", Args: args(`["ping",1]`)}}},
		{"server-side emit of what looks like a placeholder", `{"type":6,"data":["p",{"_placeholder":true,"num":7}]}`,
			rediswire.Request{Type: rediswire.TypeServerEmit,
				Command: adapter.ServerEmit{Namespace: "/", Args: args(`["p",{"_placeholder":true,"num":7}]`)}}},
		{"server-side emit of what clients reserve", `{"type":6,"data":["disconnect"]}`,
			rediswire.Request{Type: rediswire.TypeServerEmit,
				Command: adapter.ServerEmit{Namespace: "/", Args: args(`["disconnect"]`)}}},
		{"broadcast with acknowledgement in JSON",
			`{"uid":"u","requestId":"b","type":7,"packet":{"type":2,"data":["q"],"nsp":"/"},` +
				`"opts":{"rooms":["r"],"flags":{"timeout":1.5,"expectSingleResponse":true}}}`,
			rediswire.Request{UID: "u", ID: "b", Type: rediswire.TypeBroadcastAsk, Query: adapter.BroadcastAsk{
				Broadcast: adapter.Broadcast{Namespace: "/", Args: args(`["q"]`), Target: to("r")},
				Timeout:   1500 * time.Microsecond}}},
		{"broadcast with acknowledgement and flags of Node",
			"85a3756964a6374f44676178a9726571756573744964a6317165413046a47479706507a67061636b657483a474797065" +
				"02a46461746192a361736b81a16bc401ffa36e7370a12fa46f70747383a5726f6f6d7392a27231a27232a66578636570" +
				"7491a165a5666c61677382a774696d656f7574cd1388a8766f6c6174696c65c3",
			rediswire.Request{UID: "7ODgax", ID: "1qeA0F", Type: rediswire.TypeBroadcastAsk,
				Query: adapter.BroadcastAsk{
					Broadcast: adapter.Broadcast{Namespace: "/",
						Args:   args(`["ask",{"k":{"_placeholder":true,"num":0}}]`, []byte{0xff}),
						Target: rooms.Target{Rooms: []string{"r1", "r2"}, Except: []string{"e"}}, Volatile: true},
					Timeout: 5 * time.Second}}},
		{"timeout beyond any clock",
			`{"requestId":"b","type":7,"packet":{"type":2,"data":["q"]},"opts":{"flags":{"timeout":1e300}}}`,
			rediswire.Request{ID: "b", Type: rediswire.TypeBroadcastAsk, Query: adapter.BroadcastAsk{
				Broadcast: adapter.Broadcast{Namespace: "/", Args: args(`["q"]`)}, Timeout: 1 << 62}}},
		{"timeout of less than nothing",
			`{"requestId":"b","type":7,"packet":{"type":2,"data":["q"]},"opts":{"flags":{"timeout":-1}}}`,
			rediswire.Request{ID: "b", Type: rediswire.TypeBroadcastAsk, Query: adapter.BroadcastAsk{
				Broadcast: adapter.Broadcast{Namespace: "/", Args: args(`["q"]`)}}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := rediswire.DecodeRequest("/", payload(t, test.bytes), rediswire.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if fingerprint(got) != fingerprint(test.want) {
				t.Errorf("got  %s\nwant %s", fingerprint(got), fingerprint(test.want))
			}
		})
	}
}

func TestDecodeRequest_RefusesWhatMakesNoSense(t *testing.T) {
	for _, bytes := range []string{
		"", `{`, `{bad`, `{"type":1}`, `{"type":1,"requestId":null}`, `{"type":0}`, `{"type":5,"requestId":"x"}`,
		`{"type":2}`,
		`{"type":2,"opts":null,"rooms":["r"]}`, `{"type":2,"sid":"","room":"r"}`, `{"type":6}`,
		`{"type":6,"data":{}}`, `{"type":6,"data":[]}`,
		`{"type":6,"data":[null]}`, `{"type":7,"requestId":"x","opts":{}}`,
		`{"type":7,"requestId":"x","opts":{},"packet":{"type":2}}`,
		`{"type":7,"requestId":"x","packet":{"type":2,"data":["a"]}}`,
		`{"type":7,"opts":{},"packet":{"type":2,"data":["a"]}}`,
		`{"type":2,"opts":{"rooms":{"a":{}}},"rooms":["r"]}`, `{"type":"2","opts":{},"rooms":["r"]}`,
		`{"type":1,"requestId":{}}`,
		`{"type":4,"opts":{"rooms":false}}`, `{"type":4,"opts":{"rooms":43}}`, `{"type":4,"opts":{"rooms":"zz"}}`,
		`{"type":4,"opts":{"rooms":[null]}}`, `{"type":4,"opts":{"rooms":{}}}`, `{"type":4,"opts":{"except":"a"}}`,
		`{"type":4,"opts":false}`, `{"type":2,"opts":{"rooms":"a"},"rooms":["r"]}`, `{"type":2,"opts":{"rooms":["a"]}}`,
		`{"type":0,"requestId":"x","rooms":false}`, `{"type":5,"requestId":"x","opts":{"rooms":true}}`,
		`{"type":1,"requestId":"x"} ` + "\x00", `{"type":4,"opts":[1]}`, "67617262616765", "c0", "90",
	} {
		got, err := rediswire.DecodeRequest("/", payload(t, bytes), rediswire.Limits{})
		if err == nil {
			t.Errorf("%s read as %s", bytes, fingerprint(got))
		}
		if !reflect.DeepEqual(got, rediswire.Request{}) {
			t.Errorf("%s left %s behind", bytes, fingerprint(got))
		}
	}
}

func TestDecodeRequest_TellsForeignRequests(t *testing.T) {
	for _, test := range []struct {
		bytes string
		want  error
	}{
		{`{"type":99,"requestId":"q"}`, rediswire.ErrType},
		{`{"type":-1,"requestId":"q"}`, rediswire.ErrType},
		{`{"type":2.5,"requestId":"q"}`, rediswire.ErrType},
		{`{"type":1e999,"requestId":"q"}`, rediswire.ErrType},
		{`{"requestId":"q"}`, rediswire.ErrType},
		{`{}`, rediswire.ErrType},
		{`{"type":3,"sid":"s","room":"r","requestid":"q"}`, rediswire.ErrType}, // remoteJoin of Socket.IO 2.x
		{`{"requestId":"q","type":7,"packet":{"type":2,"data":["a"],"nsp":"/foo"},"opts":{}}`,
			rediswire.ErrNamespace},
		{`{"type":1,"requestId":"` + strings.Repeat("x", 8<<20) + `"}`, rediswire.ErrTooLarge},
	} {
		if _, err := rediswire.DecodeRequest("/", []byte(test.bytes), rediswire.Limits{}); !errors.Is(err,
			test.want) {
			t.Errorf("%.60s: %v, want %v", test.bytes, err, test.want)
		}
	}
}

func TestDecodeRequest_ArgumentsMayBeAsDeepAsThoseOfABroadcast(t *testing.T) {
	request := func(levels int) []byte {
		return []byte(`{"type":6,"data":["x"` + strings.Repeat(",[1", levels-1) + strings.Repeat("]",
			levels-1) + `]}`)
	}
	limits := rediswire.Limits{Depth: 3}
	if _, err := rediswire.DecodeRequest("/", request(3), limits); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if _, err := rediswire.DecodeRequest("/", request(4), limits); err == nil {
		t.Error("one level more was read")
	}
}
