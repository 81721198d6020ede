package packet

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

var (
	errType             = fmt.Errorf("%w: unknown packet type", ErrMalformed)
	errAttachmentCount  = fmt.Errorf("%w: illegal number of attachments", ErrMalformed)
	errManyAttachments  = fmt.Errorf("%w: too many attachments", ErrLimit)
	errID               = fmt.Errorf("%w: illegal ack id", ErrMalformed)
	errIDRange          = fmt.Errorf("%w: ack id over 64 bits", ErrLimit)
	errNamespaceLength  = fmt.Errorf("%w: namespace too long", ErrLimit)
	errNamespaceNotUTF8 = fmt.Errorf("%w: namespace is not UTF-8", ErrMalformed)
)

// header reads what stands before the payload: <type>[<n>-][<namespace>,][<ack id>]. For a 2.x client's Connect it also
// sets Data. It returns the number of attachments and the payload, a part of text.
func (d *Decoder) header(text []byte) (p Packet, attachments int, payload []byte, err error) {
	typ, size := digit(text)
	text = text[size:]
	switch {
	case typ < 0 || typ > 6:
		return p, 0, nil, errType
	case typ > 4:
		p.Type = Type(typ - 3)
		count, rest, found := bytes.Cut(text, []byte("-"))
		if !found {
			return p, 0, nil, errAttachmentCount
		}
		if attachments, err = d.attachmentCount(count); err != nil {
			return p, 0, nil, err
		}
		text = rest
	default:
		p.Type = Type(typ)
	}

	p.Namespace = "/"
	if len(text) > 0 && text[0] == '/' {
		var name []byte
		name, text, _ = bytes.Cut(text, []byte(","))
		if err = d.setNamespace(&p, name); err != nil {
			return p, 0, nil, err
		}
	}

	text, err = readID(&p, text)
	return p, attachments, text, err
}

// attachmentCount reads the number between the type and the hyphen. The official parser leaves that to JavaScript's
// Number, so 1.0 and 0x1 are one, and so is a 1 with spaces around it.
func (d *Decoder) attachmentCount(text []byte) (int, error) {
	n := number(string(text))
	switch {
	case n != math.Trunc(n) || n < 1 || math.IsInf(n, 0): // also when it is none: NaN differs from itself
		return 0, errAttachmentCount
	case n > float64(d.maxAttachments()):
		return 0, errManyAttachments
	}
	return int(n), nil
}

func (d *Decoder) setNamespace(p *Packet, name []byte) error {
	switch {
	case len(name) > MaxNamespace:
		return errNamespaceLength
	case !utf8.Valid(name):
		return errNamespaceNotUTF8
	}
	if d.NamespaceQuery {
		path, query := splitQuery(string(name))
		if len(path) > MaxNamespace { // escaping has made it longer
			return errNamespaceLength
		}
		name = []byte(path)
		if p.Type == Connect {
			p.Data = query
		}
	}
	// Most connections stay with one namespace: make its string once.
	if string(name) != d.namespace {
		d.namespace = string(name)
	}
	p.Namespace = d.namespace
	return nil
}

// readID reads the ack id: all characters that are numbers by themselves to JavaScript. Spaces are: they count 0 alone
// and nothing around digits; between digits they make no number.
func readID(p *Packet, text []byte) (rest []byte, err error) {
	const (
		before = iota // only spaces so far
		within
		after // spaces behind the digits
	)
	state := before
	for {
		value, size := digit(text)
		if value < 0 {
			return text, nil
		}
		p.HasID = true
		switch isNumeral := isDigit(text[0]); {
		case isNumeral && state == after:
			return nil, errID
		case isNumeral:
			state = within
			if p.ID > (math.MaxUint64-uint64(value))/10 {
				return nil, errIDRange
			}
			p.ID = p.ID*10 + uint64(value)
		case state == within:
			state = after
		}
		text = text[size:]
	}
}

// digit returns what JavaScript's Number makes of the first character, and that character's size: a digit counts
// itself, white space 0, anything else and no character at all is -1.
func digit(text []byte) (value, size int) {
	if len(text) == 0 {
		return -1, 0
	}
	if c := text[0]; isDigit(c) {
		return int(c - '0'), 1
	}
	if r, size := utf8.DecodeRune(text); isScriptSpace(r) {
		return 0, size
	}
	return -1, 0
}

// isScriptSpace reports whether JavaScript's Number trims r.
func isScriptSpace(r rune) bool {
	switch {
	case r == ' ' || r >= '\t' && r <= '\r':
		return true
	case r == 0xa0 || r == 0x1680 || r >= 0x2000 && r <= 0x200a:
		return true
	case r == 0x2028 || r == 0x2029 || r == 0x202f || r == 0x205f || r == 0x3000 || r == 0xfeff:
		return true
	}
	return false
}

// number is JavaScript's Number for text without a minus sign; NaN when it is none.
func number(text string) float64 {
	text = strings.TrimFunc(text, isScriptSpace)
	if len(text) > 2 && text[0] == '0' {
		base := 0
		switch text[1] | 0x20 {
		case 'x':
			base = 16
		case 'o':
			base = 8
		case 'b':
			base = 2
		}
		if base != 0 {
			n, err := strconv.ParseUint(text[2:], base, 63)
			if err != nil {
				return math.NaN() // too large counts as none: both are refused
			}
			return float64(n)
		}
	}
	if strings.Trim(text, "0123456789.eE+") != "" {
		return math.NaN() // Go reads more than JavaScript: underscores, hexadecimal fractions, inf
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return math.NaN()
	}
	return n
}

func isDigit(c byte) bool {
	return c >= '0' && c <= '9'
}
