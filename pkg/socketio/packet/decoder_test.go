package packet_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

func TestDecoder_AgreesWithOfficialParserOnText(t *testing.T) {
	for _, c := range textVerdicts {
		if got := verdict(t, c.text); got != c.verdict {
			t.Errorf("%q: got %s, want %s", c.text, got, c.verdict)
		}
	}
}

func TestDecoder_AgreesWithOfficialParserOnSequences(t *testing.T) {
	for _, c := range sequenceVerdicts {
		if got := verdict(t, c.messages...); got != c.verdict {
			t.Errorf("%q: got %s, want %s", c.messages, got, c.verdict)
		}
	}
}

// verdict feeds a decoder and renders what came of it in the form of the recorded ones.
func verdict(t *testing.T, messages ...string) string {
	t.Helper()
	return verdictOf(t, new(packet.Decoder), messages...)
}

func verdictOf(t *testing.T, d *packet.Decoder, messages ...string) string {
	t.Helper()
	var p packet.Packet
	var done bool
	for _, m := range messages {
		var err error
		if digits, binary := strings.CutPrefix(m, "bin:"); binary {
			p, done, err = d.Binary(unhex(t, digits))
		} else {
			p, done, err = d.Text([]byte(m))
		}
		switch {
		case errors.Is(err, packet.ErrMalformed) || errors.Is(err, packet.ErrLimit):
			return "refused"
		case err != nil:
			t.Fatalf("%q: error of no kind: %v", messages, err)
		}
	}
	if !done {
		return "waits"
	}
	id, data := "-", "-"
	if p.HasID {
		id = fmt.Sprint(p.ID)
	}
	if p.Data != nil {
		var tree any
		if err := packet.Unmarshal(p.Data, p.Attachments, &tree); err != nil {
			t.Fatalf("%q: %v", messages, err)
		}
		text, err := json.Marshal(hexTree(tree))
		if err != nil {
			t.Fatal(err)
		}
		data = strings.ReplaceAll(string(text), `\u2028`, "\u2028") // the recorder does not escape it
	}
	return fmt.Sprintf("%d %s %s %s", p.Type, p.Namespace, id, data)
}

// hexTree puts {"$bin":…} in the place of byte slices.
func hexTree(v any) any {
	switch v := v.(type) {
	case []byte:
		return map[string]any{"$bin": hex.EncodeToString(v)}
	case []any:
		for i := range v {
			v[i] = hexTree(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = hexTree(v[k])
		}
	}
	return v
}

func unhex(t testing.TB, digits string) []byte {
	t.Helper()
	data, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestDecoder_RefusesMoreThanOfficialParserWhereDocumented(t *testing.T) {
	for _, c := range []struct {
		name string
		text string
		want error
	}{
		{"no text at all", "", packet.ErrMalformed},
		{"not UTF-8 in a string", "2[\"a\xff\"]", packet.ErrMalformed},
		{"UTF-8 cut short", "2[\"a\xe2\x82\"]", packet.ErrMalformed},
		{"encoded surrogate", "2[\"\xed\xa0\x80\"]", packet.ErrMalformed},
		{"overlong encoding", "2[\"\xc0\xaf\"]", packet.ErrMalformed},
		{"namespace not UTF-8", "2/\xff,[\"a\"]", packet.ErrMalformed},
		{"id that is no number", `21 2["a"]`, packet.ErrMalformed},
		{"id over 64 bits", `218446744073709551616["a"]`, packet.ErrLimit},
		{"namespace too long", "0/" + strings.Repeat("n", packet.MaxNamespace), packet.ErrLimit},
		{"too deep", `2["a",` + strings.Repeat("[", 128) + strings.Repeat("]", 128) + "]", packet.ErrLimit},
		{"too many attachments", `511-["a"]`, packet.ErrLimit},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d packet.Decoder
			_, done, err := d.Text([]byte(c.text))
			if done || !errors.Is(err, c.want) {
				t.Errorf("got %v, %v, want %v", done, err, c.want)
			}
		})
	}
}

func TestDecoder_RefusesFractionalPlaceholder(t *testing.T) {
	if got := verdict(t, `51-["x",{"_placeholder":true,"num":0.5}]`, "bin:0102"); got != "refused" {
		t.Errorf("got %s", got)
	}
}

func TestDecoder_AcceptsUpToTheLimits(t *testing.T) {
	deep := `["a",` + strings.Repeat(`{"k":`, 2) + "1" + strings.Repeat("}", 2) + "]"
	for _, c := range []struct {
		name    string
		decoder packet.Decoder
		text    string
		ok      bool
	}{
		{"largest id", packet.Decoder{}, `218446744073709551615["a"]`, true},
		{"longest namespace", packet.Decoder{}, "0/" + strings.Repeat("n", packet.MaxNamespace-1), true},
		{"default depth", packet.Decoder{}, "2[1," + strings.Repeat("[", 127) + strings.Repeat("]", 127) + "]", true},
		{"depth", packet.Decoder{MaxDepth: 3}, "2" + deep, true},
		{"over the depth", packet.Decoder{MaxDepth: 2}, "2" + deep, false},
		{"attachments", packet.Decoder{MaxAttachments: 12}, `512-["a"]`, true},
		{"over the attachments", packet.Decoder{MaxAttachments: 12}, `513-["a"]`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, _, err := c.decoder.Text([]byte(c.text)); (err == nil) != c.ok {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestDecoder_PacketOwnsItsMemory(t *testing.T) {
	var d packet.Decoder
	text := []byte(`52-/foo,7["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`)
	first, second := []byte{1, 2}, []byte{3}
	if _, done, err := d.Text(text); done || err != nil {
		t.Fatal(done, err)
	}
	clear(text)
	if _, done, err := d.Binary(first); done || err != nil {
		t.Fatal(done, err)
	}
	clear(first)
	p, done, err := d.Binary(second)
	if !done || err != nil {
		t.Fatal(done, err)
	}
	clear(second)
	want := packet.Packet{
		Type: packet.Event, Namespace: "/foo", ID: 7, HasID: true,
		Data:        []byte(`["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`),
		Attachments: [][]byte{{1, 2}, {3}},
	}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("got %+v, want %+v", p, want)
	}
}

func TestDecoder_KeepsTheSendersSpelling(t *testing.T) {
	const data = `[ "a", {"z":1,"a":1e2, "b":-0.0} , "\u00e9\/" ]`
	if got := mustDecode(t, "2"+data+" \n").Data; string(got) != data {
		t.Errorf("got %s, want %s", got, data)
	}
}

func TestDecoder_SpellsPlaceholdersOneWay(t *testing.T) {
	var d packet.Decoder
	odd := `52-["x", {"num":1.0, "k":[{}], "\u005fplaceholder" : true}, ` +
		`{"_placeholder":true,"num":0,"_placeholder":null}]`
	if _, _, err := d.Text([]byte(odd)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		p, done, err := d.Binary([]byte{9})
		if err != nil {
			t.Fatal(err)
		}
		want := `["x",{"_placeholder":true,"num":1},{"_placeholder":null,"num":0}]`
		if done && string(p.Data) != want {
			t.Errorf("got %s, want %s", p.Data, want)
		}
	}
}

func TestDecoder_EscapedNamespaceOf2xClientsIsBoundedToo(t *testing.T) {
	d := packet.Decoder{NamespaceQuery: true}
	longest := "0/" + strings.Repeat(" ", (packet.MaxNamespace-1)/3) // three bytes each
	if p, _, err := d.Text([]byte(longest)); err != nil || len(p.Namespace) > packet.MaxNamespace {
		t.Errorf("%d bytes, %v", len(p.Namespace), err)
	}
	if _, _, err := d.Text([]byte(longest + " ")); !errors.Is(err, packet.ErrLimit) {
		t.Errorf("one more: %v", err)
	}
}

func TestDecoder_NamespaceQueryOf2xClients(t *testing.T) {
	for _, c := range []struct{ text, namespace, data string }{
		{"0/foo", "/foo", ""},
		{"0/foo?token=abc&x=1,", "/foo", `{"token":"abc","x":"1"}`},
		{"0/?token=abc", "/", `{"token":"abc"}`},
		{"0/foo?,", "/foo", ""},
		{"0/foo?a,", "/foo", `{"a":""}`},
		{"0/foo?=v&&a=b=c,", "/foo", `{"":"v","a":"b=c"}`},
		{"0/foo?a=x%20y+z%2B&b=%zz%4,", "/foo", `{"a":"x y z+","b":"%zz%4"}`},
		{"0/foo?a=%ff%22,", "/foo", "{\"a\":\"\ufffd\\\"\"}"},
		{"0/foo?a=é,", "/foo", `{"a":"é"}`},
		{"0/foo#frag?x=1,", "/foo", ""},
		{`0/foo?a=1,{"ignored":1}`, "/foo", `{"a":"1"}`},
		{`0/foo,{"ignored":1}`, "/foo", ""},
		{`0{"ignored":1}`, "/", ""},
		{`2/foo?token=abc,["a"]`, "/foo", `["a"]`},
		{"1/foo?token=abc,", "/foo", ""},
		{"0/é x,", "/%C3%A9%20x", ""},
		{`2/%41"<>{}|^,["a"]`, "/%41%22%3C%3E%7B%7D|^", `["a"]`},
	} {
		d := packet.Decoder{NamespaceQuery: true}
		p, done, err := d.Text([]byte(c.text))
		if !done || err != nil || p.Namespace != c.namespace || string(p.Data) != c.data {
			t.Errorf("%q: got %q %q, %v, %v, want %q %q", c.text, p.Namespace, p.Data, done, err, c.namespace, c.data)
		}
	}
}

func TestDecoder_IsUsableAfterAPacketAndDropsAHalfOneOnError(t *testing.T) {
	var d packet.Decoder
	if _, _, err := d.Text([]byte(`52-["x"]`)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Text([]byte(`2["a"]`)); !errors.Is(err, packet.ErrMalformed) {
		t.Fatal(err)
	}
	if _, _, err := d.Binary([]byte{1}); !errors.Is(err, packet.ErrMalformed) {
		t.Errorf("an attachment was still due: %v", err)
	}
}

// mustDecode decodes a packet without attachments.
func mustDecode(t testing.TB, text string) packet.Packet {
	t.Helper()
	var d packet.Decoder
	p, done, err := d.Text([]byte(text))
	if !done || err != nil {
		t.Fatalf("%q: %v, %v", text, done, err)
	}
	return p
}
