package rediswire_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatalf("hex %q: %v", s, err)
	}
	return b
}

func args(text string, attachments ...[]byte) packet.Args {
	return packet.Args{JSON: []byte(text), Attachments: attachments}
}

func to(names ...string) rooms.Target { return rooms.Target{Rooms: names} }

// fingerprint makes values comparable that differ in nothing but nil and empty lists.
func fingerprint(v any) string {
	return fmt.Sprintf("%T %s", v, strings.ReplaceAll(fmt.Sprintf("%q", v), "[]", "nil"))
}

func manyRooms() []string {
	names := make([]string, 17)
	for i := range names {
		names[i] = fmt.Sprintf("room-%d", i)
	}
	return names
}

// What @socket.io/redis-adapter 8.3.0 (uid 7ODgax) and @socket.io/redis-emitter 5.1.0 published for these broadcasts.
var goldenBroadcasts = []struct {
	name, channel, bytes string
	broadcast            adapter.Broadcast
	emitter              bool
}{
	{name: "to everybody", channel: "socket.io#/#",
		bytes: "93a6374f4467617883a47479706502a46461746192a568656c6c6fa5776f726c64a36e7370a12f83a5726f6f6d7390a6" +
			"65786365707490a5666c61677380",
		broadcast: adapter.Broadcast{Namespace: "/", Args: args(`["hello","world"]`)}},
	{name: "to a room", channel: "socket.io#/#room1#",
		bytes: "93a6374f4467617883a47479706502a46461746191a26869a36e7370a12f83a5726f6f6d7391a5726f6f6d31a6657863" +
			"65707490a5666c61677380",
		broadcast: adapter.Broadcast{Namespace: "/", Args: args(`["hi"]`), Target: to("room1")}},
	{name: "to two rooms", channel: "socket.io#/#",
		bytes: "93a6374f4467617883a47479706502a46461746191a26869a36e7370a12f83a5726f6f6d7392a5726f6f6d31a5726f6f" +
			"6d32a665786365707490a5666c61677380",
		broadcast: adapter.Broadcast{Namespace: "/", Args: args(`["hi"]`), Target: to("room1", "room2")}},
	{name: "to a socket", channel: "socket.io#/#zNoy3rXIuJBYg3w_AAAA#",
		bytes: "93a6374f4467617883a47479706502a46461746191a6646972656374a36e7370a12f83a5726f6f6d7391b47a4e6f7933" +
			"725849754a42596733775f41414141a665786365707490a5666c61677380",
		broadcast: adapter.Broadcast{Namespace: "/", Args: args(`["direct"]`), Target: to("zNoy3rXIuJBYg3w_AAAA")}},
	{name: "except a room", channel: "socket.io#/#",
		bytes: "93a6374f4467617883a47479706502a46461746191a3657863a36e7370a12f83a5726f6f6d7390a665786365707491a5" +
			"726f6f6d31a5666c61677380",
		broadcast: adapter.Broadcast{Namespace: "/", Args: args(`["exc"]`),
			Target: rooms.Target{Except: []string{"room1"}}}},
	{name: "with flags", channel: "socket.io#/#room1#",
		bytes: "93a6374f4467617883a47479706502a46461746191a5666c616773a36e7370a12f83a5726f6f6d7391a5726f6f6d31a6" +
			"65786365707491a178a5666c61677382a8766f6c6174696c65c3a8636f6d7072657373c2",
		broadcast: adapter.Broadcast{Namespace: "/", Args: args(`["flags"]`), Volatile: true, NoCompress: true,
			Target: rooms.Target{Rooms: []string{"room1"}, Except: []string{"x"}}}},
	{name: "in another namespace", channel: "socket.io#/foo#",
		bytes: "93a679743870776783a47479706502a46461746191a178a36e7370a42f666f6f83a5726f6f6d7390a665786365707490" +
			"a5666c61677380",
		broadcast: adapter.Broadcast{Namespace: "/foo", Args: args(`["x"]`)}},
	{name: "with attachments", channel: "socket.io#/#",
		bytes: "93a6374f4467617883a47479706502a46461746193a162c40301020381a16ec5012c" + strings.Repeat("07",
			300) + "a36e7370a12f83a5726f6f6d7390a665786365707490a5666c61677380",
		broadcast: adapter.Broadcast{Namespace: "/",
			Args: args(`["b",{"_placeholder":true,"num":0},{"n":{"_placeholder":true,"num":1}}]`,
				[]byte{1, 2, 3}, []byte(strings.Repeat("\x07", 300)))}},
	{name: "numbers", channel: "socket.io#/#",
		bytes: "93a6374f4467617883a47479706502a464617461dc0016a16e007fcc80ccffcd0100cdffffce00010000ceffffffffcf" +
			"0000000100000000ffe0d0dfd080d1ff7fd18000d2ffff7fffd280000000d3ffffffff7fffffffcb3fb999999999999a" +
			"cb3e7ad7f29abcaf48cb40fe240c9fbe76c9a36e7370a12f83a5726f6f6d7390a665786365707490a5666c61677380",
		broadcast: adapter.Broadcast{Namespace: "/",
			Args: args(`["n",0,127,128,255,256,65535,65536,4294967295,4294967296,-1,-32,-33,-128,-129,` +
				`-32768,-32769,-2147483648,-2147483649,0.1,1e-7,123456.789]`)}},
	{name: "rooms that are not ASCII", channel: "socket.io#/#zimmer ü#",
		bytes: "93a6374f4467617883a47479706502a46461746191a6c3a9f09f9880a36e7370a12f83a5726f6f6d7391a97a696d6d65" +
			"7220c3bca665786365707491a6e697a5e69caca5666c61677380",
		broadcast: adapter.Broadcast{Namespace: "/", Args: args(`["é😀"]`),
			Target: rooms.Target{Rooms: []string{"zimmer ü"}, Except: []string{"日本"}}}},
	{name: "seventeen rooms", channel: "socket.io#/#",
		bytes: "93a6374f4467617883a47479706502a46461746191a178a36e7370a12f83a5726f6f6d73dc0011a6726f6f6d2d30a672" +
			"6f6f6d2d31a6726f6f6d2d32a6726f6f6d2d33a6726f6f6d2d34a6726f6f6d2d35a6726f6f6d2d36a6726f6f6d2d37a6" +
			"726f6f6d2d38a6726f6f6d2d39a7726f6f6d2d3130a7726f6f6d2d3131a7726f6f6d2d3132a7726f6f6d2d3133a7726f" +
			"6f6d2d3134a7726f6f6d2d3135a7726f6f6d2d3136a665786365707490a5666c61677380",
		broadcast: adapter.Broadcast{Namespace: "/", Args: args(`["x"]`), Target: to(manyRooms()...)}},
	{name: "nested arguments", channel: "socket.io#/#",
		bytes: "93a6374f4467617883a47479706502a46461746192a46465657081a16181a16281a1639191920181a164c0a36e7370a1" +
			"2f83a5726f6f6d7390a665786365707490a5666c61677380",
		broadcast: adapter.Broadcast{Namespace: "/", Args: args(`["deep",{"a":{"b":{"c":[[[1,{"d":null}]]]}}}]`)}},
	{name: "twenty arguments", channel: "socket.io#/#",
		bytes: "93a6374f4467617883a47479706502a464617461dc0014a265760102030405060708090a0b0c0d0e0f10111213a36e73" +
			"70a12f83a5726f6f6d7390a665786365707490a5666c61677380",
		broadcast: adapter.Broadcast{Namespace: "/",
			Args: args(`["ev",1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19]`)}},

	{name: "emitter to everybody", emitter: true, channel: "socket.io#/#",
		bytes: "93a7656d697474657283a47479706502a46461746192a568656c6c6fa5776f726c64a36e7370a12f83a5726f6f6d7390" +
			"a5666c61677380a665786365707490",
		broadcast: adapter.Broadcast{Namespace: "/", Args: args(`["hello","world"]`)}},
	{name: "emitter to a room except two", emitter: true, channel: "socket.io#/#a#",
		bytes: "93a7656d697474657283a47479706502a46461746192a2686982a178cb3ff8000000000000a17992c3c0a36e7370a12f" +
			"83a5726f6f6d7391a161a5666c61677380a665786365707492a162a163",
		broadcast: adapter.Broadcast{Namespace: "/", Args: args(`["hi",{"x":1.5,"y":[true,null]}]`),
			Target: rooms.Target{Rooms: []string{"a"}, Except: []string{"b", "c"}}}},
	{name: "emitter with attachment and namespace", emitter: true, channel: "socket.io#/foo#r#",
		bytes: "93a7656d697474657283a47479706502a46461746192a362696ec403010203a36e7370a42f666f6f83a5726f6f6d7391" +
			"a172a5666c61677380a665786365707490",
		broadcast: adapter.Broadcast{Namespace: "/foo",
			Args: args(`["bin",{"_placeholder":true,"num":0}]`, []byte{1, 2, 3}), Target: to("r")}},
	{name: "emitter with flags", emitter: true, channel: "socket.io#/#",
		bytes: "93a7656d697474657283a47479706502a46461746191a176a36e7370a12f83a5726f6f6d7390a5666c61677382a8766f" +
			"6c6174696c65c3a8636f6d7072657373c2a665786365707490",
		broadcast: adapter.Broadcast{Namespace: "/", Args: args(`["v"]`), Volatile: true, NoCompress: true}},
}

func TestBroadcast_BytesAreThoseOfNode(t *testing.T) {
	for _, test := range goldenBroadcasts {
		t.Run(test.name, func(t *testing.T) {
			if channel := rediswire.BroadcastTo("socket.io", &test.broadcast); channel != test.channel {
				t.Errorf("goes to %s, want %s", channel, test.channel)
			}
			want := unhex(t, test.bytes)
			uid, ok := rediswire.Sender(want)
			if !ok {
				t.Fatal("no sender")
			}
			var got []byte
			var err error
			if test.emitter {
				got, err = rediswire.AppendEmitterBroadcast(nil, &test.broadcast)
			} else {
				got, err = rediswire.AppendBroadcast(nil, string(uid), &test.broadcast)
			}
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != string(want) {
				t.Errorf("written as\n%x, want\n%x", got, want)
			}
			room := strings.TrimSuffix(strings.TrimPrefix(test.channel, "socket.io#"+test.broadcast.Namespace+"#"),
				"#")
			read, err := rediswire.DecodeBroadcast(test.broadcast.Namespace, room, want, rediswire.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if fingerprint(read) != fingerprint(test.broadcast) {
				t.Errorf("read as\n%s, want\n%s", fingerprint(read), fingerprint(test.broadcast))
			}
		})
	}
}

func TestAppendBroadcast_RefusesWhatWouldHurtReaders(t *testing.T) {
	for name, list := range map[string]packet.Args{
		"nothing":              {},
		"no list":              args(`{"a":1}`),
		"empty list":           args(`[]`),
		"invalid JSON":         args(`["a",]`),
		"name that is no name": args(`[{"a":1}]`),
		"reserved name":        args(`["disconnect"]`),
		"missing attachment":   args(`["a",{"_placeholder":true,"num":1}]`, []byte{1}),
		"too deep":             args(`["a",` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `]`),
	} {
		t.Run(name, func(t *testing.T) {
			b := adapter.Broadcast{Namespace: "/", Args: list}
			if got, err := rediswire.AppendBroadcast([]byte("kept"), "u", &b); err == nil || string(got) != "kept" {
				t.Errorf("adapter form: %q, %v", got, err)
			}
			if got, err := rediswire.AppendEmitterBroadcast([]byte("kept"), &b); err == nil || string(got) != "kept" {
				t.Errorf("emitter form: %q, %v", got, err)
			}
		})
	}
}

func TestDecodeBroadcast_ReadsWhatOtherEmittersWrite(t *testing.T) {
	const (
		packetX = "83 a47479706502 a464617461 91a178 a36e7370a12f" // {type:2,data:["x"],nsp:"/"}
		sender  = "93 a7656d6974746572"
	)
	x := adapter.Broadcast{Namespace: "/", Args: args(`["x"]`)}
	toRooms := func(names ...string) adapter.Broadcast {
		return adapter.Broadcast{Namespace: "/", Args: x.Args, Target: to(names...)}
	}
	tests := []struct {
		name, bytes, room string
		want              adapter.Broadcast
	}{
		{"namespace missing", sender + "82a47479706502a46461746191a178 82a5726f6f6d7390a5666c61677380", "", x},
		{"namespace undefined", sender + "83a47479706502a46461746191a178a36e7370d40000 80", "", x},
		{"options empty", sender + packetX + "80", "", x},
		{"options nil", sender + packetX + "c0", "", x},
		{"options an empty array", sender + packetX + "90", "", x},
		{"options an empty string", sender + packetX + "a0", "", x},
		{"lists and flags nil", sender + packetX + "83a5726f6f6d73c0a6657863657074c0a5666c616773c0", "", x},
		{"lists and flags empty strings", sender + packetX + "83a5726f6f6d73a0a6657863657074a0a5666c616773a0", "", x},
		{"lists and flags empty arrays", sender + packetX + "83a5726f6f6d7390a665786365707490a5666c61677390", "", x},
		{"lists and flags undefined", sender + packetX + "83a5726f6f6d73d40000a6657863657074d40000a5666c616773d40000",
			"", x},
		{"room as bin", sender + packetX + "81a5726f6f6d7391c40172", "r", toRooms("r")},
		{"room as str16", sender + packetX + "81a5726f6f6d7391da000172", "r", toRooms("r")},
		{"rooms as a map", sender + packetX + "81a5726f6f6d738200a16101a162", "", toRooms("a", "b")},
		{"numeric rooms", sender + packetX + "81a5726f6f6d73942aca422a0000cb4045000000000000d1fffe", "",
			toRooms("42", "42.5", "42", "-2")},
		{"room that is not UTF-8", sender + packetX + "81a5726f6f6d7391a161", "", toRooms("a")},
		{"no room on a room's channel", sender + packetX + "82a5726f6f6d7390a5666c61677380", "room1", x},
		{"other room than the channel's", sender + packetX + "81a5726f6f6d7391a172", "room1", toRooms("r")},
		{"room on the namespace's channel", sender + packetX + "81a5726f6f6d7391a172", "", toRooms("r")},
		{"two rooms, none the channel's", sender + packetX + "81a5726f6f6d7392a161a162", "c", toRooms("a", "b")},
		{"more elements and members",
			"94 a7656d6974746572 84a47479706502a46461746191a178a36e7370a12fa2696404 81a1789101 9101", "", x},
		{"long headers",
			"dd00000003 d907656d6974746572 de0003" +
				"d90474797065 ce00000002 da000464617461 dc0001 db0000000178 a36e7370 a12f df00000000", "", x},
		{"type as float32", sender + "83a474797065ca40000000a46461746191a178a36e7370a12f80", "", x},
		{"type as float64", sender + "83a474797065cb4000000000000000a46461746191a178a36e7370a12f80", "", x},
		{"volatile and compress spelled out",
			sender + packetX + "81a5666c61677382a8766f6c6174696c65c2a8636f6d7072657373c3", "", x},
		{"compress nil", sender + packetX + "81a5666c61677381a8636f6d7072657373c0", "", x},
		{"flags of old emitters",
			sender + packetX + "81a5666c61677383a46a736f6ec3a962726f616463617374c3a8766f6c6174696c6501", "",
			adapter.Broadcast{Namespace: "/", Args: x.Args, Volatile: true}},
		{"timeout that is no number", sender + packetX + "81a5666c61677381a774696d656f7574a178", "", x},
		{"name that is a number", sender + "83a47479706502a4646174619107a36e7370a12f80", "",
			adapter.Broadcast{Namespace: "/", Args: args(`[7]`)}},
		{"sender that is no string", "9301" + packetX + "80", "", x},
		{"old date and undefined",
			"93a7656d697474657283a47479706502a46461746193a66f6c64657874d7000000018bcfe5687bd40000a36e7370a12f" +
				"82a5726f6f6d7390a5666c61677380", "",
			adapter.Broadcast{Namespace: "/", Args: args(`["oldext","2023-11-14T22:13:20.123Z",null]`)}},
		{"float32 argument",
			"93a7656d697474657283a474797065ca40000000a46461746192a3663332ca3fc00000a36e7370a12f82a5726f6f6d73" +
				"90a5666c61677380", "",
			adapter.Broadcast{Namespace: "/", Args: args(`["f32",1.5]`)}},
		{"all types", "93a6374f4467617883a47479706502a4646174619ea5747970657301ffcb3ff8000000000000cd012cc0c0c3a3e282ac" +
			"81a1629101d7ff1d5353006553f100c403010203c4020405cf0000010000000000a36e7370a12f83a5726f6f6d7390a6" +
			"65786365707490a5666c61677380", "",
			adapter.Broadcast{Namespace: "/",
				Args: args(`["types",1,-1,1.5,300,null,null,true,"€",{"b":[1]},"2023-11-14T22:13:20.123Z",`+
					`{"_placeholder":true,"num":0},{"_placeholder":true,"num":1},1099511627776]`, []byte{1, 2, 3},
					[]byte{4, 5})}},

		// socket.io-emitter 2.0.0 (msgpack-lite) and 3.2.0 (notepack 2)
		{"2.0.0: values", "93a7656d697474657283a47479706502a46461746195a568656c6c6fa5776f726c64c0c7090dcb4278bcfe5687b000cb" +
			"4270000000000000a36e7370a12f82a5726f6f6d7390a5666c61677380", "",
			adapter.Broadcast{Namespace: "/",
				Args: args(`["hello","world",null,[13,{"_placeholder":true,"num":0}],1099511627776]`,
					[]byte("\xcb\x42\x78\xbc\xfe\x56\x87\xb0\x00"))}},
		{"2.0.0: binary", "93a7656d697474657283a47479706505a46461746192a362696ec403010203a36e7370a12f82a5726f6f6d7391a172a5" +
			"666c61677380", "r",
			adapter.Broadcast{Namespace: "/", Args: args(`["bin",{"_placeholder":true,"num":0}]`, []byte{1, 2, 3}),
				Target: to("r")}},
		{"3.2.0: values", "93a7656d697474657283a47479706502a46461746195a568656c6c6fa5776f726c64d40000d7000000018bcfe5687bcf" +
			"0000010000000000a36e7370a12f82a5726f6f6d7390a5666c61677380", "",
			adapter.Broadcast{Namespace: "/",
				Args: args(`["hello","world",null,"2023-11-14T22:13:20.123Z",1099511627776]`)}},
		{"3.2.0: flags", "93a7656d697474657283a47479706502a46461746191a2666ca36e7370a12f82a5726f6f6d7390a5666c61677382a962" +
			"726f616463617374c3a8766f6c6174696c65c3", "",
			adapter.Broadcast{Namespace: "/", Args: args(`["fl"]`), Volatile: true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := rediswire.DecodeBroadcast("/", test.room, unhex(t, test.bytes), rediswire.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if fingerprint(got) != fingerprint(test.want) {
				t.Errorf("got  %s\nwant %s", fingerprint(got), fingerprint(test.want))
			}
		})
	}
}

// An emitter of the second generation publishes on the channel of each room, with all of them named. A member must
// get the message from exactly one of the channels, whichever of the rooms it is in.
func TestDecodeBroadcast_OldEmittersReachEachMemberOnce(t *testing.T) {
	payload := unhex(t, "93a7656d697474657283a47479706502a46461746192a2686901a36e7370a12f83a5726f6f6d7393a161a162a163a566"+
		"6c61677380a665786365707491a178")
	var targets []rooms.Target
	for _, channelRoom := range []string{"a", "b", "c"} {
		b, err := rediswire.DecodeBroadcast("/", channelRoom, payload, rediswire.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		targets = append(targets, b.Target)
	}
	want := []rooms.Target{
		{Rooms: []string{"a"}, Except: []string{"x"}},
		{Rooms: []string{"b"}, Except: []string{"x", "a"}},
		{Rooms: []string{"c"}, Except: []string{"x", "a", "b"}},
	}
	if !reflect.DeepEqual(targets, want) {
		t.Errorf("targets %q, want %q", targets, want)
	}
}

func TestDecodeBroadcast_RefusesWhatItCannotDeliver(t *testing.T) {
	for name, bytes := range map[string]string{
		"nothing":                "",
		"no array":               "80",
		"two elements":           "92 a7656d6974746572 83a47479706502a46461746191a178a36e7370a12f",
		"no packet":              "93 a161 c0 80",
		"no data":                "93 a161 82a47479706502a36e7370a12f 80",
		"data is no array":       "93 a161 83a47479706502a464617461a178a36e7370a12f 80",
		"no event name":          "93 a161 83a47479706502a46461746190a36e7370a12f 80",
		"name is a map":          "93 a161 83a47479706502a4646174619180a36e7370a12f 80",
		"reserved name":          "93 a161 83a47479706502a46461746191aa646973636f6e6e656374a36e7370a12f 80",
		"no type":                "93 a161 82a46461746191a178a36e7370a12f 80",
		"another type of packet": "93 a161 83a47479706504a46461746191a178a36e7370a12f 80",
		"type is text":           "93 a161 83a474797065a132a46461746191a178a36e7370a12f 80",
		"rooms of rooms":         "93 a161 83a47479706502a46461746191a178a36e7370a12f 81a5726f6f6d73919101",
		"rooms is a date":        "93 a161 83a47479706502a46461746191a178a36e7370a12f 81a5726f6f6d73d6ff00000000",
		"rooms is true":          "93 a161 83a47479706502a46461746191a178a36e7370a12f 81a5726f6f6d73c3",
		"rooms is false":         "93 a161 83a47479706502a46461746191a178a36e7370a12f 81a5726f6f6d73c2",
		"rooms is a number":      "93 a161 83a47479706502a46461746191a178a36e7370a12f 81a5726f6f6d732b",
		"rooms is text":          "93 a161 83a47479706502a46461746191a178a36e7370a12f 81a5726f6f6d73a27a7a",
		"rooms is bytes":         "93 a161 83a47479706502a46461746191a178a36e7370a12f 81a5726f6f6d73c400",
		"rooms is an empty map":  "93 a161 83a47479706502a46461746191a178a36e7370a12f 81a5726f6f6d7380",
		"a room is nil":          "93 a161 83a47479706502a46461746191a178a36e7370a12f 81a5726f6f6d7391c0",
		"a room is undefined":    "93 a161 83a47479706502a46461746191a178a36e7370a12f 81a5726f6f6d7391d40000",
		"a room is false":        "93 a161 83a47479706502a46461746191a178a36e7370a12f 81a5726f6f6d7391c2",
		"except is false":        "93 a161 83a47479706502a46461746191a178a36e7370a12f 81a6657863657074c2",
		"except is text":         "93 a161 83a47479706502a46461746191a178a36e7370a12f 81a6657863657074a161",
		"options are false":      "93 a161 83a47479706502a46461746191a178a36e7370a12f c2",
		"options of text":        "93 a161 83a47479706502a46461746191a178a36e7370a12f a161",
		"options in an array":    "93 a161 83a47479706502a46461746191a178a36e7370a12f 9101",
		"trailing bytes":         "93 a161 83a47479706502a46461746191a178a36e7370a12f 80 00",
		"cut short":              "93 a161 83a47479706502a46461746191a178a36e7370a12f 81a5726f6f6d7391",
		"lying length":           "93 a161 83a47479706502a464617461ddffffffffa178a36e7370a12f 80",
		"not msgpack":            "7b7d",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := rediswire.DecodeBroadcast("/", "", unhex(t, bytes), rediswire.Limits{})
			if err == nil {
				t.Fatalf("read as %s", fingerprint(got))
			}
			if !reflect.DeepEqual(got, adapter.Broadcast{}) {
				t.Errorf("left %s behind", fingerprint(got))
			}
		})
	}
}

func TestDecodeBroadcast_TellsMessagesForOtherNamespaces(t *testing.T) {
	for name, bytes := range map[string]string{
		"another":   "93a7656d697474657283a47479706502a46461746191a178a36e7370a42f666f6f82a5726f6f6d7390a5666c61677380",
		"nil":       "93a7656d697474657283a47479706502a46461746191a178a36e7370c080",
		"no string": "93a7656d697474657283a47479706502a46461746191a178a36e73700180",
	} {
		if _, err := rediswire.DecodeBroadcast("/", "", unhex(t, bytes), rediswire.Limits{}); !errors.Is(err,
			rediswire.ErrNamespace) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDecodeBroadcast_HoldsToLimits(t *testing.T) {
	deep := func(levels int) []byte {
		b := adapter.Broadcast{Namespace: "/",
			Args: args(`["x"` + strings.Repeat(",[1", levels-1) + strings.Repeat("]", levels-1) + `]`)}
		payload, err := rediswire.AppendBroadcast(nil, "u", &b)
		if err != nil {
			t.Fatal(err)
		}
		return payload
	}
	limits := rediswire.Limits{Depth: 3, Bytes: len(deep(3))}
	if _, err := rediswire.DecodeBroadcast("/", "", deep(3), limits); err != nil {
		t.Errorf("at the limits: %v", err)
	}
	if _, err := rediswire.DecodeBroadcast("/", "", append(deep(3), 0), limits); !errors.Is(err,
		rediswire.ErrTooLarge) {
		t.Errorf("one byte more: %v", err)
	}
	limits.Bytes = 0
	if _, err := rediswire.DecodeBroadcast("/", "", deep(4), limits); err == nil {
		t.Error("one level more was read")
	}
	if _, err := rediswire.DecodeBroadcast("/", "", make([]byte, 8<<20+1), rediswire.Limits{}); !errors.Is(err,
		rediswire.ErrTooLarge) {
		t.Errorf("over 8 MiB by default: %v", err)
	}
}

func TestSender_IsFoundWithoutTheRest(t *testing.T) {
	for bytes, want := range map[string]string{
		"93a7656d6974746572c1c1": "emitter", "93d903616263": "abc", "94c403616263": "abc", "dc0003a161c1c1": "a",
	} {
		if uid, ok := rediswire.Sender(unhex(t, bytes)); string(uid) != want || !ok {
			t.Errorf("%s is from %q, %v; want %q", bytes, uid, ok, want)
		}
	}
	for _, bytes := range []string{"", "93", "9301", "93c0", "92a161", "90", "83a161", "c1", "a161", "93a7656d"} {
		if uid, ok := rediswire.Sender(unhex(t, bytes)); ok {
			t.Errorf("%q is from %q", bytes, uid)
		}
	}
}

// A text field of a client that looks like a placeholder, beside bytes: clients would put the attachment in its place, as
// they do with what Node sends, and close the connection over one that is not there.
func TestDecodeBroadcast_TextLikeAPlaceholderDoesNotStopTheMessage(t *testing.T) {
	const placeholderKey = "ac5f706c616365686f6c646572"
	for name, test := range map[string]struct{ packed, want string }{
		"of an attachment": {"93 a165 82" + placeholderKey + "c3a36e756d00 c40101",
			`["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]`},
		"of one that comes later": {"94 a165 c40101 82" + placeholderKey + "c3a36e756d01 c40102",
			`["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1},{"_placeholder":true,"num":1}]`},
		"otherwise spelled": {"93 a165 83a36e756d00a16180" + placeholderKey + "c3 c40101",
			`["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]`},
		"of none": {"93 a165 82" + placeholderKey + "c3a36e756d01 c40101",
			`["e",{"_placeholder":null,"num":1},{"_placeholder":true,"num":0}]`},
		"without a number": {"93 a165 81" + placeholderKey + "c3 c40101",
			`["e",{"_placeholder":null},{"_placeholder":true,"num":0}]`},
		"with a text for a number": {"93 a165 82" + placeholderKey + "c3a36e756da130 c40101",
			`["e",{"_placeholder":null,"num":"0"},{"_placeholder":true,"num":0}]`},
		"in each other": {"93 a165 82" + placeholderKey + "c3a16182" + placeholderKey + "c3a36e756d09 c40101",
			`["e",{"_placeholder":null,"a":{"_placeholder":null,"num":9}},{"_placeholder":true,"num":0}]`},
		"taken back": {"93 a165 82" + placeholderKey + "c3" + placeholderKey + "c2 c40101",
			`["e",{"_placeholder":true,"_placeholder":false},{"_placeholder":true,"num":0}]`},
		"without bytes beside it": {"92 a165 82" + placeholderKey + "c3a36e756d07", `["e",{"_placeholder":true,"num":7}]`},
	} {
		t.Run(name, func(t *testing.T) {
			payload := unhex(t, "93 a7656d6974746572 83a47479706502a464617461"+test.packed+"a36e7370a12f 80")
			b, err := rediswire.DecodeBroadcast("/", "", payload, rediswire.Limits{})
			if err != nil || string(b.Args.JSON) != test.want {
				t.Errorf("%v, read\n%s, want\n%s", err, b.Args.JSON, test.want)
			}
		})
	}
}

// What a client may send is read by the other nodes as well when a rule or a publisher has wrapped it.
func TestDecodeBroadcast_ReadsDeeperThanClientsMaySend(t *testing.T) {
	for levels, want := range map[int]bool{128: true, 160: true, 161: false} {
		b := adapter.Broadcast{Namespace: "/",
			Args: args(`["x"` + strings.Repeat(",[1", levels-1) + strings.Repeat("]", levels))}
		payload, err := rediswire.AppendBroadcast(nil, "u", &b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := rediswire.DecodeBroadcast("/", "", payload, rediswire.Limits{}); (err == nil) != want {
			t.Errorf("%d levels: %v", levels, err)
		}
		if _, err := rediswire.AppendEmitterBroadcast(nil, &b); (err == nil) != want {
			t.Errorf("an emitter's %d levels: %v", levels, err)
		}
	}
}
