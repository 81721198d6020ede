package rediswire_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
)

const handshake = `{"headers":{"host":"127.0.0.1:42385"},"time":"Fri Nov 20 2026 23:16:36 GMT+0000",` +
	`"secure":false,"issued":1795216596330,` +
	`"url":"/socket.io/?EIO=4&transport=websocket","query":{"EIO":"4"},"auth":{}}`

// What @socket.io/redis-adapter 8.3.0 answered.
var goldenResponses = []struct {
	name, bytes string
	response    rediswire.Response
}{
	{"sockets", `{"requestId":"r1","sockets":["ThXQ9CNvzGyJkxC7AAAA"]}`,
		rediswire.Response{ID: "r1", Type: rediswire.TypeSockets,
			Reply: adapter.Sockets{{ID: "ThXQ9CNvzGyJkxC7AAAA"}}}},
	{"rooms", `{"requestId":"pyxOXm","rooms":["zNoy3rXIuJBYg3w_AAAA","room1"]}`,
		rediswire.Response{ID: "pyxOXm", Type: rediswire.TypeAllRooms,
			Reply: adapter.RoomNames{"zNoy3rXIuJBYg3w_AAAA", "room1"}}},
	{"no rooms", `{"requestId":"pyxOXm","rooms":[]}`,
		rediswire.Response{ID: "pyxOXm", Type: rediswire.TypeAllRooms, Reply: adapter.RoomNames(nil)}},
	{"one socket less", `{"requestId":"r2"}`, rediswire.Response{ID: "r2"}},
	{"no fetched sockets", `{"requestId":"pdlmTa","sockets":[]}`,
		rediswire.Response{ID: "pdlmTa", Type: rediswire.TypeFetch, Reply: adapter.Sockets{}}},
	{"fetched sockets", `{"requestId":"pdlmTa","sockets":[{"id":"zNoy3rXIuJBYg3w_AAAA","handshake":` + handshake +
		`,"rooms":["zNoy3rXIuJBYg3w_AAAA","room1"],"data":{"user":"B"}},{"id":"b","handshake":{},"rooms":[],"data":{}}]}`,
		rediswire.Response{ID: "pdlmTa", Type: rediswire.TypeFetch, Reply: adapter.Sockets{
			{ID: "zNoy3rXIuJBYg3w_AAAA", Handshake: []byte(handshake),
				Rooms: []string{"zNoy3rXIuJBYg3w_AAAA", "room1"}, Data: []byte(`{"user":"B"}`)},
			{ID: "b", Handshake: []byte(`{}`), Data: []byte(`{}`)}}}},
	{"server's acknowledgement", `{"type":6,"requestId":"EDYKrx","data":{"c":1}}`,
		rediswire.Response{ID: "EDYKrx", Type: rediswire.TypeServerEmit,
			Reply: adapter.Acked{Args: args(`[{"c":1}]`)}}},
	{"server's acknowledgement of null", `{"type":6,"requestId":"q1","data":null}`,
		rediswire.Response{ID: "q1", Type: rediswire.TypeServerEmit, Reply: adapter.Acked{Args: args(`[null]`)}}},
	{"server's empty acknowledgement", `{"type":6,"requestId":"q1"}`,
		rediswire.Response{ID: "q1", Type: rediswire.TypeServerEmit, Reply: adapter.Acked{Args: args(`[]`)}}},
	{"count of clients", `{"type":8,"requestId":"NXd2FK","clientCount":1}`,
		rediswire.Response{ID: "NXd2FK", Type: rediswire.TypeBroadcastAsk, Reply: adapter.Count(1)}},
	{"count of no clients", `{"type":8,"requestId":"NXd2FK","clientCount":0}`,
		rediswire.Response{ID: "NXd2FK", Type: rediswire.TypeBroadcastAsk, Reply: adapter.Count(0)}},
	{"client's acknowledgement",
		"83a47479706509a9726571756573744964a64e586432464ba67061636b6574aa61636b2d66726f6d2d42",
		rediswire.Response{ID: "NXd2FK", Type: rediswire.TypeBroadcastAsk,
			Reply: adapter.Acked{Args: args(`["ack-from-B"]`)}}},
	{"client's empty acknowledgement", "82a47479706509a9726571756573744964a24a31",
		rediswire.Response{ID: "J1", Type: rediswire.TypeBroadcastAsk, Reply: adapter.Acked{Args: args(`[]`)}}},
	{"client's acknowledgement of null", "83a47479706509a9726571756573744964a64e586432464ba67061636b6574c0",
		rediswire.Response{ID: "NXd2FK", Type: rediswire.TypeBroadcastAsk,
			Reply: adapter.Acked{Args: args(`[null]`)}}},
	{"client's acknowledgement in bytes", "83a47479706509a9726571756573744964a64e586432464ba67061636b6574c4020908",
		rediswire.Response{ID: "NXd2FK", Type: rediswire.TypeBroadcastAsk,
			Reply: adapter.Acked{Args: args(`[{"_placeholder":true,"num":0}]`, []byte{9, 8})}}},
	{"client's acknowledgement, nested",
		"83a47479706509a9726571756573744964a64e586432464ba67061636b657482a26f6bc3a16e9201cb40040000000000" +
			"00",
		rediswire.Response{ID: "NXd2FK", Type: rediswire.TypeBroadcastAsk,
			Reply: adapter.Acked{Args: args(`[{"ok":true,"n":[1,2.5]}]`)}}},
}

func TestResponse_BytesAreThoseOfNode(t *testing.T) {
	for _, test := range goldenResponses {
		t.Run(test.name, func(t *testing.T) {
			want := payload(t, test.bytes)
			got, err := rediswire.AppendResponse([]byte("kept"), &test.response)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != "kept"+string(want) {
				t.Errorf("written as\n%q, want\n%q", got, want)
			}
			read, err := rediswire.DecodeResponse(want, rediswire.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if fingerprint(read) != fingerprint(test.response) {
				t.Errorf("read as\n%s, want\n%s", fingerprint(read), fingerprint(test.response))
			}
		})
	}
}

func TestAppendResponse_NamesTheNodeThatAnswers(t *testing.T) {
	for _, test := range []struct {
		response rediswire.Response
		want     string
	}{
		{rediswire.Response{ID: "r", UID: "n1"}, `{"requestId":"r","uid":"n1"}`},
		{rediswire.Response{ID: "r", UID: "n1", Type: rediswire.TypeFetch, Reply: adapter.Sockets{}},
			`{"requestId":"r","uid":"n1","sockets":[]}`},
		{rediswire.Response{ID: "r", UID: "n1", Type: rediswire.TypeAllRooms, Reply: adapter.RoomNames{"a"}},
			`{"requestId":"r","uid":"n1","rooms":["a"]}`},
		{rediswire.Response{ID: "r", UID: "n1", Type: rediswire.TypeServerEmit, Reply: adapter.Acked{}},
			`{"type":6,"requestId":"r","uid":"n1"}`},
		{rediswire.Response{ID: "r", UID: "n1", Type: rediswire.TypeBroadcastAsk, Reply: adapter.Count(3)},
			`{"type":8,"requestId":"r","uid":"n1","clientCount":3}`},
		{rediswire.Response{ID: "r", UID: "n1", Type: rediswire.TypeBroadcastAsk,
			Reply: adapter.Acked{Args: args(`[1]`)}},
			"84a47479706509a9726571756573744964a172a3756964a26e31a67061636b657401"},
	} {
		got, err := rediswire.AppendResponse(nil, &test.response)
		if err != nil || string(got) != string(payload(t, test.want)) {
			t.Errorf("got %q, %v; want %s", got, err, test.want)
		}
		if read, err := rediswire.DecodeResponse(got, rediswire.Limits{}); err != nil || read.UID != "n1" {
			t.Errorf("%s: read from %q, %v", got, read.UID, err)
		}
	}
}

func TestAppendResponse_OnlyTheFirstArgumentTravels(t *testing.T) {
	acked := adapter.Acked{Args: args(`[{"_placeholder":true,"num":1},"second"]`, []byte{1}, []byte{2, 3})}
	for kind, want := range map[rediswire.Type]string{
		rediswire.TypeServerEmit:   `{"type":6,"requestId":"r","data":{"type":"Buffer","data":[2,3]}}`,
		rediswire.TypeBroadcastAsk: "83a47479706509a9726571756573744964a172a67061636b6574c4020203",
	} {
		got, err := rediswire.AppendResponse(nil, &rediswire.Response{ID: "r", Type: kind, Reply: acked})
		if err != nil || string(got) != string(payload(t, want)) {
			t.Errorf("got %q, %v; want %s", got, err, want)
		}
	}
}

func TestAppendResponse_SocketsWithoutHandshakeAndDataHaveEmptyOnes(t *testing.T) {
	got, err := rediswire.AppendResponse(nil,
		&rediswire.Response{ID: "r", Type: rediswire.TypeFetch, Reply: adapter.Sockets{{ID: "a"}}})
	const want = `{"requestId":"r","sockets":[{"id":"a","handshake":{},"rooms":[],"data":{}}]}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}

func TestAppendResponse_RefusesRepliesThatDoNotAnswer(t *testing.T) {
	for name, r := range map[string]rediswire.Response{
		"rooms for sockets":          {Type: rediswire.TypeFetch, Reply: adapter.RoomNames{}},
		"sockets for rooms":          {Type: rediswire.TypeAllRooms, Reply: adapter.Sockets{}},
		"count for server-side emit": {Type: rediswire.TypeServerEmit, Reply: adapter.Count(1)},
		"acknowledgement for a join": {Type: rediswire.TypeJoin, Reply: adapter.Acked{}},
		"acknowledgement, malformed": {Type: rediswire.TypeBroadcastAsk, Reply: adapter.Acked{Args: args(`[`)}},
		"acknowledgement, no list":   {Type: rediswire.TypeServerEmit, Reply: adapter.Acked{Args: args(`{}`)}},
		"socket with malformed data": {Type: rediswire.TypeFetch,
			Reply: adapter.Sockets{{ID: "a", Data: []byte(`{`)}}},
		"socket with malformed shake": {Type: rediswire.TypeFetch,
			Reply: adapter.Sockets{{ID: "a", Handshake: []byte(`}`)}}},
	} {
		if got, err := rediswire.AppendResponse([]byte("kept"), &r); err == nil || string(got) != "kept" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestDecodeResponse_ReadsWhatOthersWrite(t *testing.T) {
	for _, test := range []struct {
		name, bytes string
		want        rediswire.Response
	}{
		{"numeric rooms", `{"requestId":"r1","rooms":["room1",42]}`,
			rediswire.Response{ID: "r1", Type: rediswire.TypeAllRooms, Reply: adapter.RoomNames{"room1", "42"}}},
		{"no list of sockets", `{"requestId":"r1","sockets":null}`, rediswire.Response{ID: "r1"}},
		{"no list of rooms", `{"requestId":"r1","rooms":{}}`, rediswire.Response{ID: "r1"}},
		{"client's acknowledgement in JSON", `{"type":9,"requestId":"r1","packet":[1]}`,
			rediswire.Response{ID: "r1", Type: rediswire.TypeBroadcastAsk,
				Reply: adapter.Acked{Args: args(`[[1]]`)}}},
		{"client's acknowledgement of undefined", "83a47479706509a9726571756573744964a172a67061636b6574d40000",
			rediswire.Response{ID: "r", Type: rediswire.TypeBroadcastAsk, Reply: adapter.Acked{Args: args(`[]`)}}},
		{"sockets in msgpack", "82a9726571756573744964a172a7736f636b65747391a161",
			rediswire.Response{ID: "r", Type: rediswire.TypeSockets, Reply: adapter.Sockets{{ID: "a"}}}},
		{"socket with less and more", `{"requestId":"r","sockets":[{"id":"a","more":[1]}],"more":{}}`,
			rediswire.Response{ID: "r", Type: rediswire.TypeFetch, Reply: adapter.Sockets{{ID: "a"}}}},
		{"data of any kind",
			`{"requestId":"r","sockets":[{"id":"a","data":null,` +
				`"handshake":{"auth":{"_placeholder":true,"num":0}}}]}`,
			rediswire.Response{ID: "r", Type: rediswire.TypeFetch, Reply: adapter.Sockets{
				{ID: "a", Data: []byte(`null`), Handshake: []byte(`{"auth":{"_placeholder":true,"num":0}}`)}}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := rediswire.DecodeResponse(payload(t, test.bytes), rediswire.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if fingerprint(got) != fingerprint(test.want) {
				t.Errorf("got  %s\nwant %s", fingerprint(got), fingerprint(test.want))
			}
		})
	}
}

func TestDecodeResponse_RefusesWhatMakesNoSense(t *testing.T) {
	for _, bytes := range []string{
		"", `{`, `{}`, `{"sockets":[]}`, `{"requestId":null,"rooms":[]}`, `{"requestId":"r","type":7}`,
		`{"requestId":"r","type":"x"}`,
		`{"requestId":"r","type":8,"clientCount":-1}`, `{"requestId":"r","type":8,"clientCount":1.5}`,
		`{"requestId":"r","type":8,"clientCount":1e12}`,
		`{"requestId":"r","type":8,"clientCount":"1"}`, `{"requestId":"r","sockets":["a",{}]}`,
		`{"requestId":"r","sockets":[{"id":"a"},"b"]}`, `{"requestId":"r","sockets":["a",""]}`,
		`{"requestId":"r","sockets":[{"rooms":[]}]}`, `{"requestId":"r","rooms":[[]]}`, `{"requestId":"r"}}`, "c0",
		"81a9726571756573744964",
		strings.Repeat("91", 200),
	} {
		got, err := rediswire.DecodeResponse(payload(t, bytes), rediswire.Limits{})
		if err == nil {
			t.Errorf("%s read as %s", bytes, fingerprint(got))
		}
		if !reflect.DeepEqual(got, rediswire.Response{}) {
			t.Errorf("%s left %s behind", bytes, fingerprint(got))
		}
	}
}
