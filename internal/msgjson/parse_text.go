package msgjson

import (
	"unicode/utf16"
	"unicode/utf8"
)

// text reads a string. Its length is known beforehand unless there are escapes or invalid UTF-8 in it.
func (p *parser) text(dst []byte) ([]byte, error) {
	p.at++
	n := plainLength(p.src[p.at:])
	for p.at+n < len(p.src) {
		_, size := utf8.DecodeRune(p.src[p.at+n:])
		if size == 1 {
			break
		}
		n += size
		if p.at+n < len(p.src) && p.src[p.at+n] < utf8.RuneSelf {
			n += plainLength(p.src[p.at+n:])
		}
	}
	if p.at+n < len(p.src) && p.src[p.at+n] == '"' {
		dst = AppendString(dst, p.src[p.at:p.at+n])
		p.at += n + 1
		return dst, nil
	}
	return p.escapedText(dst)
}

// escapedText decodes a string behind room for the longest header, and closes up when the length is known.
func (p *parser) escapedText(dst []byte) ([]byte, error) {
	const room = 5
	start := len(dst)
	dst = append(dst, make([]byte, room)...)
	for {
		n := plainLength(p.src[p.at:])
		dst = append(dst, p.src[p.at:p.at+n]...)
		p.at += n
		var err error
		switch c := p.peek(); {
		case c == '"':
			p.at++
			length := len(dst) - start - room
			header := len(appendStringHeader(dst[:start], length)) - start
			copy(dst[start+header:], dst[start+room:])
			return dst[:start+header+length], nil
		case c == '\\':
			dst, err = p.escape(dst)
		case c >= utf8.RuneSelf:
			character, size := utf8.DecodeRune(p.src[p.at:])
			dst = utf8.AppendRune(dst, character)
			p.at += size
		default:
			return dst, p.unexpected()
		}
		if err != nil {
			return dst, err
		}
	}
}

func (p *parser) escape(dst []byte) ([]byte, error) {
	p.at++
	c := p.peek()
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		p.at++
		return p.unicode(dst)
	default:
		return dst, p.unexpected()
	}
	p.at++
	return append(dst, c), nil
}

// unicode reads the four digits of an escape, and the escape after it when both make one character. A surrogate alone
// becomes U+FFFD.
func (p *parser) unicode(dst []byte) ([]byte, error) {
	c, err := p.hex()
	if err != nil {
		return dst, err
	}
	if utf16.IsSurrogate(c) {
		mark := p.at
		if p.peek() == '\\' {
			p.at++
			if p.peek() == 'u' {
				p.at++
				second, err := p.hex()
				if err != nil {
					return dst, err
				}
				if both := utf16.DecodeRune(c, second); both != utf8.RuneError {
					return utf8.AppendRune(dst, both), nil
				}
			}
		}
		p.at = mark // not its second half: it stands for itself
	}
	return utf8.AppendRune(dst, c), nil
}

func (p *parser) hex() (rune, error) {
	var c rune
	for range 4 {
		digit := p.peek()
		switch {
		case isDigit(digit):
			c = c<<4 | rune(digit-'0')
		case digit >= 'a' && digit <= 'f', digit >= 'A' && digit <= 'F':
			c = c<<4 | rune(digit|0x20-'a'+10)
		default:
			return 0, p.unexpected()
		}
		p.at++
	}
	return c, nil
}
