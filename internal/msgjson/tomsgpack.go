package msgjson

import (
	"errors"
	"fmt"
)

var (
	errPlaceholder = errors.New("placeholder of an attachment that is not there")
	errRepeated    = errors.New("attachments repeated too often")
)

// Placeholders may name the same attachment again and again, which would multiply a megabyte by thousands. All of them
// together may be repeated maxRepeats times, small ones more often.
const (
	maxRepeats  = 16
	freeRepeats = 64 << 10
)

// AppendMsgpack appends the MessagePack form of src, one JSON value, to dst. When there are attachments, objects whose
// member _placeholder is true become the one that num tells, as in a binary packet; attachments repeated so often that
// the result would be many times longer are an error. Arrays and objects must not nest deeper than depth. After an error dst comes back as it was.
func AppendMsgpack(dst, src []byte, attachments [][]byte, depth int) ([]byte, error) {
	p := parser{src: src, attachments: attachments, budget: freeRepeats}
	for _, attachment := range attachments {
		p.budget += maxRepeats * len(attachment)
	}
	out, err := p.value(dst, depth)
	if err == nil {
		if p.space(); p.at < len(src) {
			err = errTrailing
		}
	}
	if err != nil {
		return dst, fmt.Errorf("json: byte %d: %w", p.at, err)
	}
	return out, nil
}

// parser reads JSON; its methods append what they read to dst.
type parser struct {
	src         []byte
	at          int
	attachments [][]byte
	budget      int // bytes of attachments that may still be written
}

// space passes over white space and returns the byte behind it, 0 at the end.
func (p *parser) space() byte {
	for ; p.at < len(p.src); p.at++ {
		switch c := p.src[p.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// peek is the byte to read next, 0 at the end.
func (p *parser) peek() byte {
	if p.at < len(p.src) {
		return p.src[p.at]
	}
	return 0
}

// unexpected tells a byte that does not belong there from the end of the input.
func (p *parser) unexpected() error {
	if p.at >= len(p.src) {
		return errTruncated
	}
	return errByte
}

func (p *parser) value(dst []byte, depth int) ([]byte, error) {
	switch c := p.space(); c {
	case '"':
		return p.text(dst)
	case '{':
		return p.object(dst, depth)
	case '[':
		return p.array(dst, depth)
	case 't':
		return append(dst, 0xc3), p.word("true")
	case 'f':
		return append(dst, 0xc2), p.word("false")
	case 'n':
		return append(dst, 0xc0), p.word("null")
	default:
		if c == '-' || isDigit(c) {
			return p.number(dst)
		}
		return dst, p.unexpected()
	}
}

func (p *parser) word(word string) error {
	for i := range len(word) {
		if p.peek() != word[i] {
			return p.unexpected()
		}
		p.at++
	}
	return nil
}

func (p *parser) array(dst []byte, depth int) ([]byte, error) {
	if depth == 0 {
		return dst, ErrDepth
	}
	start := len(dst)
	dst = append(dst, 0x90)
	p.at++
	if p.space() == ']' {
		p.at++
		return dst, nil
	}
	for n := 1; ; n++ {
		var err error
		if dst, err = p.value(dst, depth-1); err != nil {
			return dst, err
		}
		switch p.space() {
		case ',':
			p.at++
		case ']':
			p.at++
			return setCount(dst, start, n, 0xdc), nil
		default:
			return dst, p.unexpected()
		}
	}
}

func (p *parser) object(dst []byte, depth int) ([]byte, error) {
	if depth == 0 {
		return dst, ErrDepth
	}
	start := len(dst)
	dst = append(dst, 0x80)
	p.at++
	if p.space() == '}' {
		p.at++
		return dst, nil
	}
	var mark placeholder
	for n := 1; ; n++ {
		if p.space() != '"' {
			return dst, p.unexpected()
		}
		key := len(dst)
		var err error
		if dst, err = p.text(dst); err != nil {
			return dst, err
		}
		if p.space() != ':' {
			return dst, p.unexpected()
		}
		p.at++
		value := len(dst)
		if dst, err = p.value(dst, depth-1); err != nil {
			return dst, err
		}
		if len(p.attachments) > 0 {
			mark.member(dst[key:value], dst[value:])
		}
		switch p.space() {
		case ',':
			p.at++
		case '}':
			p.at++
			if mark.present {
				return p.attachment(dst[:start], mark)
			}
			return setCount(dst, start, n, 0xde), nil
		default:
			return dst, p.unexpected()
		}
	}
}

// placeholder is what is known of an object that may be one. Of repeated members the last counts, as in JavaScript.
type placeholder struct {
	present bool
	number  uint64
	valid   bool
}

const (
	keyPlaceholder = "\xac_placeholder"
	keyNumber      = "\xa3num"
)

func (m *placeholder) member(key, value []byte) {
	switch string(key) {
	case keyPlaceholder:
		m.present = value[0] == 0xc3
	case keyNumber:
		r := NewReader(value, 0)
		kind, bits, _, err := r.next()
		m.number, m.valid = bits, err == nil && kind == Uint
	}
}

func (p *parser) attachment(dst []byte, m placeholder) ([]byte, error) {
	if !m.valid || m.number >= uint64(len(p.attachments)) {
		return dst, errPlaceholder
	}
	attachment := p.attachments[m.number]
	if p.budget -= len(attachment); p.budget < 0 {
		return dst, errRepeated
	}
	return appendBinary(dst, attachment), nil
}
