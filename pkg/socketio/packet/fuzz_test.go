package packet_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"unicode/utf8"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// decodeAll feeds one text and as many copies of attachment as it takes.
func decodeAll(d *packet.Decoder, text, attachment []byte) (packet.Packet, error) {
	p, done, err := d.Text(text)
	for !done && err == nil {
		p, done, err = d.Binary(attachment)
	}
	return p, err
}

func FuzzDecoder_WhatItAcceptsSurvivesTheWayBack(f *testing.F) {
	for _, c := range textVerdicts {
		f.Add([]byte(c.text), []byte{1}, false)
	}
	for _, c := range sequenceVerdicts {
		f.Add([]byte(c.messages[0]), []byte{1, 2}, false)
	}
	f.Add([]byte("0/foo?token=%41b+c&x,"), []byte{}, true)
	f.Add([]byte(`2/é?a=1,7["e",1]`), []byte{}, true)
	f.Fuzz(func(t *testing.T, text, attachment []byte, query bool) {
		d := packet.Decoder{NamespaceQuery: query}
		p, err := decodeAll(&d, text, attachment)
		if err != nil {
			if !errors.Is(err, packet.ErrMalformed) && !errors.Is(err, packet.ErrLimit) {
				t.Fatalf("error of no kind: %v", err)
			}
			return
		}
		if p.Data != nil && !json.Valid(p.Data) {
			t.Fatalf("invalid data %q", p.Data)
		}
		encoded := packet.AppendText(nil, &p)
		if !utf8.Valid(encoded) {
			t.Fatalf("not UTF-8: %q", encoded)
		}
		var plain packet.Decoder
		again, err := decodeAll(&plain, encoded, attachment)
		if err != nil {
			t.Fatalf("%q became %q: %v", text, encoded, err)
		}
		if p.Type == packet.Ack && p.Data == nil {
			p.Data = []byte("[]") // what the encoder writes for it
		}
		if !reflect.DeepEqual(p, again) {
			t.Fatalf("%q became %+v, then %+v", text, p, again)
		}
	})
}

func FuzzDecoder_WhatMsgpackBringsSurvivesTheWayBack(f *testing.F) {
	for _, c := range msgpackVerdicts {
		f.Add(unhex(f, c.message), false)
	}
	f.Add(unhex(f, "83a47479706500a36e7370a62f613f623d63a46461746180"), true)
	f.Fuzz(func(t *testing.T, message []byte, query bool) {
		d := packet.Decoder{Parser: packet.MsgpackParser, NamespaceQuery: query}
		p, done, err := d.Binary(message)
		if err != nil {
			if done || !errors.Is(err, packet.ErrMalformed) && !errors.Is(err, packet.ErrLimit) {
				t.Fatalf("%v, error %v", done, err)
			}
			return
		}
		if p.Data != nil && (!json.Valid(p.Data) || !utf8.Valid(p.Data)) {
			t.Fatalf("invalid data %q", p.Data)
		}
		if len(p.Attachments) > packet.DefaultMaxAttachments {
			t.Fatalf("%d attachments", len(p.Attachments))
		}
		encoded, err := packet.AppendMsgpack(nil, &p)
		if err != nil {
			t.Fatalf("%q: %v", p.Data, err)
		}
		// Outside of lists bytes are spelled with one level more.
		plain := packet.Decoder{Parser: packet.MsgpackParser, MaxDepth: packet.DefaultMaxDepth + 1}
		again, _, err := plain.Binary(encoded)
		if err != nil {
			t.Fatalf("%x became %x: %v", message, encoded, err)
		}
		if p.Namespace == "" {
			p.Namespace = "/" // what the encoder writes for it
		}
		if p.Type == packet.Event || p.Type == packet.Ack {
			relayAsText(t, p)
		}
		var before, after any
		if p.Data != nil {
			before, after = mustUnmarshal(t, p.Data), mustUnmarshal(t, again.Data)
		}
		p.Data, again.Data = nil, nil
		if !reflect.DeepEqual(p, again) || !reflect.DeepEqual(before, after) {
			t.Fatalf("%x became %+v %v, then %+v %v", message, p, before, again, after)
		}
	})
}

// relayAsText checks that a client of the default parser can read a packet that came from one of the msgpack parser.
func relayAsText(t *testing.T, p packet.Packet) {
	t.Helper()
	p.Namespace = "/" // the others are not all possible as text, but nobody of the default parser is in those
	text := packet.AppendText(nil, &p)
	var d packet.Decoder
	relayed, done, err := d.Text(text)
	for i := 0; !done && err == nil; i++ {
		relayed, done, err = d.Binary(p.Attachments[i])
	}
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	if !bytes.Equal(relayed.Data, p.Data) || !reflect.DeepEqual(relayed.Attachments, p.Attachments) {
		t.Fatalf("%+v became %+v", p, relayed)
	}
}

func mustUnmarshal(t *testing.T, text []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return v
}

func FuzzDecoder_JudgesJSONAsTheStandardLibraryDoes(f *testing.F) {
	for _, s := range []string{
		`1`, `-0.5e+10`, `01`, `"a\u00e9\n"`, `"é☃😀"`, "\"\xff\"", "\"\xed\xa0\x80\"", `{"a":[{},[],null,true,false]}`,
		`{"a":1,}`,
		`[1,]`, "\"a long string without anything in it\"", "\"a long string with a \\\" in it\"", `1],[2`,
		" \t\r\n1", "\"\x1f\"", "\"1234567\x7f\x80\"", `{"":{"":{"":[[[[]]]]}}}`, `nul`, `-`, `1e`, `1.`, `tru e`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		data := append(append([]byte(`["x",`), value...), ']')
		d := packet.Decoder{MaxDepth: 10_000} // the standard library's
		_, _, err := d.Text(append([]byte("2"), data...))
		if want := json.Valid(data) && utf8.Valid(data); (err == nil) != want {
			t.Fatalf("%q: got %v, want %v", data, err, want)
		}
	})
}

func FuzzArgs_ElementsAreThoseOfTheStandardLibrary(f *testing.F) {
	f.Add([]byte(`["a",1,{"k":[1,"]"]},[[]],"\\\""]`), []byte{1})
	f.Add([]byte(`[{"_placeholder":true,"num":0},{"k":{"_placeholder":true,"num":0}}]`), []byte{})
	f.Add([]byte(`[{"_placeholder":true,"num":0,"_placeholder":1}, "{\"_placeholder\":true,\"num\":0}" ]`), []byte{2})
	f.Add([]byte(`{"`), []byte{})
	f.Add([]byte(`["`), []byte{})
	f.Add([]byte(`[1 2`), []byte{})
	f.Fuzz(func(t *testing.T, text, attachment []byte) {
		a := packet.Args{JSON: text, Attachments: [][]byte{attachment}}
		elements := a.Split(nil) // must end, whatever the text
		name, event := a.Name()
		tail := a.Tail()
		copied := packet.Args{JSON: bytes.Clone(text), Attachments: a.Attachments}
		if cutName, cut, ok := copied.CutName(); cutName != name || ok != event || !bytes.Equal(cut.JSON, tail.JSON) {
			t.Fatalf("%q: cut into %q and %q, want %q and %q", text, cutName, cut.JSON, name, tail.JSON)
		}
		var raw []json.RawMessage
		if json.Unmarshal(text, &raw) != nil || raw == nil {
			return
		}
		if len(elements) != len(raw) || a.Len() != len(raw) {
			t.Fatalf("%q: got %d elements, want %d", text, len(elements), len(raw))
		}
		for i := range raw {
			if !bytes.Equal(elements[i], raw[i]) {
				t.Fatalf("%q: element %d: got %q, want %q", text, i, elements[i], raw[i])
			}
		}
		rebuild(t, a)
	})
}

// rebuild passes a list through a Builder, and what comes out must be what the decoder takes.
func rebuild(t *testing.T, a packet.Args) {
	t.Helper()
	var b packet.Builder
	b.Literal("[")
	b.Elements(a)
	b.Literal("]")
	built, err := b.Args()
	if err != nil {
		return
	}
	var d packet.Decoder
	text := packet.AppendText(nil, &packet.Packet{Type: packet.Ack, Data: built.JSON, Attachments: built.Attachments})
	if _, err := decodeAll(&d, text, a.Attachments[0]); errors.Is(err, packet.ErrMalformed) && utf8.Valid(text) {
		t.Fatalf("%q was built as %q: %v", a.JSON, text, err)
	}
}
