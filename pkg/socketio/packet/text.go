package packet

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// ReservedEvent reports whether name must not be used for an event, in either direction: it has a meaning of its own to
// clients or servers.
func ReservedEvent(name string) bool {
	switch name {
	case "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener":
		return true
	}
	return false
}

// reservedLiteral is ReservedEvent for a name in its JSON spelling.
func reservedLiteral(literal []byte) bool {
	if bytes.IndexByte(literal, '\\') >= 0 {
		return ReservedEvent(unquote(literal))
	}
	return ReservedEvent(string(literal[1 : len(literal)-1])) // no allocation: the string does not escape
}

// AppendString appends s as a JSON string literal, escaped no further than needed, as JSON.stringify writes it. Invalid
// UTF-8 becomes U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s) // the error tells of what was replaced
	return dst
}
