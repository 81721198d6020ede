package celjson

import (
	"bytes"
	"strconv"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"github.com/go-json-experiment/json/jsontext"
)

// Raw is one JSON value as a client wrote it, with the attachments of the list it stands in. The packet codec validated the
// text and spelled its placeholders in one way. The functions below rely on that for their results, not for their safety.
type Raw struct {
	Text        []byte
	Attachments [][]byte
}

// Element is element n of the array v.
func (v Raw) Element(n int, b *Budget) (Raw, bool) {
	b.Spend(1 + cost(len(v.Text), scanned))
	text, ok := packet.Args{JSON: v.Text}.At(n)
	return Raw{text, v.Attachments}, ok && len(text) > 0
}

// Member is the named member of the object v, the last one where the name is there twice. An attachment has no members.
func (v Raw) Member(name string, b *Budget) (Raw, bool) {
	if _, ok := v.attachment(); ok {
		return Raw{}, false
	}
	b.Spend(1 + cost(len(v.Text), scanned))
	var found []byte
	members(v.Text, func(quoted, value []byte) {
		if nameIs(quoted, name) {
			found = value
		}
	})
	return Raw{found, v.Attachments}, len(found) > 0
}

// attachment is the attachment v is the placeholder of.
func (v Raw) attachment() ([]byte, bool) {
	if len(v.Attachments) == 0 {
		return nil, false
	}
	digits, ok := bytes.CutPrefix(v.Text, []byte(`{"_placeholder":true,"num":`))
	if !ok {
		return nil, false
	}
	n, err := strconv.Atoi(string(bytes.TrimSuffix(digits, []byte("}"))))
	if err != nil || n < 0 || n >= len(v.Attachments) {
		return nil, false
	}
	return v.Attachments[n], true
}

// elements yields where the elements of an array begin and end; of anything else, nothing.
func elements(text []byte, yield func(start, end int)) {
	i := skipSpace(text, 0)
	if i == len(text) || text[i] != '[' {
		return
	}
	for i = skipSpace(text, i+1); i < len(text) && text[i] != ']'; i = skipSpace(text, i+1) {
		end := skipValue(text, i)
		yield(i, end)
		if i = skipSpace(text, end); i == len(text) || text[i] != ',' {
			return
		}
	}
}

// members yields the names, quoted as they stand, and the values of an object; of anything else, nothing.
func members(text []byte, yield func(name, value []byte)) {
	i := skipSpace(text, 0)
	if i == len(text) || text[i] != '{' {
		return
	}
	for i = skipSpace(text, i+1); i < len(text) && text[i] == '"'; i = skipSpace(text, i+1) {
		nameEnd := skipString(text, i)
		colon := skipSpace(text, nameEnd)
		start := skipSpace(text, min(colon+1, len(text)))
		end := skipValue(text, start)
		yield(text[i:nameEnd], text[start:end])
		if i = skipSpace(text, end); i == len(text) || text[i] != ',' {
			return
		}
	}
}

func skipSpace(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\n' || text[i] == '\t' || text[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the index behind the string that begins at i.
func skipString(text []byte, i int) int {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return len(text)
}

// skipValue returns the index behind the value that begins at i.
func skipValue(text []byte, i int) int {
	for depth := 0; i < len(text); {
		switch text[i] {
		case '"':
			i = skipString(text, i)
			if depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
			if depth == 0 {
				return i + 1
			}
			if depth < 0 {
				return i
			}
		case ',', ' ', '\n', '\t', '\r':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return len(text)
}

// unquote is the string a JSON string stands for. Half a surrogate pair becomes U+FFFD.
func unquote(quoted []byte) string {
	if len(quoted) >= 2 && bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	s, _ := jsontext.AppendUnquote(nil, quoted) // the error only says that something was replaced
	return string(s)
}

// nameIs compares a quoted member name with a plain one.
func nameIs(quoted []byte, name string) bool {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return len(quoted) == len(name)+2 && string(quoted[1:len(quoted)-1]) == name
	}
	return unquote(quoted) == name
}
