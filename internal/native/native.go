package native

import (
	"bytes"
	"encoding/base64"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Protocol is how a client speaks.
type Protocol uint8

// The protocols.
const (
	Plain  Protocol = iota // WebSocket without subprotocol
	JSON                   // WebSocket with Subprotocol
	Events                 // Server-Sent Events: nothing comes from the client
	protocols
)

// Subprotocol is the name of JSON in a WebSocket handshake.
const Subprotocol = "carillon.v1.json"

// Acknowledges reports whether clients can acknowledge events and have theirs acknowledged.
func (p Protocol) Acknowledges() bool { return p == JSON }

// message is the one event that Plain needs no name for.
const message = "message"

// bytesName is the member that bytes are the value of, as a literal.
const bytesName = `"$bytes"`

// appendBytes appends the object that stands for bytes.
func appendBytes(dst, data []byte) []byte {
	dst = append(dst, '{')
	dst = append(dst, bytesName...)
	dst = append(dst, `:"`...)
	dst = base64.StdEncoding.AppendEncode(dst, data)
	return append(dst, `"}`...)
}

// appendInline appends a list with its attachments in their places.
func appendInline(dst []byte, list packet.Args) []byte {
	text := list.JSON
	if len(text) == 0 {
		return append(dst, "[]"...)
	}
	if len(list.Attachments) == 0 {
		return append(dst, text...)
	}
	for {
		start := bytes.Index(text, placeholder)
		if start < 0 {
			return append(dst, text...)
		}
		dst = append(dst, text[:start]...)
		num, rest, ok := packet.CutPlaceholder(text[start:])
		if !ok || num >= len(list.Attachments) {
			dst = append(dst, text[start])
			text = text[start+1:]
			continue
		}
		dst = appendBytes(dst, list.Attachments[num])
		text = rest
	}
}

// placeholder is how each placeholder begins in a list that has attachments; the bytes occur nowhere else in one.
var placeholder = []byte(`{"_placeholder":true`)
