package native

import (
	"strconv"

	"github.com/carillon-io/carillon/internal/bytesjson"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Append appends the message that a packet is to clients of a protocol, and says whether it is a binary one. ok is false where
// there is none: Plain and Events have no acknowledgements and no answer to a CONNECT, and no protocol has refusals or
// disconnects, which close the connection (see AppendError).
func Append(dst []byte, protocol Protocol, p *packet.Packet) (out []byte, binary, ok bool) {
	switch {
	case p.Type == packet.Event && protocol == Plain:
		out, binary = appendPlain(dst, p.Args())
		return out, binary, true
	case p.Type == packet.Event && protocol == Events:
		return appendStream(dst, p.Args()), false, true
	case protocol != JSON:
		return dst, false, false
	case p.Type == packet.Event:
		return appendEvent(dst, p), false, true
	case p.Type == packet.Ack:
		dst = strconv.AppendUint(append(dst, `{"ack":`...), p.ID, 10)
		dst = bytesjson.Append(append(dst, `,"args":`...), p.Args())
		return append(dst, '}'), false, true
	case p.Type == packet.Connect && len(p.Data) > 1:
		dst = append(dst, `{"hello":`...)
		dst = append(dst, p.Data[:len(p.Data)-1]...) // {"sid":"…"
		dst = packet.AppendString(append(dst, `,"namespace":`...), p.Namespace)
		return append(dst, "}}"...), false, true
	}
	return dst, false, false
}

// appendPlain appends the text or the bytes of a message with one such argument, and any other event as its list.
func appendPlain(dst []byte, list packet.Args) (out []byte, binary bool) {
	name, _ := list.Name()
	if name == message && list.Len() == 2 {
		argument, _ := list.At(1)
		if argument[0] == '"' {
			text, _ := packet.Args{JSON: append(append([]byte{'['}, argument...), ']')}.Name()
			return append(dst, text...), false
		}
		if num, rest, ok := packet.CutPlaceholder(argument); ok && len(rest) == 0 && num < len(list.Attachments) {
			return append(dst, list.Attachments[num]...), true
		}
	}
	return bytesjson.Append(dst, list), false
}

// appendEvent appends {"event":…,"args":[…]}, with the id where an acknowledgement is wanted.
func appendEvent(dst []byte, p *packet.Packet) []byte {
	name, _ := p.Args().Name()
	dst = packet.AppendString(append(dst, `{"event":`...), name)
	dst = append(dst, `,"args":`...)
	dst = bytesjson.Append(dst, p.Args().Tail())
	if p.HasID {
		dst = strconv.AppendUint(append(dst, `,"id":`...), p.ID, 10)
	}
	return append(dst, '}')
}

// appendStream appends an event of an event stream. Neither the name nor the data may break a line: JSON has line breaks only
// between its tokens, and those of a name become spaces.
func appendStream(dst []byte, list packet.Args) []byte {
	name, _ := list.Name()
	dst = append(dst, "event: "...)
	dst = appendLine(dst, []byte(name))
	dst = append(dst, "\ndata: "...)
	dst = appendLine(dst, bytesjson.Append(nil, list.Tail()))
	return append(dst, "\n\n"...)
}

// appendLine appends text with spaces for line breaks.
func appendLine(dst, text []byte) []byte {
	start := len(dst)
	dst = append(dst, text...)
	for i := start; i < len(dst); i++ {
		if dst[i] == '\n' || dst[i] == '\r' {
			dst[i] = ' '
		}
	}
	return dst
}

// AppendID appends the line of an event's id, which goes before the event's own lines. With an empty line behind it alone it is
// no event, and readers remember it all the same.
func AppendID(dst []byte, pid, offset string) []byte {
	dst = append(append(dst, "id: "...), pid...)
	return append(append(append(dst, '.'), offset...), '\n')
}

// AppendComment appends a line that readers of an event stream pass over.
func AppendComment(dst []byte, text string) []byte {
	return append(appendLine(append(dst, ": "...), []byte(text)), "\n\n"...)
}

// AppendError appends the last message before a connection is closed, which says why; ok is false where the protocol has none.
func AppendError(dst []byte, protocol Protocol, code, message string) (out []byte, ok bool) {
	switch protocol {
	case JSON:
		dst = packet.AppendString(append(dst, `{"error":{"code":`...), code)
		dst = packet.AppendString(append(dst, `,"message":`...), message)
		return append(dst, "}}"...), true
	case Events:
		return AppendComment(dst, code+": "+message), true
	}
	return dst, false
}
