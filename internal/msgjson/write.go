package msgjson

import (
	"encoding/binary"
	"math"
	"slices"
)

// AppendString appends s as a MessagePack string, which must be UTF-8.
func AppendString[T string | []byte](dst []byte, s T) []byte {
	return append(appendStringHeader(dst, len(s)), s...)
}

func appendStringHeader(dst []byte, n int) []byte {
	if n < 0x20 {
		return append(dst, 0xa0|byte(n))
	}
	return appendLength(dst, 0xd9, n)
}

// appendBinary appends b as a bin value.
func appendBinary(dst, b []byte) []byte { return append(appendLength(dst, 0xc4, len(b)), b...) }

// appendLength appends a header with a length of 1, 2 or 4 bytes, whose first byte is code, code+1 or code+2.
func appendLength(dst []byte, code byte, n int) []byte {
	switch {
	case n <= math.MaxUint8:
		return append(dst, code, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, code+1), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, code+2), uint32(n))
}

// AppendArray appends the header of an array of n values.
func AppendArray(dst []byte, n int) []byte {
	return setCount(append(dst, 0x90), len(dst), n, 0xdc)
}

// AppendMap appends the header of a map of n keys and values.
func AppendMap(dst []byte, n int) []byte {
	return setCount(append(dst, 0x80), len(dst), n, 0xde)
}

// setCount makes the empty array or map header at start one for n elements, moving what follows when it does not fit
// into the one byte. long is the first byte of the form with 16 bits; long+1 has 32.
func setCount(dst []byte, start, n int, long byte) []byte {
	switch {
	case n < 0x10:
		dst[start] |= byte(n)
		return dst
	case n <= math.MaxUint16:
		dst[start] = long
		return slices.Insert(dst, start+1, byte(n>>8), byte(n))
	}
	dst[start] = long + 1
	return slices.Insert(dst, start+1, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

// AppendBool appends a boolean.
func AppendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, 0xc3)
	}
	return append(dst, 0xc2)
}

// AppendUint appends n in its shortest form.
func AppendUint(dst []byte, n uint64) []byte {
	switch {
	case n < 0x80:
		return append(dst, byte(n))
	case n <= math.MaxUint8:
		return append(dst, 0xcc, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xcd), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, 0xce), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xcf), n)
}

// AppendInt appends n in its shortest form.
func AppendInt(dst []byte, n int64) []byte {
	switch {
	case n >= 0:
		return AppendUint(dst, uint64(n))
	case n >= -0x20:
		return append(dst, byte(n))
	case n >= math.MinInt8:
		return append(dst, 0xd0, byte(n))
	case n >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(dst, 0xd1), uint16(n))
	case n >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(dst, 0xd2), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xd3), uint64(n))
}

// appendNumber appends f: as an integer when it is one and 64 bits hold it, else as a 64-bit float.
func appendNumber(dst []byte, f float64) []byte {
	const limit = 1 << 63 // as a float: the first that an int64 does not hold; an uint64 holds up to twice that
	if f == math.Trunc(f) {
		switch {
		case f >= 0 && f < 2*limit:
			return AppendUint(dst, uint64(f))
		case f < 0 && f >= -limit:
			return AppendInt(dst, int64(f))
		}
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xcb), math.Float64bits(f))
}
