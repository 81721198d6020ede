package native_test

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/native"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

func decoder(p native.Protocol) native.Decoder {
	return native.Decoder{Protocol: p, MaxAttachments: 10, MaxDepth: 128}
}

func show(p packet.Packet) string {
	text := fmt.Sprintf("%d %s", p.Type, p.Data)
	if p.HasID {
		text = fmt.Sprintf("%s id %d", text, p.ID)
	}
	if len(p.Attachments) > 0 {
		text = fmt.Sprintf("%s %q", text, p.Attachments)
	}
	return text
}

func TestDecode_Table(t *testing.T) {
	for _, c := range []struct {
		protocol native.Protocol
		data     string
		binary   bool
		want     string
	}{
		{native.Plain, `hello`, false, `2 ["message","hello"]`},
		{native.Plain, ``, false, `2 ["message",""]`},
		{native.Plain, "a\"\n\x00é", false, "2 [\"message\",\"a\\\"\\n\\u0000é\"]"},
		{native.Plain, `{"event":"join"}`, false, `2 ["message","{\"event\":\"join\"}"]`},
		{native.Plain, "\xff\x00", true, `2 ["message",{"_placeholder":true,"num":0}] ["\xff\x00"]`},
		{native.JSON, `{"event":"join","args":["chat:1"],"id":7}`, false, `2 ["join","chat:1"] id 7`},
		{native.JSON, `{"id":0,"args":[],"event":"join"}`, false, `2 ["join"] id 0`},
		{native.JSON, ` { "event" : "e" , "args" : [ 1 , { "a" : 1.0 } ] } `, false, `2 ["e", 1 , { "a" : 1.0 } ]`},
		{native.JSON, `{"event":"e"}`, false, `2 ["e"]`},
		{native.JSON, `{"event":"a","event":"b"}`, false, `2 ["b"]`},
		{native.JSON, `{"event":"e","args":[{"a":1,"a":2}]}`, false, `2 ["e",{"a":2}]`},
		{native.JSON, `{"event":"e","args":[{"$bytes":"AQI="},"$bytes",{ "$bytes" : "" }]}`, false,
			`2 ["e",{"_placeholder":true,"num":0},"$bytes",{"_placeholder":true,"num":1}] ["\x01\x02" ""]`},
		{native.JSON, `{"event":"e","args":[{"x":{"$bytes":"AQ=="}}]}`, false, `2 ["e",{"x":{"_placeholder":true,"num":0}}] ["\x01"]`},
		{native.JSON, `{"event":"e","args":["{\"$bytes\":\"AQ==\"}"]}`, false, `2 ["e","{\"$bytes\":\"AQ==\"}"]`},
		{native.JSON, `{"event":"e","args":[{"_placeholder":true,"num":0}]}`, false, `2 ["e",{"_placeholder":true,"num":0}]`},
		{native.JSON, `{"ack":3,"args":[{"$bytes":"AQ=="}]}`, false, `3 [{"_placeholder":true,"num":0}] id 3 ["\x01"]`},
		{native.JSON, `{"ack":3}`, false, `3 [] id 3`},
		{native.JSON, `{"hello":{"token":"x"}}`, false, `0 {"token":"x"}`},
		{native.JSON, `{"hello":{}}`, false, `0 {}`},
	} {
		got, err := decoder(c.protocol).Decode([]byte(c.data), c.binary)
		if err != nil || show(got) != c.want {
			t.Errorf("%s\ngot  %s, %v\nwant %s", c.data, show(got), err, c.want)
		}
	}
}

func TestDecode_RefusesWithAWordForTheClient(t *testing.T) {
	deep := strings.Repeat("[", 200) + strings.Repeat("]", 200)
	for _, c := range []struct{ data, word string }{
		{``, "object"}, {` `, "object"}, {`hello`, "object"}, {`[]`, "object"}, {`"x"`, "object"}, {`{`, "object"}, {`{}{}`, "object"}, {`{} x`, "object"},
		{"{\"event\":\"\xff\"}", "object"}, {`{"event":"e","args":[` + deep + `]}`, "levels"},
		{`{}`, "hello"}, {`{"evnt":"e"}`, `"evnt"`}, {`{"event":1}`, "name"}, {`{"event":null}`, "name"}, {`{"event":"disconnect"}`, "name"},
		{`{"event":"e","args":{}}`, "list"}, {`{"event":"e","args":null}`, "list"}, {`{"event":"e","args":"x"}`, "list"},
		{`{"event":"e","id":-1}`, "id"}, {`{"event":"e","id":1.5}`, "id"}, {`{"event":"e","id":"1"}`, "id"}, {`{"event":"e","id":99999999999999999999}`, "id"}, {`{"event":"e","id":null}`, "id"},
		{`{"event":"e","ack":1}`, "hello"}, {`{"ack":1,"id":1}`, "hello"}, {`{"args":[]}`, "hello"}, {`{"id":1}`, "hello"},
		{`{"ack":"1"}`, "ack"}, {`{"ack":-1}`, "ack"},
		{`{"hello":1}`, "hello"}, {`{"hello":null}`, "hello"}, {`{"hello":{},"event":"e"}`, "hello"},
		{`{"event":"e","args":[{"$bytes":"%"}]}`, "base64"}, {`{"event":"e","args":[{"$bytes":1}]}`, "base64"},
		{`{"event":"e","args":[{"$bytes":"AQ==","x":1}]}`, "base64"},
		{`{"event":"e","args":[{"$bytes":"AQ=="},{"_placeholder":true,"num":0}]}`, "placeholder"},
		{`{"event":"e","args":[` + strings.Repeat(`{"$bytes":""},`, 10) + `{"$bytes":""}]}`, "more binary"},
	} {
		got, err := decoder(native.JSON).Decode([]byte(c.data), false)
		if !errors.Is(err, native.ErrInvalid) || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%.80s: %s, %v", c.data, show(got), err)
		}
	}
	if _, err := decoder(native.JSON).Decode([]byte(`{"event":"e"}`), true); !errors.Is(err, native.ErrInvalid) {
		t.Errorf("binary: %v", err)
	}
	if _, err := decoder(native.Plain).Decode([]byte("\xff"), false); !errors.Is(err, native.ErrInvalid) {
		t.Errorf("not UTF-8: %v", err)
	}
	if _, err := decoder(native.Events).Decode([]byte("x"), false); !errors.Is(err, native.ErrInvalid) {
		t.Errorf("from a reader: %v", err)
	}
}

func TestAppend_Table(t *testing.T) {
	event := func(list string, attachments ...[]byte) packet.Packet {
		return packet.Packet{Type: packet.Event, Namespace: "/", Data: []byte(list), Attachments: attachments}
	}
	asks := event(`["msg",1]`)
	asks.ID, asks.HasID = 3, true
	bytesOnly := event(`["message",{"_placeholder":true,"num":0}]`, []byte{0xff})
	mixed := event(`["pic","a",{"x":{"_placeholder":true,"num":1}},{"_placeholder":true,"num":0}]`, []byte{1}, []byte{2})
	for _, c := range []struct {
		protocol native.Protocol
		packet   packet.Packet
		want     string
		binary   bool
	}{
		{native.Plain, event(`["message","hé\u0041\n"]`), "héA\n", false},
		{native.Plain, bytesOnly, "\xff", true},
		{native.Plain, event(`["message",1]`), `["message",1]`, false},
		{native.Plain, event(`["message"]`), `["message"]`, false},
		{native.Plain, event(`["message","a","b"]`), `["message","a","b"]`, false},
		{native.Plain, event(`["message",{"_placeholder":true,"num":0}]`), `["message",{"_placeholder":true,"num":0}]`, false},
		{native.Plain, event(`["other","x"]`), `["other","x"]`, false},
		{native.Plain, mixed, `["pic","a",{"x":{"$bytes":"Ag=="}},{"$bytes":"AQ=="}]`, false},
		{native.JSON, event(`["msg"]`), `{"event":"msg","args":[]}`, false},
		{native.JSON, asks, `{"event":"msg","args":[1],"id":3}`, false},
		{native.JSON, mixed, `{"event":"pic","args":["a",{"x":{"$bytes":"Ag=="}},{"$bytes":"AQ=="}]}`, false},
		{native.JSON, packet.Packet{Type: packet.Ack, ID: 7, HasID: true, Data: []byte(`[{"ok":true}]`)}, `{"ack":7,"args":[{"ok":true}]}`, false},
		{native.JSON, packet.Packet{Type: packet.Ack, ID: 7, HasID: true}, `{"ack":7,"args":[]}`, false},
		{native.JSON, packet.Packet{Type: packet.Connect, Namespace: "/a\"", Data: []byte(`{"sid":"x"}`)}, `{"hello":{"sid":"x","namespace":"/a\""}}`, false},
		{native.Events, event(`["msg",1, 2]`), "event: msg\ndata: [1, 2]\n\n", false},
		{native.Events, event("[\"a\\r\\nevent: b\",\n1,\r2]"), "event: a  event: b\ndata: [1, 2]\n\n", false},
		{native.Events, mixed, "event: pic\ndata: [\"a\",{\"x\":{\"$bytes\":\"Ag==\"}},{\"$bytes\":\"AQ==\"}]\n\n", false},
		{native.Events, event(`["msg"]`), "event: msg\ndata: []\n\n", false},
	} {
		got, binary, ok := native.Append(nil, c.protocol, &c.packet)
		if string(got) != c.want || binary != c.binary || !ok {
			t.Errorf("%s\ngot  %q, %v, %v\nwant %q", c.packet.Data, got, binary, ok, c.want)
		}
	}
}

func TestAppend_WhatAProtocolHasNoMessageFor(t *testing.T) {
	for _, protocol := range []native.Protocol{native.Plain, native.JSON, native.Events} {
		for _, p := range []packet.Packet{{Type: packet.Disconnect}, {Type: packet.ConnectError, Data: []byte(`{}`)}, {Type: packet.Ack}, {Type: packet.Connect, Data: []byte(`{"sid":"x"}`)}} {
			if protocol == native.JSON && (p.Type == packet.Ack || p.Type == packet.Connect) {
				continue
			}
			if out, _, ok := native.Append(nil, protocol, &p); ok || len(out) > 0 {
				t.Errorf("protocol %d, packet %d: %s", protocol, p.Type, out)
			}
		}
	}
}

func TestAppendError(t *testing.T) {
	for protocol, want := range map[native.Protocol]string{
		native.JSON:   `{"error":{"code":"denied","message":"no \"way\"\n"}}`,
		native.Events: ": denied: no \"way\" \n\n",
		native.Plain:  "",
	} {
		got, ok := native.AppendError(nil, protocol, "denied", "no \"way\"\n")
		if string(got) != want || ok != (want != "") {
			t.Errorf("protocol %d: %q, %v", protocol, got, ok)
		}
	}
}

func TestAppendID_IsALineOfItsOwn(t *testing.T) {
	if got := string(native.AppendID(nil, "pid", "@offset")); got != "id: pid.@offset\n" {
		t.Errorf("%q", got)
	}
}

// FuzzDecode: no message panics or takes memory beyond its length, and an event that is taken comes back as it was.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"event":"join","args":["chat:1"],"id":7}`, `{"ack":3,"args":[{"$bytes":"AQ=="}]}`, `{"hello":{"token":"x"}}`,
		`{"event":"e","args":[{ "$bytes" : "" },{"_placeholder":true}]}`, `hello`, "\xff",
	} {
		f.Add([]byte(seed), true, false)
		f.Add([]byte(seed), false, true)
		f.Add([]byte(seed), false, false)
	}
	f.Fuzz(func(t *testing.T, data []byte, object, binary bool) {
		protocol := native.Plain
		if object {
			protocol = native.JSON
		}
		d := decoder(protocol)
		before := bytes.Clone(data)
		p, err := d.Decode(data, binary)
		if !bytes.Equal(before, data) {
			t.Fatal("the message was changed")
		}
		if err != nil || p.Type == packet.Connect {
			return
		}
		p.Namespace = "/"
		out, wasBinary, ok := native.Append(nil, protocol, &p)
		if !ok {
			t.Fatalf("%s cannot be written", p.Data)
		}
		if protocol == native.Plain && (!bytes.Equal(out, data) || wasBinary != binary) {
			t.Fatalf("%q came back as %q", data, out)
		}
		again, err := d.Decode(out, wasBinary)
		if err != nil || show(again) != show(p) {
			t.Fatalf("%s came back as %s, %v", show(p), show(again), err)
		}
		if stream, _, ok := native.Append(nil, native.Events, &p); ok && bytes.Count(stream, []byte("\n")) != 3 {
			t.Fatalf("an event of the stream has lines of its own: %q", stream)
		}
	})
}

func TestDecode_AllocsAreFew(t *testing.T) {
	for name, c := range map[string]struct {
		protocol native.Protocol
		data     string
		max      float64
	}{
		"plain": {native.Plain, "hello", 2},
		"json":  {native.JSON, `{"event":"join","args":["chat:1"],"id":7}`, 7},
	} {
		d, data := decoder(c.protocol), []byte(c.data)
		if n := testing.AllocsPerRun(100, func() { _, _ = d.Decode(data, false) }); n > c.max {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// TestDecode_AllocOfHostileInput: a message of many small parts makes the decoder allocate no more than a few times its length.
func TestDecode_AllocOfHostileInput(t *testing.T) {
	for name, data := range map[string]string{
		"elements": `{"event":"e","args":[` + strings.Repeat("0,", 200_000) + `0]}`,
		"members":  `{"event":"e","args":[{` + strings.Repeat(`"":0,`, 100_000) + `"":0}]}`,
		"bytes":    `{"event":"e","args":[` + strings.Repeat(`{"$bytes":""},`, 50_000) + `0]}`,
		"objects":  strings.Repeat(`{"event":`, 100_000),
	} {
		d, raw := decoder(native.JSON), []byte(data)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = d.Decode(raw, false)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 20*uint64(len(raw)) { // equal names are looked for by hash
			t.Errorf("%s: %d bytes allocated for %d", name, got, len(raw))
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, c := range map[string]struct {
		protocol native.Protocol
		data     string
	}{"plain": {native.Plain, "hello"}, "json": {native.JSON, `{"event":"message","args":["chat:1",{"text":"hello"}],"id":7}`}} {
		d, data := decoder(c.protocol), []byte(c.data)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = d.Decode(data, false)
			}
		})
	}
}
