package packet

import (
	"bytes"
	"math"
	"strconv"
)

// placeholderStart is how each placeholder begins in a list that has attachments. These bytes are found nowhere else in
// valid JSON: inside a string the second one would end it, and no underscore may follow.
const placeholderStart = `{"_placeholder":true,"num":`

// AppendPlaceholder appends the placeholder of attachment num to dst.
func AppendPlaceholder(dst []byte, num int) []byte {
	dst = append(dst, placeholderStart...)
	dst = strconv.AppendInt(dst, int64(num), 10)
	return append(dst, '}')
}

// CutPlaceholder reads the placeholder that text begins with, if it does, and returns the text behind it. Ask only
// where there are attachments: elsewhere an object of that look is plain data.
func CutPlaceholder(text []byte) (num int, rest []byte, ok bool) {
	rest, ok = bytes.CutPrefix(text, []byte(placeholderStart))
	digits := 0
	for ok && digits < len(rest) && digits < 9 && isDigit(rest[digits]) {
		num = num*10 + int(rest[digits]-'0')
		digits++
	}
	if digits == 0 || digits == len(rest) || rest[digits] != '}' {
		return 0, text, false
	}
	return num, rest[digits+1:], true
}

// canonicalPlaceholders returns a copy of a list that comes with attachments, each placeholder in it spelled the one
// way that CutPlaceholder knows. A placeholder that names no attachment is an error.
func canonicalPlaceholders(text []byte, attachments int) ([]byte, error) {
	c := canonicalizer{text: text, attachments: attachments, out: make([]byte, 0, len(text))}
	c.value(0)
	if c.bad > 0 {
		return nil, errPlaceholder
	}
	return c.out, nil
}

// CountPlaceholders returns how many objects in text, which must be valid JSON, look like placeholders to a reader,
// however they are spelled and wherever they are. Who writes a list with attachments compares that with the number
// written: were there more, plain data would be taken for attachments, and official clients close the connection over
// one that is out of range.
func CountPlaceholders(text []byte) int {
	c := canonicalizer{text: text}
	c.value(0)
	return c.seen
}

// canonicalizer walks valid JSON text and writes it out without space and with canonical placeholders.
//
// A placeholder is an object whose member _placeholder is true. Of members with the same name the last counts; other
// members do not matter, as the attachment takes the place of the whole object. Placeholders inside one therefore do
// not matter either.
type canonicalizer struct {
	text        []byte
	attachments int
	out         []byte
	seen        int // placeholders, those inside others included
	bad         int // those that name no attachment, while none around them makes that irrelevant
}

// value handles the value that begins at i and returns the index behind it.
func (c *canonicalizer) value(i int) int {
	switch c.text[i] {
	case '{':
		return c.object(i)
	case '[':
		return c.array(i)
	}
	end := skipValue(c.text, i)
	c.out = append(c.out, c.text[i:end]...)
	return end
}

func (c *canonicalizer) array(i int) int {
	c.out = append(c.out, '[')
	for i = skipSpace(c.text, i+1); c.text[i] != ']'; {
		i = c.comma(c.value(i))
	}
	c.out = append(c.out, ']')
	return i + 1
}

func (c *canonicalizer) object(i int) int {
	start, bad := len(c.out), c.bad
	marked := false
	var num []byte
	c.out = append(c.out, '{')
	for i = skipSpace(c.text, i+1); c.text[i] != '}'; {
		nameEnd := skipString(c.text, i)
		name := c.text[i:nameEnd]
		c.out = append(c.out, name...)
		c.out = append(c.out, ':')
		colon := skipSpace(c.text, nameEnd)
		valueStart := skipSpace(c.text, colon+1)
		valueEnd := c.value(valueStart)
		switch {
		case isLiteral(name, "_placeholder"):
			marked = string(c.text[valueStart:valueEnd]) == "true"
		case isLiteral(name, "num"):
			num = c.text[valueStart:valueEnd]
		}
		i = c.comma(valueEnd)
	}
	c.out = append(c.out, '}')
	if marked {
		c.seen++
		c.out, c.bad = c.out[:start], bad
		c.placeholder(num)
	}
	return i + 1
}

// placeholder writes the placeholder whose member num has that text, nil when there is no such member.
func (c *canonicalizer) placeholder(num []byte) {
	if len(num) > 0 && (num[0] == '-' || isDigit(num[0])) {
		n, err := strconv.ParseFloat(string(num), 64)
		if err == nil && n >= 0 && n < float64(c.attachments) && n == math.Trunc(n) {
			c.out = AppendPlaceholder(c.out, int(n))
			return
		}
	}
	c.bad++
}

// comma passes the comma behind an element that ended at i, if there is one, and the space around it.
func (c *canonicalizer) comma(i int) int {
	i = skipSpace(c.text, i)
	if c.text[i] != ',' {
		return i
	}
	c.out = append(c.out, ',')
	return skipSpace(c.text, i+1)
}
