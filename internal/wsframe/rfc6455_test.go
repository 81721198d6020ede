package wsframe

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

// unmasked is a client's frame whose mask is zeros; first is its first byte, and length how many bytes write its length
// behind the first, 0 for the fewest that do.
func unmasked(first byte, payload string, length int) string {
	head := []byte{first, 0x80 | byte(len(payload))}
	switch {
	case length == 8 || len(payload) > 0xffff:
		head = binary.BigEndian.AppendUint64([]byte{first, 0x80 | 127}, uint64(len(payload)))
	case length == 2 || len(payload) > 125:
		head = binary.BigEndian.AppendUint16([]byte{first, 0x80 | 126}, uint16(len(payload)))
	}
	return string(head) + "\x00\x00\x00\x00" + payload
}

func frame(first byte, payload string) string { return unmasked(first, payload, 0) }

func TestRFC6455_Close(t *testing.T) {
	closed := func(code uint16, reason string) string {
		return frame(0x88, string(binary.BigEndian.AppendUint16(nil, code))+reason)
	}
	const protocol, text, none = ProtocolError, NotUTF8, CloseCode(0)
	type ending struct {
		name string
		sent string
		err  error
	}
	endings := []ending{
		{"reserved bit 1 without an extension", frame(0xc1, "4x"), protocol},
		{"reserved bit 2", frame(0xa1, "4x"), protocol},
		{"reserved bit 3", frame(0x91, "4x"), protocol},
		{"reserved bit of a control frame", frame(0xc9, ""), protocol},
		{"reserved bit in mid-message", frame(0x01, "4") + frame(0xc0, "x"), protocol},
		{"no mask", "\x81\x024x", protocol},
		{"continuation of nothing", frame(0x80, "x"), protocol},
		{"continuation after the last fragment", frame(0x01, "4") + frame(0x80, "x") + frame(0x80, "y"), protocol},
		{"text within a message", frame(0x01, "4") + frame(0x81, "4x"), protocol},
		{"binary within a message", frame(0x02, "x") + frame(0x82, "y"), protocol},
		{"fragmented ping", frame(0x09, "x") + frame(0x80, "y"), protocol},
		{"fragmented Close", frame(0x08, "\x03\xe8"), protocol},
		{"ping of 126 bytes", frame(0x89, strings.Repeat("x", 126)), protocol},
		{"Close of 126 bytes", closed(1000, strings.Repeat("x", 124)), protocol},
		{"a length of 64 bits", "\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x004", protocol},
		{"overlong character", frame(0x81, "4\xc0\xaf"), text},
		{"surrogate", frame(0x81, "4\xed\xa0\x80"), text},
		{"beyond Unicode", frame(0x81, "4\xf4\x90\x80\x80"), text},
		{"half a character", frame(0x81, "4\xe2\x82"), text},
		{"half a character in the last fragment", frame(0x01, "4") + frame(0x80, "\xe2\x82"), text},
		{"characters of which only the parts are wrong", frame(0x01, "4\xe2\x82") + frame(0x80, "\xe2\x82"), text},
		{"Close", frame(0x88, ""), none},
		{"Close inside a message", frame(0x01, "4") + frame(0x88, ""), none},
		{"Close with one byte", frame(0x88, "\x03"), protocol},
		{"Close with a reason", closed(1000, strings.Repeat("é", 61)), CloseCode(1000)},
		{"Close with a reason that is not UTF-8", closed(1000, "\xce\xba\xe1"), text},
	}
	for _, code := range []uint16{0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		endings = append(endings, ending{"a code nobody may send", closed(code, ""), protocol})
	}
	for _, code := range []uint16{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		endings = append(endings, ending{"a code", closed(code, ""), CloseCode(code)})
	}
	for octet := byte(3); octet <= 7; octet++ {
		endings = append(endings,
			ending{"a reserved opcode", frame(0x80|octet, "4x"), protocol},
			ending{"a reserved control opcode", frame(0x80|octet+8, ""), protocol})
	}
	for _, c := range endings {
		messages, err := read(new(Reader), []byte(c.sent), len(c.sent))
		if !errors.Is(err, c.err) || len(messages) > 1 {
			t.Errorf("%s, %q: %v, want %v; messages %q", c.name, c.sent, err, c.err, messages)
		}
	}
}

func TestRFC6455_CloseFrames(t *testing.T) {
	for code, want := range map[CloseCode]string{0: "\x88\x00", 1001: "\x88\x02\x03\xe9", CloseCode(TooLarge): "\x88\x02\x03\xf1"} {
		if got := string(AppendClose(nil, code, "")); got != want {
			t.Errorf("%d: %q, want %q", code, got, want)
		}
	}
}

func TestRFC6455_Messages(t *testing.T) {
	const kappa = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"
	check := func(sent string, want ...string) {
		t.Helper()
		messages, err := read(new(Reader), []byte(sent), len(sent))
		if !slices.Equal(messages, want) || !errors.Is(err, io.EOF) {
			t.Errorf("%.40q: %d messages, %v, want %d", sent, len(messages), err, len(want))
		}
	}
	for _, size := range []int{0, 1, 124, 125, 126, 127, 128, 65534, 65535, 65536} {
		for _, length := range []int{0, 2, 8} { // RFC 6455 wants the fewest bytes; clients that take more are understood
			if size > 65535 && length == 2 {
				continue
			}
			payload := strings.Repeat("x", size)
			check(unmasked(0x82, payload, length), "2:"+payload)
			check(unmasked(0x81, payload, length), "1:"+payload)
		}
	}

	for cut := range kappa {
		check(frame(0x01, kappa[:cut])+frame(0x00, "")+frame(0x80, kappa[cut:]), "1:"+kappa)
	}
	var bytes strings.Builder
	bytes.WriteString(frame(0x01, ""))
	for i := range len(kappa) {
		bytes.WriteString(frame(0x00, kappa[i:i+1]))
	}
	check(bytes.String()+frame(0x80, ""), "1:"+kappa)
}

// Control frames pass the message they are sent within.
func TestRFC6455_ControlFramesWithinAMessage(t *testing.T) {
	var r Reader
	r.Feed([]byte(frame(0x01, "a") + frame(0x8a, "unasked") + frame(0x00, "b") + frame(0x89, strings.Repeat("p", 125)) + frame(0x80, "c")))
	for _, want := range []Message{{Pong, []byte("unasked")}, {Ping, []byte(strings.Repeat("p", 125))}, {Text, []byte("abc")}} {
		m, err := r.Next(testLimit)
		if err != nil || m.Opcode != want.Opcode || string(m.Data) != string(want.Data) {
			t.Errorf("%d %q, %v, want %d %q", m.Opcode, m.Data, err, want.Opcode, want.Data)
		}
	}
}
