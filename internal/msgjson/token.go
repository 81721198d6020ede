package msgjson

import (
	"encoding/binary"
	"math"
)

// extra is how many bytes of value or length follow the first bytes 0xc0 to 0xdf; those of bin, ext and str bodies, of
// a fixext and of an ext's type come on top.
var extra = [0x20]uint8{
	0x04: 1, 2, 4, // bin
	0x07: 1, 2, 4, // ext
	0x0a: 4, 8, // float
	0x0c: 1, 2, 4, 8, // uint
	0x10: 1, 2, 4, 8, // int
	0x19: 1, 2, 4, // str
	0x1c: 2, 4, // array
	0x1e: 2, 4, // map
}

// next reads a scalar, or the header of an array or map. bits holds the number (for Date the milliseconds) as 64 bits
// of its kind, the count of an array or map, or the type of an extension; body what a string, bin or extension holds.
func (r *Reader) next() (kind Kind, bits uint64, body []byte, err error) {
	if r.at >= len(r.src) {
		return None, 0, nil, errTruncated
	}
	first := r.src[r.at]
	switch {
	case first < 0x80:
		r.at++
		return Uint, uint64(first), nil, nil
	case first < 0x90:
		r.at++
		return r.container(Map, uint64(first&0x0f))
	case first < 0xa0:
		r.at++
		return r.container(Array, uint64(first&0x0f))
	case first < 0xc0:
		r.at++
		return r.body(String, uint64(first&0x1f))
	case first >= 0xe0:
		r.at++
		return Int, uint64(int8(first)), nil, nil
	}
	width := int(extra[first-0xc0])
	if len(r.src)-r.at <= width {
		return None, 0, nil, errTruncated
	}
	number := bigEndian(r.src[r.at+1 : r.at+1+width])
	if first == 0xc1 {
		return None, 0, nil, errByte
	}
	r.at += 1 + width
	switch first {
	case 0xc0:
		return Nil, 0, nil, nil
	case 0xc2, 0xc3:
		return Bool, uint64(first & 1), nil, nil
	case 0xc4, 0xc5, 0xc6:
		return r.body(Binary, number)
	case 0xc7, 0xc8, 0xc9:
		return r.extension(number, false)
	case 0xca:
		return Float, math.Float64bits(float64(math.Float32frombits(uint32(number)))), nil, nil
	case 0xcb:
		return Float, number, nil, nil
	case 0xcc, 0xcd, 0xce, 0xcf:
		return Uint, number, nil, nil
	case 0xd0, 0xd1, 0xd2, 0xd3:
		unused := 64 - 8*width
		signed := int64(number<<unused) >> unused
		if signed >= 0 {
			return Uint, number, nil, nil
		}
		return Int, uint64(signed), nil, nil
	case 0xd9, 0xda, 0xdb:
		return r.body(String, number)
	case 0xdc, 0xdd:
		return r.container(Array, number)
	case 0xde, 0xdf:
		return r.container(Map, number)
	default: // 0xd4 to 0xd8
		return r.extension(1<<(first-0xd4), true)
	}
}

// short reads a string whose header has one byte or two, as nearly all have; for anything else ok is false, and nothing has
// been read.
func (r *Reader) short() (body []byte, ok bool) {
	src := r.src[r.at:]
	if len(src) == 0 {
		return nil, false
	}
	head, n := 1, int(src[0]^0xa0) // below 0x20 for 0xa0 to 0xbf
	if n >= 0x20 {
		if src[0] != 0xd9 || len(src) == 1 {
			return nil, false
		}
		head, n = 2, int(src[1])
	}
	if len(src)-head < n {
		return nil, false
	}
	r.at += head + n
	return src[head : head+n : head+n], true
}

func (r *Reader) container(kind Kind, n uint64) (Kind, uint64, []byte, error) {
	left := uint64(len(r.src) - r.at)
	if kind == Map {
		left /= 2
	}
	if n > left {
		return None, 0, nil, errTruncated
	}
	return kind, n, nil, nil
}

func (r *Reader) body(kind Kind, length uint64) (Kind, uint64, []byte, error) {
	if length > uint64(len(r.src)-r.at) {
		return None, 0, nil, errTruncated
	}
	end := r.at + int(length)
	body := r.src[r.at:end:end]
	r.at = end
	return kind, 0, body, nil
}

// extension tells the extensions that have a meaning from those that have not. Type 0 is notepack's own: undefined in
// one byte, a date in eight, an ArrayBuffer when the length is spelled out.
func (r *Reader) extension(length uint64, fixed bool) (Kind, uint64, []byte, error) {
	if length >= uint64(len(r.src)-r.at) {
		return None, 0, nil, errTruncated
	}
	code := int8(r.src[r.at])
	r.at++
	_, _, body, err := r.body(Extension, length)
	switch {
	case err != nil:
		return None, 0, nil, err
	case code == 0 && !fixed:
		return Binary, 0, body, nil
	case code == 0 && length == 1:
		return Undefined, 0, nil, nil
	case code == 0 && length == 8:
		return Date, math.Float64bits(float64(int64(binary.BigEndian.Uint64(body)))), nil, nil
	case code == -1 && length == 4:
		return Date, math.Float64bits(1e3 * float64(binary.BigEndian.Uint32(body))), nil, nil
	case code == -1 && length == 8:
		const secondsBits = 34
		both := binary.BigEndian.Uint64(body)
		return Date, instant(int64(both&(1<<secondsBits-1)), both>>secondsBits), nil, nil
	case code == -1 && length == 12:
		return Date, instant(int64(binary.BigEndian.Uint64(body[4:])), uint64(binary.BigEndian.Uint32(body))), nil,
			nil
	}
	return Extension, uint64(code), body, nil
}

// instant is JavaScript's time value, milliseconds as a float, of seconds and nanoseconds.
func instant(seconds int64, nanoseconds uint64) uint64 {
	return math.Float64bits(float64(seconds)*1e3 + float64(nanoseconds)/1e6)
}

func bigEndian(b []byte) uint64 {
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.BigEndian.Uint16(b))
	case 4:
		return uint64(binary.BigEndian.Uint32(b))
	case 8:
		return binary.BigEndian.Uint64(b)
	}
	return 0
}
