package packet

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// NewEvent returns the list of an event: its name, then args. It shares args' attachments.
func NewEvent(name string, args Args) Args {
	text := make([]byte, 0, len(name)+len(args.JSON)+4)
	text = append(text, '[')
	text = AppendString(text, name)
	if i := firstElement(args.JSON); i >= 0 {
		text = append(text, ',')
		text = append(text, args.JSON[i:]...)
	} else {
		text = append(text, ']')
	}
	return Args{JSON: text, Attachments: args.Attachments}
}

// Len returns the number of elements.
func (a Args) Len() int {
	n := 0
	for i := firstElement(a.JSON); i >= 0; i = nextElement(a.JSON, skipValue(a.JSON, i)) {
		n++
	}
	return n
}

// At returns the JSON text of element i and whether there is one. Placeholders in it number the list's attachments.
// To read several elements use Split.
func (a Args) At(i int) ([]byte, bool) {
	if i < 0 {
		return nil, false
	}
	for start := firstElement(a.JSON); start >= 0; i-- {
		end := skipValue(a.JSON, start)
		if i == 0 {
			return a.JSON[start:end:end], true
		}
		start = nextElement(a.JSON, end)
	}
	return nil, false
}

// Split appends the JSON texts of the elements to dst, in one pass. They share the list's memory.
func (a Args) Split(dst [][]byte) [][]byte {
	for start := firstElement(a.JSON); start >= 0; {
		end := skipValue(a.JSON, start)
		dst = append(dst, a.JSON[start:end:end])
		start = nextElement(a.JSON, end)
	}
	return dst
}

// Name returns the name of the event whose list this is, and false when the first element is none. A number is a name
// too, spelled as JavaScript does.
func (a Args) Name() (string, bool) {
	first, _ := a.At(0)
	if len(first) == 0 {
		return "", false
	}
	switch c := first[0]; {
	case c == '"':
		return unquote(first), true
	case c == '-' || isDigit(c):
		f, _ := strconv.ParseFloat(string(first), 64) // out of range is an infinity, as in JavaScript
		if f == 0 {
			return "0", true // also for minus zero
		}
		return jsontext.Float(f).String(), true
	}
	return "", false
}

// Tail returns the list without its first element: an event's arguments. It shares the attachments.
func (a Args) Tail() Args {
	start := a.second()
	if start < 0 {
		return Args{}
	}
	text := make([]byte, 0, len(a.JSON)-start+1)
	text = append(text, '[')
	return Args{JSON: append(text, a.JSON[start:]...), Attachments: a.Attachments}
}

// CutName is Name and Tail in one for a list whose text is the caller's alone. The tail is made in place: a is of no use
// afterwards.
func (a Args) CutName() (name string, tail Args, ok bool) {
	name, ok = a.Name()
	start := a.second()
	if start < 0 {
		return name, Args{}, ok
	}
	text := a.JSON[start-1:] // from the comma or a space on
	text[0] = '['
	return name, Args{JSON: text, Attachments: a.Attachments}, ok
}

// second is where the second element begins, -1 when there is none.
func (a Args) second() int {
	first := firstElement(a.JSON)
	if first < 0 {
		return -1
	}
	return nextElement(a.JSON, skipValue(a.JSON, first))
}
