package engine_test

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/pkg/engine"
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

// raw6455 opens a session without a WebSocket library.
func (s *server) raw6455() (net.Conn, *client) {
	s.t.Helper()
	conn := s.raw("GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\nHost: x\nConnection: Upgrade\nUpgrade: websocket\n" +
		"Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n")
	readUntil(s.t, conn, `"maxPayload":1000000}`)
	return conn, <-s.opened
}

func TestRFC6455_Close(t *testing.T) {
	closed := func(code uint16, reason string) string {
		return frame(0x88, string(binary.BigEndian.AppendUint16(nil, code))+reason)
	}
	answer := func(code uint16) string {
		return string(binary.BigEndian.AppendUint16([]byte{0x88, 2}, code))
	}
	const protocol, text, none = 1002, 1007, 0
	type ending struct {
		name string
		sent string
		code uint16
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
		{"Close with a reason", closed(1000, strings.Repeat("é", 61)), 1000},
		{"Close with a reason that is not UTF-8", closed(1000, "\xce\xba\xe1"), text},
	}
	for _, code := range []uint16{0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		endings = append(endings, ending{"a code nobody may send", closed(code, ""), protocol})
	}
	for _, code := range []uint16{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		endings = append(endings, ending{"a code", closed(code, ""), code})
	}
	for octet := byte(3); octet <= 7; octet++ {
		endings = append(endings,
			ending{"a reserved opcode", frame(0x80|octet, "4x"), protocol},
			ending{"a reserved control opcode", frame(0x80|octet+8, ""), protocol})
	}
	s := start(t, engine.Config{})
	for _, c := range endings {
		conn, client := s.raw6455()
		write(t, conn, c.sent)
		want := answer(c.code)
		if c.code == none {
			want = "\x88\x00"
		}
		if got := readAll(t, conn); got != want {
			t.Fatalf("%s, %q: answered %q, want %q", c.name, c.sent, got, want)
		}
		<-client.closed
		if len(client.messages) > 1 {
			t.Errorf("%s, %q: %d messages", c.name, c.sent, len(client.messages))
		}
		conn.Close()
	}
}

func TestRFC6455_Messages(t *testing.T) {
	const kappa = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"
	s := start(t, engine.Config{})
	conn, client := s.raw6455()
	send := func(data string) {
		t.Helper()
		write(t, conn, data)
	}
	for _, size := range []int{0, 1, 124, 125, 126, 127, 128, 65534, 65535, 65536} {
		for _, length := range []int{0, 2, 8} { // RFC 6455 wants the fewest bytes; clients that take more are understood
			if size >= 65535 && length == 2 {
				continue
			}
			payload := strings.Repeat("x", size)
			send(unmasked(0x82, payload, length))
			s.wantMessage(client, payload, true)
			send(unmasked(0x81, "4"+payload, length))
			s.wantMessage(client, payload, false)
		}
	}

	whole := "4" + kappa
	for cut := range whole {
		send(frame(0x01, whole[:cut]) + frame(0x00, "") + frame(0x80, whole[cut:]))
		s.wantMessage(client, kappa, false)
	}
	var bytes strings.Builder
	bytes.WriteString(frame(0x01, ""))
	for i := range len(whole) {
		bytes.WriteString(frame(0x00, whole[i:i+1]))
	}
	send(bytes.String() + frame(0x80, ""))
	s.wantMessage(client, kappa, false)

	// Control frames pass the message they are sent within; of pings that come together the last may answer for all.
	send(frame(0x01, "4a") + frame(0x8a, "unasked") + frame(0x00, "b") + frame(0x89, strings.Repeat("p", 125)))
	pong := make([]byte, 2+125)
	if _, err := io.ReadFull(conn, pong); err != nil || string(pong) != "\x8a\x7d"+strings.Repeat("p", 125) {
		t.Errorf("answered %q, %v", pong, err)
	}
	if len(client.messages) > 0 {
		t.Error("delivered before its end")
	}
	send(frame(0x80, "c"))
	s.wantMessage(client, "abc", false)
}
