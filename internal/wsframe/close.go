package wsframe

import (
	"encoding/binary"
	"unicode/utf8"
)

// CloseCode is the code of a Close frame, 0 for one without. As an error it means that the peer has sent that frame.
type CloseCode uint16

// GoingAway is the code of a server that shuts down.
const GoingAway CloseCode = 1001

func (CloseCode) Error() string { return "the peer has closed the WebSocket" }

// Violation is what the protocol or a limit forbids. Its number is the code of the Close frame that answers it.
type Violation uint16

const (
	ProtocolError Violation = 1002
	NotUTF8       Violation = 1007
	TooMany       Violation = 1008
	TooLarge      Violation = 1009
)

func (v Violation) Error() string {
	switch v {
	case NotUTF8:
		return "text on the WebSocket is not UTF-8"
	case TooMany:
		return "the WebSocket message has too many fragments"
	case TooLarge:
		return "the WebSocket message exceeds the limit"
	}
	return "malformed WebSocket frame"
}

// ParseClose reads the payload of a Close frame. The error is a Violation.
func ParseClose(payload []byte) (CloseCode, error) {
	switch {
	case len(payload) == 0:
		return 0, nil
	case len(payload) == 1:
		return 0, ProtocolError
	}
	code := CloseCode(binary.BigEndian.Uint16(payload))
	switch {
	case code < 1000, code >= 1004 && code <= 1006, code > 1014 && code < 3000, code > 4999:
		return 0, ProtocolError
	case !utf8.Valid(payload[2:]):
		return 0, NotUTF8
	}
	return code, nil
}

// AppendClose appends a Close frame. It has no payload when code is 0. Of text at most 123 bytes have room.
func AppendClose(dst []byte, code CloseCode, text string) []byte {
	if code == 0 {
		return append(dst, Final|Close, 0)
	}
	const room = MaxControl - 2
	for len(text) > room {
		_, last := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-last]
	}
	dst = append(dst, Final|Close, byte(2+len(text)))
	return append(binary.BigEndian.AppendUint16(dst, uint16(code)), text...)
}
