package eioproto

import (
	"bytes"
	"math"
	"strconv"
	"unicode/utf8"
)

// Form is how a payload holds several packets.
type Form uint8

const (
	Separated Form = iota // revision 4: text packets with a separator between them
	Lengths               // revision 3: <length>:<packet>, length in UTF-16 units
	Octets                // revision 3, binary: a kind byte, the length's decimal digits one per byte as values, 0xff, and that many bytes
)

// separator stands between the packets of a revision 4 payload.
const separator = 0x1e

const (
	octetText   = 0
	octetBinary = 1
	octetEnd    = 0xff
	// maxDigits is what the reference allows a length to have.
	maxDigits = 310
)

// AppendLead appends what a payload has before its packet at index i.
func (f Form) AppendLead(dst []byte, i int, packet []byte, binary bool) []byte {
	switch f {
	case Lengths:
		return append(strconv.AppendInt(dst, int64(utf16Length(packet)), 10), ':')
	case Octets:
		kind := byte(octetText)
		if binary {
			kind = octetBinary
		}
		dst = append(dst, kind)
		from := len(dst)
		dst = strconv.AppendInt(dst, int64(len(packet)), 10)
		for i := range dst[from:] {
			dst[from+i] -= '0'
		}
		return append(dst, octetEnd)
	}
	if i > 0 {
		dst = append(dst, separator)
	}
	return dst
}

// Decode hands the packets of a POST body to receive, in order, until one is malformed or receive returns false. octets
// says that the body came as octets, which only revision 3 knows. It may change body.
func (r Revision) Decode(body []byte, octets bool, receive func(Packet) bool) error {
	if octets {
		return decodeOctets(body, receive)
	}
	if !utf8.Valid(body) {
		body = bytes.ToValidUTF8(body, []byte("\uFFFD"))
	}
	if r == 3 {
		return decodeLengths(body, receive)
	}
	for {
		part, rest, more := bytes.Cut(body, []byte{separator})
		p, err := r.DecodeText(part)
		if err != nil {
			return err
		}
		if !receive(p) || !more {
			return nil
		}
		body = rest
	}
}

func decodeLengths(body []byte, receive func(Packet) bool) error {
	if len(body) == 0 {
		return ErrMalformed
	}
	for len(body) > 0 {
		digits, rest, found := bytes.Cut(body, []byte{':'})
		if !found {
			return ErrMalformed
		}
		units, err := textLength(digits)
		if err != nil {
			return err
		}
		n, ok := utf16Prefix(rest, units)
		if !ok {
			return ErrMalformed
		}
		body = rest[n:]
		if n == 0 {
			continue
		}
		p, err := Revision(3).DecodeText(rest[:n])
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
func decodeOctets(body []byte, receive func(Packet) bool) error {
	for len(body) > 0 {
		kind := body[0]
		end := bytes.IndexByte(body[1:], octetEnd)
		if kind > octetBinary || end < 0 || end > maxDigits {
			return ErrMalformed
		}
		n, err := octetLength(body[1 : 1+end])
		if err != nil {
			return err
		}
		body = body[2+end:]
		n = min(n, len(body))
		data := body[:n]
		body = body[n:]

		var p Packet
		if kind == octetText {
			if !utf8.Valid(data) {
				data = bytes.ToValidUTF8(data, []byte("\uFFFD"))
			}
			if p, err = Revision(3).DecodeText(data); err != nil {
				return err
			}
		} else if n == 0 {
			return ErrMalformed
		} else {
			var known bool
			if p, known = Revision(3).DecodeBinary(data); !known {
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
		return 0, ErrMalformed
	}
	n, err := strconv.ParseFloat(string(text), 64)
	if err != nil || n != math.Trunc(n) || n > math.MaxInt32 {
		return 0, ErrMalformed
	}
	return int(n), nil
}

// octetLength reads digit values. What exceeds any body is cut to the body by the caller.
func octetLength(digits []byte) (int, error) {
	if len(digits) == 0 {
		return 0, ErrMalformed
	}
	const enough = 1 << 40
	n := 0
	for _, d := range digits {
		if d > 9 {
			return 0, ErrMalformed
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
