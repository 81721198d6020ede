package packet

import (
	"bytes"
	"errors"
)

// ErrPlaceholder: a list with attachments also holds plain data that every reader would take for a placeholder.
// The protocol cannot carry it.
var ErrPlaceholder = errors.New("packet: plain data looks like an attachment's placeholder")

var errNotList = errors.New("packet: the pieces do not make a JSON array")

// builderDepth bounds recursion in what a Builder made, as the JSON package bounds it in Go values.
const builderDepth = 10_000

// Builder composes a list from pieces: literal JSON text, Go values, and the text of other lists, whose attachments are
// taken along as far as they are used. The pieces must add up to one JSON array: brackets, commas and member names are
// literal text too. The zero value is ready to use, for one list.
type Builder struct {
	// MaxDepth is how many arrays and objects in each other Args lets pass; 0: 10,000.
	MaxDepth int

	text         []byte
	attachments  [][]byte
	placeholders int // in text, written by the builder
}

// Literal adds JSON text as it is, such as `[{"id":`.
func (b *Builder) Literal(text string) {
	b.text = append(b.text, text...)
}

// String adds s as a JSON string.
func (b *Builder) String(s string) {
	b.text = AppendString(b.text, s)
}

// Binary adds an attachment. It is kept, not copied.
func (b *Builder) Binary(data []byte) {
	b.text = AppendPlaceholder(b.text, b.attach(data))
}

// Raw adds the text of a value of another list, with that list's attachments: those the text names are taken along,
// each once, and numbered anew.
func (b *Builder) Raw(text []byte, attachments [][]byte) {
	if len(attachments) == 0 {
		b.text = append(b.text, text...)
		return
	}
	for {
		start := bytes.Index(text, []byte(placeholderStart))
		if start < 0 {
			b.text = append(b.text, text...)
			return
		}
		b.text = append(b.text, text[:start]...)
		num, rest, ok := CutPlaceholder(text[start:])
		if ok && num < len(attachments) {
			b.text = AppendPlaceholder(b.text, b.attachOnce(attachments[num]))
			text = rest
			continue
		}
		// An object that begins like a placeholder and is none, or names no attachment: Args decides about it.
		b.text = append(b.text, text[start])
		text = text[start+1:]
	}
}

// Elements adds all elements of list, with commas between them, and reports whether there were any.
func (b *Builder) Elements(list Args) bool {
	start := firstElement(list.JSON)
	if start < 0 {
		return false
	}
	end := bytes.LastIndexByte(list.JSON, ']')
	b.Raw(list.JSON[start:max(start, end)], list.Attachments)
	return true
}

// Args returns the list. It is an error when the pieces do not add up to one, and ErrLimit (MaxDepth) and ErrPlaceholder may apply.
// The builder must not be used afterwards.
func (b *Builder) Args() (Args, error) {
	depth := b.MaxDepth
	if depth == 0 {
		depth = builderDepth
	}
	end, err := validate(b.text, depth)
	if errors.Is(err, ErrLimit) {
		return Args{}, err
	}
	if err != nil || b.text[0] != '[' || end < len(b.text) {
		return Args{}, errNotList
	}
	if len(b.attachments) > 0 && CountPlaceholders(b.text) != b.placeholders {
		return Args{}, ErrPlaceholder
	}
	return Args{JSON: b.text, Attachments: b.attachments}, nil
}

// attach numbers an attachment for the placeholder that is about to be written.
func (b *Builder) attach(data []byte) int {
	b.placeholders++
	b.attachments = append(b.attachments, data)
	return len(b.attachments) - 1
}

// attachOnce is attach, but an attachment that is already there keeps its number.
func (b *Builder) attachOnce(data []byte) int {
	for i, have := range b.attachments {
		if len(have) == len(data) && (len(data) == 0 || &have[0] == &data[0]) {
			b.placeholders++
			return i
		}
	}
	return b.attach(data)
}
