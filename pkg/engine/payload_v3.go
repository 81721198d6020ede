package engine

import (
	"bytes"
	"math"
	"strconv"
	"unicode/utf8"
)

// The two payloads of protocol revision 3: text as <length>:<packet>, length in UTF-16 units, and octets as a kind
// byte, the length's decimal digits one per byte as values, 0xff, and that many bytes.

const (
	octetText   = 0
	octetBinary = 1
	octetEnd    = 0xff
	// maxDigits is what the reference allows a length to have.
	maxDigits = 310
)

func (c *codec) encodeLengths(batch []*Frame, emit func([]byte)) {
	var prefix [24]byte
	for _, f := range batch {
		text := c.textPacket(f)
		emit(append(strconv.AppendInt(prefix[:0], int64(utf16Length(text)), 10), ':'))
		emit(text)
	}
}

func encodeOctets(batch []*Frame, emit func([]byte)) {
	var head [24]byte
	for _, f := range batch {
		kind, data := byte(octetText), f.wire.packet()
		if f.binary {
			kind, data = octetBinary, f.form(formTyped).packet()
		}
		h := strconv.AppendInt(append(head[:0], kind), int64(len(data)), 10)
		for i := range h[1:] {
			h[1+i] -= '0'
		}
		emit(append(h, octetEnd))
		emit(data)
	}
}

func decodeLengths(body []byte, receive func(packet) bool) error {
	c := codec{revision: 3}
	if len(body) == 0 {
		return errMalformed
	}
	for len(body) > 0 {
		digits, rest, found := bytes.Cut(body, []byte{':'})
		if !found {
			return errMalformed
		}
		units, err := textLength(digits)
		if err != nil {
			return err
		}
		n, ok := utf16Prefix(rest, units)
		if !ok {
			return errMalformed
		}
		body = rest[n:]
		if n == 0 {
			continue
		}
		p, err := c.decodeText(rest[:n])
		if err != nil {
			return err
		}
		if !receive(p) {
			return nil
		}
	}
	return nil
}

// decodeOctets takes a packet cut off by the end of the body as it is.
func decodeOctets(body []byte, receive func(packet) bool) error {
	c := codec{revision: 3}
	for len(body) > 0 {
		kind := body[0]
		end := bytes.IndexByte(body[1:], octetEnd)
		if kind > octetBinary || end < 0 || end > maxDigits {
			return errMalformed
		}
		n, err := octetLength(body[1 : 1+end])
		if err != nil {
			return err
		}
		body = body[2+end:]
		n = min(n, len(body))
		data := body[:n]
		body = body[n:]

		var p packet
		if kind == octetText {
			if !utf8.Valid(data) {
				data = bytes.ToValidUTF8(data, []byte("\uFFFD"))
			}
			if p, err = c.decodeText(data); err != nil {
				return err
			}
		} else if n == 0 {
			return errMalformed
		} else {
			var known bool
			if p, known = c.decodeBinary(data); !known {
				continue
			}
		}
		if !receive(p) {
			return nil
		}
	}
	return nil
}

// textLength reads a length as the reference does, by its numeric value: 1.0 is one, too.
func textLength(text []byte) (int, error) {
	if n, err := strconv.ParseUint(string(text), 10, 31); err == nil {
		return int(n), nil
	}
	if len(text) > maxDigits || len(bytes.Trim(text, "0123456789.eE+")) > 0 {
		return 0, errMalformed
	}
	n, err := strconv.ParseFloat(string(text), 64)
	if err != nil || n != math.Trunc(n) || n > math.MaxInt32 {
		return 0, errMalformed
	}
	return int(n), nil
}

// octetLength reads digit values. What exceeds any body is cut to the body by the caller.
func octetLength(digits []byte) (int, error) {
	if len(digits) == 0 {
		return 0, errMalformed
	}
	const enough = 1 << 40
	n := 0
	for _, d := range digits {
		if d > 9 {
			return 0, errMalformed
		}
		n = min(n*10+int(d), enough)
	}
	return n, nil
}

// utf16Length counts the UTF-16 code units of a UTF-8 text.
func utf16Length(text []byte) int {
	units := 0
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		i += size
		units += utf16Units(r)
	}
	return units
}

// utf16Prefix tells how many bytes hold the first units code units; not ok when there are not that many, or when the
// last one would be half a character.
func utf16Prefix(text []byte, units int) (n int, ok bool) {
	for units > 0 && n < len(text) {
		r, size := utf8.DecodeRune(text[n:])
		n += size
		units -= utf16Units(r)
	}
	return n, units == 0
}

func utf16Units(r rune) int {
	if r > 0xffff {
		return 2
	}
	return 1
}
