package msgjson

import (
	"bytes"
	"errors"
	"unicode/utf8"
)

var errEncoding = errors.New("not UTF-8")

// TextReader walks through one JSON text and hands out parts of it as they are spelled. It accepts nothing that
// AppendMsgpack refuses, and no invalid UTF-8 either. The first error, which Err tells, ends it: what is read after that
// is empty.
//
//	r.Object()
//	for r.More('}') {
//		key := r.Key()
//		… // read the value
//	}
type TextReader struct {
	text  parser
	first bool // nothing has been read of the array or object just begun
	err   error
}

// NewTextReader reads src, which must not change while a part of it is in use.
func NewTextReader(src []byte) TextReader { return TextReader{text: parser{src: src}} }

// Err is the first error.
func (r *TextReader) Err() error { return r.err }

// Object begins an object.
func (r *TextReader) Object() { r.begin('{') }

// Array begins an array.
func (r *TextReader) Array() { r.begin('[') }

func (r *TextReader) begin(c byte) {
	if r.expect(c) {
		r.first = true
	}
}

// expect reads one byte, which must be c, behind white space.
func (r *TextReader) expect(c byte) bool {
	if r.err == nil && r.text.space() != c {
		r.err = r.text.unexpected()
	}
	if r.err != nil {
		return false
	}
	r.text.at++
	return true
}

// More reports whether the array or object goes on, and ends it if not; end is its last byte.
func (r *TextReader) More(end byte) bool {
	if r.err != nil {
		return false
	}
	first := r.first
	r.first = false
	switch c := r.text.space(); {
	case c == end:
		r.text.at++
		return false
	case first:
		return true
	}
	return r.expect(',')
}

// Key reads the key of a member as it is spelled, without its quotes.
func (r *TextReader) Key() []byte {
	key := r.spelled()
	r.expect(':')
	return key
}

// String reads a string without escapes; one with escapes is an error.
func (r *TextReader) String() []byte {
	text := r.spelled()
	if bytes.IndexByte(text, '\\') >= 0 {
		r.err = errKind
	}
	return text
}

// spelled reads what stands between the quotes of a string.
func (r *TextReader) spelled() []byte {
	if r.err == nil && r.text.space() != '"' {
		r.err = r.text.unexpected()
	}
	if r.err != nil {
		return nil
	}
	start := r.text.at + 1
	if r.err = r.text.skipText(); r.err != nil {
		return nil
	}
	end := r.text.at - 1
	return r.text.src[start:end:end]
}

// Raw passes over one value and returns its text. Arrays and objects in it must not nest deeper than depth.
func (r *TextReader) Raw(depth int) []byte {
	if r.err != nil {
		return nil
	}
	p := &r.text
	p.space()
	start := p.at
	if r.err = p.skip(depth); r.err != nil {
		return nil
	}
	return p.src[start:p.at:p.at]
}

// End refuses anything left to read.
func (r *TextReader) End() {
	if r.text.space(); r.err == nil && r.text.at < len(r.text.src) {
		r.err = errTrailing
	}
}

// skip passes over one value.
func (p *parser) skip(depth int) error {
	switch c := p.space(); c {
	case '"':
		return p.skipText()
	case '{':
		return p.skipObject(depth)
	case '[':
		return p.skipArray(depth)
	case 't':
		return p.word("true")
	case 'f':
		return p.word("false")
	case 'n':
		return p.word("null")
	default:
		if c == '-' || isDigit(c) {
			return p.skipNumber()
		}
		return p.unexpected()
	}
}

func (p *parser) skipArray(depth int) error {
	if depth == 0 {
		return ErrDepth
	}
	p.at++
	if p.space() == ']' {
		p.at++
		return nil
	}
	for {
		if err := p.skip(depth - 1); err != nil {
			return err
		}
		if last, err := p.skipSeparator(']'); last || err != nil {
			return err
		}
	}
}

func (p *parser) skipObject(depth int) error {
	if depth == 0 {
		return ErrDepth
	}
	p.at++
	if p.space() == '}' {
		p.at++
		return nil
	}
	for {
		if p.space() != '"' {
			return p.unexpected()
		}
		if err := p.skipText(); err != nil {
			return err
		}
		if p.space() != ':' {
			return p.unexpected()
		}
		p.at++
		if err := p.skip(depth - 1); err != nil {
			return err
		}
		if last, err := p.skipSeparator('}'); last || err != nil {
			return err
		}
	}
}

func (p *parser) skipSeparator(end byte) (last bool, err error) {
	c := p.space()
	if c != ',' && c != end {
		return false, p.unexpected()
	}
	p.at++
	return c == end, nil
}

func (p *parser) skipText() error {
	p.at++
	for {
		p.at += plainLength(p.src[p.at:])
		switch c := p.peek(); {
		case c == '"':
			p.at++
			return nil
		case c == '\\':
			var space [utf8.UTFMax]byte
			if _, err := p.escape(space[:0]); err != nil {
				return err
			}
		case c >= utf8.RuneSelf:
			_, size := utf8.DecodeRune(p.src[p.at:])
			if size == 1 {
				return errEncoding
			}
			p.at += size
		default:
			return p.unexpected()
		}
	}
}
