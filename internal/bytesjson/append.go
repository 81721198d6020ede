package bytesjson

import (
	"bytes"
	"encoding/base64"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// member is the name of the one member of an object that stands for bytes.
const member = "$bytes"

// placeholder is how a placeholder begins in a list with attachments, and nothing else does.
var placeholder = []byte(`{"_placeholder":true`)

// Append appends a list to dst.
func Append(dst []byte, args packet.Args) []byte {
	if len(args.JSON) == 0 {
		return append(dst, "[]"...)
	}
	return AppendValue(dst, args.JSON, args.Attachments)
}

// AppendValue appends the text of a value of a list that has these attachments.
func AppendValue(dst, text []byte, attachments [][]byte) []byte {
	for len(attachments) > 0 {
		start := bytes.Index(text, placeholder)
		if start < 0 {
			break
		}
		dst = append(dst, text[:start]...)
		num, rest, ok := packet.CutPlaceholder(text[start:])
		if !ok || num >= len(attachments) {
			dst = append(dst, text[start])
			text = text[start+1:]
			continue
		}
		dst = append(dst, `{"`+member+`":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, attachments[num])
		dst = append(dst, `"}`...)
		text = rest
	}
	return append(dst, text...)
}
