package engine

import (
	"net/url"
	"strings"
)

// ParseQuery reads a query string as browsers and Node do: of parameters with one name the last counts, a semicolon is a
// character like any other, and a percent sign that begins no escape stays. Each name has one value.
func ParseQuery(query string) url.Values {
	values := url.Values{}
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		values[unescape(name)] = []string{unescape(value)}
	}
	return values
}

// unescape decodes a name or value of a query. Bytes that are not UTF-8 become U+FFFD.
func unescape(text string) string {
	if !strings.ContainsAny(text, "+%") {
		return strings.ToValidUTF8(text, "\ufffd")
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '+':
			out = append(out, ' ')
		case c == '%' && i+2 < len(text) && isHex(text[i+1]) && isHex(text[i+2]):
			out = append(out, fromHex(text[i+1])<<4|fromHex(text[i+2]))
			i += 2
		default:
			out = append(out, c)
		}
	}
	return strings.ToValidUTF8(string(out), "\ufffd")
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func fromHex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
