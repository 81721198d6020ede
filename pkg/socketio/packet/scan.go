package packet

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// The functions here find their way in JSON text that is known to be valid. Given other text they return something
// within bounds.

// firstElement returns where the first element of an array begins, or -1 when there is none.
func firstElement(text []byte) int {
	i := skipSpace(text, 0)
	if i == len(text) || text[i] != '[' {
		return -1
	}
	i = skipSpace(text, i+1)
	if i == len(text) || text[i] == ']' {
		return -1
	}
	return i
}

// nextElement returns where the element behind the one that ended at i begins, or -1 when that was the last.
func nextElement(text []byte, i int) int {
	i = skipSpace(text, i)
	if i == len(text) || text[i] != ',' {
		return -1
	}
	if i = skipSpace(text, i+1); i == len(text) {
		return -1
	}
	return i
}

// EachMember calls f for each member of an object, in the order of the text, until f returns false: with the name as a literal,
// quotes included, and the text of the value. The object must be valid JSON without space before it, as a decoded packet's data is.
func EachMember(object []byte, f func(name, value []byte) bool) {
	for i := skipSpace(object, 1); i < len(object) && object[i] == '"'; {
		end := skipString(object, i)
		colon := skipSpace(object, end)
		start := skipSpace(object, colon+1)
		if start >= len(object) {
			return
		}
		next := skipValue(object, start)
		if !f(object[i:end:end], object[start:next:next]) {
			return
		}
		if i = skipSpace(object, next); i < len(object) && object[i] == ',' {
			i = skipSpace(object, i+1)
		}
	}
}

// skipValue returns the index behind the value that begins at i.
func skipValue(text []byte, i int) int {
	switch text[i] {
	case '"':
		return skipString(text, i)
	case '{', '[':
		for depth := 0; i < len(text); {
			switch text[i] {
			case '"':
				i = skipString(text, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			}
			i++
			if depth == 0 {
				break
			}
		}
		return i
	}
	for i < len(text) {
		switch text[i] {
		case ',', ']', '}', ':', ' ', '\n', '\r', '\t':
			return i
		}
		i++
	}
	return i
}

// skipString returns the index behind the string literal that begins at i.
func skipString(text []byte, i int) int {
	for i = skipPlain(text, i+1); i < len(text); i = skipPlain(text, i) {
		switch text[i] {
		case '"':
			return i + 1
		case '\\':
			i += 2
		default:
			i++
		}
	}
	return len(text)
}

// isLiteral reports whether a string literal spells want, which is plain ASCII.
func isLiteral(literal []byte, want string) bool {
	if bytes.IndexByte(literal, '\\') >= 0 {
		return unquote(literal) == want
	}
	return string(literal[1:len(literal)-1]) == want
}

// unquote returns the text of a string literal. Half a surrogate pair becomes U+FFFD.
func unquote(literal []byte) string {
	if len(literal) < 2 {
		return "" // cut off: not valid JSON
	}
	if bytes.IndexByte(literal, '\\') < 0 {
		return string(literal[1 : len(literal)-1])
	}
	text, _ := jsontext.AppendUnquote(nil, literal) // the error tells of what was replaced
	return string(text)
}
