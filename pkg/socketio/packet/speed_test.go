package packet_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// chatEvent is a typical event of 150 bytes.
const chatEvent = `2["message",{"room":"chat:general","from":"7f3a9c","text":"See you at the harbour at half past ` +
	`six, bring the maps please","at":1700000000123}]`

var (
	largeEvent   = `2["feed",[` + strings.TrimSuffix(strings.Repeat(chatEvent[1:]+",", 30), ",") + `]]`
	foreignEvent = `2["message","` + strings.Repeat("港で六時半に会いましょう。", 12) + `"]`
)

func TestAllocations(t *testing.T) {
	if raceEnabled {
		return // its build allocates on its own account
	}
	decoder := new(packet.Decoder)
	namespaced := []byte("2/chat,17" + chatEvent[1:])
	plain := []byte(chatEvent)
	p := mustDecode(t, string(namespaced))
	args := p.Args()
	whole := packet.Args{JSON: bytes.Clone(args.JSON)}
	buffer := make([]byte, 0, 1024)
	elements := make([][]byte, 0, 8)
	packed := mustMsgpack(t, &p)
	msgpack := &packet.Decoder{Parser: packet.MsgpackParser}
	text := []byte(`51-["e",` + ph0 + `]`)
	attachment := []byte("attachment")
	for _, c := range []struct {
		name string
		max  float64
		f    func()
	}{
		{"decode an event", 1, func() { decodeOne(t, decoder, plain) }},
		{"decode an event of a namespace", 1, func() { decodeOne(t, decoder, namespaced) }},
		{"decode an event with an attachment", 5, func() {
			if _, err := decodeAll(decoder, text, attachment); err != nil {
				t.Fatal(err)
			}
		}},
		{"decode an event of the msgpack parser", 1, func() { decodeMsgpack(t, msgpack, packed) }},
		{"encode for the msgpack parser", 0, func() { buffer, _ = packet.AppendMsgpack(buffer[:0], &p) }},
		{"encode", 0, func() { buffer = packet.AppendText(buffer[:0], &p) }},
		{"split", 0, func() { elements = args.Split(elements[:0]) }},
		{"count", 0, func() { args.Len() }},
		{"name", 1, func() { args.Name() }},
		{"tail", 1, func() { args.Tail() }},
		{"name and tail in place", 1, func() { whole.CutName() }},
		{"quote", 0, func() { buffer = packet.AppendString(buffer[:0], "some text") }},
		{"reserved name", 0, func() { _ = packet.ReservedEvent("message") }},
	} {
		if got := testing.AllocsPerRun(100, c.f); got > c.max {
			t.Errorf("%s: %v allocations, want at most %v", c.name, got, c.max)
		}
	}
}

func decodeOne(t testing.TB, d *packet.Decoder, text []byte) {
	if _, done, err := d.Text(text); !done || err != nil {
		t.Fatal(done, err)
	}
}

func decodeMsgpack(t testing.TB, d *packet.Decoder, message []byte) {
	if _, done, err := d.Binary(message); !done || err != nil {
		t.Fatal(done, err)
	}
}

func mustMsgpack(t testing.TB, p *packet.Packet) []byte {
	message, err := packet.AppendMsgpack(nil, p)
	if err != nil {
		t.Fatal(err)
	}
	return message
}

func BenchmarkDecodeMsgpack(b *testing.B) {
	attachments := [][]byte{make([]byte, 100)}
	for _, c := range []struct {
		name string
		p    packet.Packet
	}{
		{"event", mustDecode(b, chatEvent)}, {"large", mustDecode(b, largeEvent)}, {"foreign", mustDecode(b, foreignEvent)},
		{"attachment", packet.Packet{Type: packet.Event, Data: []byte(`["e",` + ph0 + `]`), Attachments: attachments}},
	} {
		message := mustMsgpack(b, &c.p)
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(message)))
			b.ReportAllocs()
			d := packet.Decoder{Parser: packet.MsgpackParser}
			for b.Loop() {
				decodeMsgpack(b, &d, message)
			}
		})
	}
}

func BenchmarkEncodeMsgpack(b *testing.B) {
	p := mustDecode(b, "2/chat,17"+chatEvent[1:])
	buffer := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buffer, _ = packet.AppendMsgpack(buffer[:0], &p)
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range []struct{ name, text string }{
		{"event", chatEvent}, {"large", largeEvent}, {"foreign", foreignEvent},
	} {
		text := []byte(c.text)
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			var d packet.Decoder
			for b.Loop() {
				decodeOne(b, &d, text)
			}
		})
		b.Run(c.name+"/json.Valid", func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if !json.Valid(text[1:]) {
					b.Fatal("invalid")
				}
			}
		})
	}
}

func BenchmarkDecodeAttachment(b *testing.B) {
	text, attachment := []byte(`51-["e",`+ph0+`]`), make([]byte, 100)
	b.ReportAllocs()
	var d packet.Decoder
	for b.Loop() {
		if _, err := decodeAll(&d, text, attachment); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	p := mustDecode(b, "2/chat,17"+chatEvent[1:])
	buffer := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buffer = packet.AppendText(buffer[:0], &p)
	}
}

func BenchmarkSplit(b *testing.B) {
	p := mustDecode(b, chatEvent)
	elements := make([][]byte, 0, 8)
	b.ReportAllocs()
	for b.Loop() {
		elements = p.Args().Split(elements[:0])
	}
}

func BenchmarkMarshal(b *testing.B) {
	type message struct {
		Room string `json:"room"`
		Text string `json:"text"`
		Data []byte `json:"data"`
	}
	for _, c := range []struct {
		name string
		args []any
	}{
		{"plain", []any{"message", "hello", 1}},
		{"struct", []any{"message", message{Room: "a", Text: "b"}}},
		{"attachment", []any{"message", message{Room: "a", Text: "b", Data: []byte{1}}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := packet.Marshal(c.args...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkBuilder(b *testing.B) {
	p := mustDecode(b, chatEvent)
	second, _ := p.Args().At(1)
	b.ReportAllocs()
	for b.Loop() {
		var list packet.Builder
		list.Literal(`["message",`)
		list.Raw(second, nil)
		list.Literal(`]`)
		if _, err := list.Args(); err != nil {
			b.Fatal(err)
		}
	}
}
