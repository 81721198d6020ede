package packet

import (
	"strconv"
	"strings"
)

// splitQuery takes a 2.x client's namespace apart: its path, percent-encoded as in a URL, and its query as the text of
// a JSON object of strings, nil when it has none. Of parameters with the same name the last counts. Dot segments
// are names like any other.
func splitQuery(namespace string) (path string, query []byte) {
	namespace, _, _ = strings.Cut(namespace, "#")
	path, parameters, _ := strings.Cut(namespace, "?")
	for pair := range strings.SplitSeq(parameters, "&") {
		if pair == "" {
			continue
		}
		separator := byte(',')
		if query == nil {
			separator = '{'
		}
		query = append(query, separator)
		name, value, _ := strings.Cut(pair, "=")
		query = AppendString(query, unescapeForm(name))
		query = append(query, ':')
		query = AppendString(query, unescapeForm(value))
	}
	if query != nil {
		query = append(query, '}')
		if _, repeated, err := validateForeign(query, 1); err == nil && repeated {
			query = normalize(query)
		}
	}
	return escapePath(path), query
}

// escapePath percent-encodes what a URL's path may not contain. What is encoded already stays.
func escapePath(path string) string {
	var out strings.Builder
	for i := range len(path) {
		c := path[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>`{}", c) >= 0 {
			const hex = "0123456789ABCDEF"
			out.Write([]byte{'%', hex[c>>4], hex[c&15]})
			continue
		}
		out.WriteByte(c)
	}
	return out.String()
}

// unescapeForm decodes plus signs and percent escapes; text that only looks like an escape stays.
func unescapeForm(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '+':
			out.WriteByte(' ')
		case c == '%' && i+2 < len(text) && isHex(text[i+1]) && isHex(text[i+2]):
			decoded, _ := strconv.ParseUint(text[i+1:i+3], 16, 8) // two hexadecimal digits always parse
			out.WriteByte(byte(decoded))
			i += 2
		default:
			out.WriteByte(c)
		}
	}
	return out.String()
}

func isHex(c byte) bool {
	return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f'
}
