// Package wire is as much of Socket.IO as the bare servers beside it need to be loaded by gateway bench: the packets of its four
// events, told apart by their first bytes. It trusts its input, and is no server for anybody else.
package wire

import "bytes"

// What a client hears when it connects. Nothing here is alive: there are no heartbeats and all ids are the same.
const (
	Open      = `0{"sid":"bare","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`
	Connected = `40{"sid":"bare"}`
)

// Kind tells packets apart.
type Kind byte

// The packets that gateway bench sends.
const (
	Other Kind = iota
	Connect
	Disconnect
	Join
	Echo
	Publish
	PublishAll
)

// Packet is a client's packet; its slices are parts of what was parsed.
type Packet struct {
	Kind Kind
	Ack  []byte // the digits of the acknowledgement's id
	Room []byte
	Body []byte // the last argument as JSON
}

var events = []struct {
	head string
	kind Kind
	room bool
}{
	{`["join",`, Join, true},
	{`["echo",`, Echo, false},
	{`["publish",`, Publish, true},
	{`["publishAll",`, PublishAll, false},
}

// Parse tells what p is.
func Parse(p []byte) Packet {
	switch {
	case bytes.HasPrefix(p, []byte("40")):
		return Packet{Kind: Connect}
	case bytes.HasPrefix(p, []byte("41")):
		return Packet{Kind: Disconnect}
	case !bytes.HasPrefix(p, []byte("42")):
		return Packet{}
	}
	start := bytes.IndexByte(p, '[')
	if start < 0 {
		return Packet{}
	}
	array := bytes.TrimSuffix(p[start:], []byte("]"))
	for _, e := range events {
		rest, found := bytes.CutPrefix(array, []byte(e.head))
		if !found {
			continue
		}
		packet := Packet{Kind: e.kind, Ack: p[2:start], Body: rest}
		if e.room {
			packet.Room, packet.Body, _ = bytes.Cut(rest, []byte(","))
		}
		return packet
	}
	return Packet{}
}

// Answer is the acknowledgement of p.
func (p Packet) Answer() []byte {
	body := p.Body
	if p.Kind == Join {
		body = []byte(`"ok"`)
	}
	return concat("43", p.Ack, "[", body, "]")
}

// Message is what the members hear of p.
func (p Packet) Message() []byte { return concat(`42["msg",`, nil, "", p.Body, "]") }

func concat(a string, b []byte, c string, d []byte, e string) []byte {
	out := make([]byte, 0, len(a)+len(b)+len(c)+len(d)+len(e))
	out = append(append(out, a...), b...)
	out = append(append(out, c...), d...)
	return append(out, e...)
}

// AppendFrame appends text as the unmasked WebSocket frame of a server.
func AppendFrame(dst, text []byte) []byte {
	if n := len(text); n < 126 {
		dst = append(dst, 0x81, byte(n))
	} else {
		dst = append(dst, 0x81, 126, byte(n>>8), byte(n)) // gateway bench sends less than 64 KiB
	}
	return append(dst, text...)
}

// Handshake is the answer to a WebSocket handshake, without the check of the key, which gateway bench does not make.
func Handshake() []byte {
	return []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n")
}
