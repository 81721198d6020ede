package packet

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// validate checks that text is one JSON value in valid UTF-8, with no more than maxDepth arrays and objects in each
// other and no space before it, and returns where the value ends and only space follows. This is the hot path of every
// packet that comes in, hence the string scan by words.
func validate(text []byte, maxDepth int) (end int, err error) {
	v := validator{text: text, maxDepth: maxDepth}
	return v.all()
}

// validateForeign is validate for text of clients, and reports whether normalize has something to change in it.
func validateForeign(text []byte, maxDepth int) (end int, rewrite bool, err error) {
	v := validator{text: text, maxDepth: maxDepth, unique: true}
	end, err = v.all()
	return end, v.rewrite, err
}

// validator's methods check what begins at index i and return the index behind it, or -1.
type validator struct {
	text     []byte
	maxDepth int
	tooDeep  bool

	unique  bool // look for what normalize changes
	names   nameStack
	rewrite bool // there is something that normalize changes, or a collision of hashes
}

func (v *validator) all() (end int, err error) {
	end = v.value(0, 0)
	switch {
	case v.tooDeep:
		return 0, errDepth
	case end < 0 || skipSpace(v.text, end) < len(v.text):
		return 0, errJSON
	}
	return end, nil
}

func (v *validator) value(i, depth int) int {
	if i >= len(v.text) {
		return -1
	}
	switch c := v.text[i]; {
	case c == '"':
		return v.str(i + 1)
	case c == '{' || c == '[':
		if depth == v.maxDepth {
			v.tooDeep = true
			return -1
		}
		if c == '{' {
			return v.object(i+1, depth+1)
		}
		return v.array(i+1, depth+1)
	case c == '-' || isDigit(c):
		return v.number(i)
	case c == 't':
		return v.literal(i, "true")
	case c == 'f':
		return v.literal(i, "false")
	case c == 'n':
		return v.literal(i, "null")
	}
	return -1
}

// array checks what follows a bracket.
func (v *validator) array(i, depth int) int {
	i = skipSpace(v.text, i)
	if i < len(v.text) && v.text[i] == ']' {
		return i + 1
	}
	for {
		if i = v.value(i, depth); i < 0 {
			return -1
		}
		i = skipSpace(v.text, i)
		if i == len(v.text) {
			return -1
		}
		switch v.text[i] {
		case ',':
			i = skipSpace(v.text, i+1)
		case ']':
			return i + 1
		default:
			return -1
		}
	}
}

// object checks what follows a brace.
func (v *validator) object(i, depth int) int {
	i = skipSpace(v.text, i)
	if i < len(v.text) && v.text[i] == '}' {
		return i + 1
	}
	base := v.names.count
	for {
		if i == len(v.text) || v.text[i] != '"' {
			return -1
		}
		name := i + 1
		if i = v.str(name); i < 0 {
			return -1
		}
		if v.unique {
			v.names.push(hashName(v.text[name-1 : i]))
		}
		i = skipSpace(v.text, i)
		if i == len(v.text) || v.text[i] != ':' {
			return -1
		}
		if i = v.value(skipSpace(v.text, i+1), depth); i < 0 {
			return -1
		}
		i = skipSpace(v.text, i)
		if i == len(v.text) {
			return -1
		}
		switch v.text[i] {
		case ',':
			i = skipSpace(v.text, i+1)
		case '}':
			v.rewrite = v.names.pop(base) || v.rewrite
			return i + 1
		default:
			return -1
		}
	}
}

// str checks what follows a quote.
func (v *validator) str(i int) int {
	text := v.text
	for i = skipPlain(text, i); i < len(text); i = skipPlain(text, i) {
		switch c := text[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			if i = escape(text, i+1); i < 0 {
				return -1
			}
		case c < ' ':
			return -1
		case c < utf8.RuneSelf:
			i++
		default:
			start := i
			for i < len(text) && text[i] >= utf8.RuneSelf {
				i++
			}
			if !utf8.Valid(text[start:i]) {
				return -1
			}
		}
	}
	return -1
}

// skipPlain passes the part of a string that needs no look of its own: ASCII without quotes, backslashes and control
// characters, eight bytes at a time. It may stop before the end of that part. A borrow in the subtractions only
// disturbs bytes behind the first that stands out.
func skipPlain(text []byte, i int) int {
	const each, high = 0x0101010101010101, 0x8080808080808080
	for i+8 <= len(text) {
		word := binary.LittleEndian.Uint64(text[i:])
		control := word - ' '*each
		quote := (word ^ '"'*each) - each
		backslash := (word ^ '\\'*each) - each
		if found := (word | control | quote | backslash) & high; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
		i += 8
	}
	return i
}

// escape checks what follows a backslash.
func escape(text []byte, i int) int {
	if i >= len(text) {
		return -1
	}
	switch text[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		if i+5 > len(text) {
			return -1
		}
		for _, c := range text[i+1 : i+5] {
			if !isHex(c) {
				return -1
			}
		}
		return i + 5
	}
	return -1
}

func (v *validator) number(i int) int {
	start, exponent := i, 0
	if v.text[i] == '-' {
		i++
	}
	if i < len(v.text) && v.text[i] == '0' {
		i++
	} else if i = v.digits(i); i < 0 {
		return -1
	}
	if i < len(v.text) && v.text[i] == '.' {
		if i = v.digits(i + 1); i < 0 {
			return -1
		}
	}
	if i < len(v.text) && v.text[i]|0x20 == 'e' {
		i++
		if i < len(v.text) && (v.text[i] == '+' || v.text[i] == '-') {
			i++
		}
		if exponent = i; v.text[i-1] == '-' {
			exponent = len(v.text)
		}
		if i = v.digits(i); i < 0 {
			return -1
		}
		exponent = i - exponent
	}
	if v.unique && mayBeHuge(i-start, exponent) && isHuge(v.text[start:i]) {
		v.rewrite = true
	}
	return i
}

// digits checks for one digit or more.
func (v *validator) digits(i int) int {
	start := i
	for i < len(v.text) && isDigit(v.text[i]) {
		i++
	}
	if i == start {
		return -1
	}
	return i
}

func (v *validator) literal(i int, want string) int {
	if end := i + len(want); end <= len(v.text) && string(v.text[i:end]) == want {
		return end
	}
	return -1
}

func skipSpace(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\n' || text[i] == '\r' || text[i] == '\t') {
		i++
	}
	return i
}
