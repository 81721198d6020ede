package msgjson

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendQuoted appends s as a JSON string, spelled as JSON.stringify spells it; invalid UTF-8 becomes U+FFFD.
func AppendQuoted(dst, s []byte) []byte {
	done, n := 0, plainLength(s)
	if n == len(s) {
		at := len(dst)
		dst = slices.Grow(dst, len(s)+2)[:at+len(s)+2]
		dst[at], dst[len(dst)-1] = '"', '"'
		copy(dst[at+1:], s)
		return dst
	}
	dst = append(dst, '"')
	for n < len(s) {
		c, size := utf8.DecodeRune(s[n:])
		if size > 1 {
			n += size
			if n < len(s) && s[n] < utf8.RuneSelf {
				n += plainLength(s[n:])
			}
			continue
		}
		dst = append(dst, s[done:n]...)
		if c == utf8.RuneError {
			dst = utf8.AppendRune(dst, c)
		} else {
			dst = appendEscaped(dst, s[n])
		}
		n++
		done = n
		n += plainLength(s[n:])
	}
	dst = append(dst, s[done:]...)
	return append(dst, '"')
}

func appendEscaped(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\t':
		return append(dst, '\\', 't')
	case '\n':
		return append(dst, '\\', 'n')
	case '\f':
		return append(dst, '\\', 'f')
	case '\r':
		return append(dst, '\\', 'r')
	}
	const digits = "0123456789abcdef"
	return append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&0x0f])
}

// plainLength is how much of s can stand in a JSON string as it is: printable ASCII but the quote and the backslash.
func plainLength(s []byte) int {
	i := 0
	for ; i+8 <= len(s) && plainWord(binary.LittleEndian.Uint64(s[i:])); i += 8 {
	}
	if n := len(s); n >= 8 && i+8 > n && plainWord(binary.LittleEndian.Uint64(s[n-8:])) {
		return n // the last word, which overlaps the one before it
	}
	for i < len(s) && plainByte[s[i]] {
		i++
	}
	return i
}

// plainWord reports whether eight bytes can stand as they are. After a subtraction the top bit of a byte is set where the
// byte was too small, and a borrow into its neighbour can only come from such a byte.
func plainWord(w uint64) bool {
	const ones = 0x0101010101010101
	return (w|(w-ones*' ')|((w^ones*'"')-ones)|((w^ones*'\\')-ones))&(ones<<7) == 0
}

// plainByte is whether a byte can stand as it is.
var plainByte = func() (plain [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		plain[c] = c != '"' && c != '\\'
	}
	return plain
}()

// appendScalar appends what String() makes of a value that is no object. ok is false for the other kinds.
func appendScalar(dst []byte, kind Kind, bits uint64, body []byte) (out []byte, ok bool) {
	switch kind {
	case Uint:
		return strconv.AppendUint(dst, bits, 10), true
	case Int:
		return strconv.AppendInt(dst, int64(bits), 10), true
	case Bool:
		return strconv.AppendBool(dst, bits != 0), true
	case Float:
		return appendFloat(dst, bits, ""), true
	case Nil:
		return append(dst, "null"...), true
	case Undefined:
		return append(dst, "undefined"...), true
	case String, Binary:
		return appendText(dst, body), true
	}
	return dst, false
}

// appendText appends s with U+FFFD for what is not UTF-8.
func appendText(dst, s []byte) []byte {
	if utf8.Valid(s) {
		return append(dst, s...)
	}
	for len(s) > 0 {
		c, size := utf8.DecodeRune(s)
		dst, s = utf8.AppendRune(dst, c), s[size:]
	}
	return dst
}

// appendFloat appends a number as JavaScript prints it; odd, when not empty, stands for NaN and the infinities.
func appendFloat(dst []byte, bits uint64, odd string) []byte {
	f := math.Float64frombits(bits)
	abs := math.Abs(f)
	switch {
	case abs == 0:
		return append(dst, '0')
	case abs <= math.MaxFloat64 && abs >= 1e-6 && abs < 1e21:
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	case abs <= math.MaxFloat64:
		dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
		if n := len(dst); dst[n-4] == 'e' && dst[n-2] == '0' { // e-07 is written e-7
			dst[n-2] = dst[n-1]
			dst = dst[:n-1]
		}
		return dst
	case odd != "":
		return append(dst, odd...)
	case f > 0:
		return append(dst, "Infinity"...)
	case f < 0:
		return append(dst, "-Infinity"...)
	}
	return append(dst, "NaN"...)
}

// appendDate appends what JSON.stringify makes of a Date: null outside of the 100 million days on either side of 1970
// that it covers, six digits and a sign for years that four do not hold.
func appendDate(dst []byte, bits uint64) []byte {
	const furthest = 8.64e15
	ms := math.Float64frombits(bits)
	if !(math.Abs(ms) <= furthest) {
		return append(dst, "null"...)
	}
	t := time.UnixMilli(int64(ms)).UTC()
	dst = append(dst, '"')
	switch year := t.Year(); {
	case year < 0:
		dst = appendDigits(append(dst, '-'), -year, 100_000)
	case year > 9999:
		dst = appendDigits(append(dst, '+'), year, 100_000)
	default:
		dst = appendDigits(dst, year, 1000)
	}
	return t.AppendFormat(dst, `-01-02T15:04:05.000Z"`)
}

// appendDigits appends all digits of n from the one that counts units on.
func appendDigits(dst []byte, n, units int) []byte {
	for ; units > 0; units /= 10 {
		dst = append(dst, '0'+byte(n/units%10))
	}
	return dst
}
