package msgjson

import (
	"math"
	"strconv"
)

// number reads a number: an integer that 64 bits hold as it is, any other as JavaScript rounds it.
func (p *parser) number(dst []byte) ([]byte, error) {
	start := p.at
	n, exact, negative, err := p.spelledNumber()
	switch {
	case err != nil:
		return dst, err
	case exact && !negative:
		return AppendUint(dst, n), nil
	case exact && n <= -math.MinInt64:
		return AppendInt(dst, -int64(n)), nil
	}
	// The only error left is a number beyond the range, which is infinite in JavaScript too.
	f, _ := strconv.ParseFloat(string(p.src[start:p.at]), 64)
	return appendNumber(dst, f), nil
}

func (p *parser) skipNumber() error {
	_, _, _, err := p.spelledNumber()
	return err
}

// spelledNumber passes over a number. exact tells that it is an integer and 64 bits hold it without its sign, n.
func (p *parser) spelledNumber() (n uint64, exact, negative bool, err error) {
	if negative = p.peek() == '-'; negative {
		p.at++
	}
	leading := p.at
	n, exact, err = p.digits()
	if err == nil && p.src[leading] == '0' && p.at > leading+1 {
		p.at, err = leading+1, errByte
	}
	if err == nil && p.peek() == '.' {
		p.at++
		exact = false
		_, _, err = p.digits()
	}
	if c := p.peek(); err == nil && (c == 'e' || c == 'E') {
		p.at++
		if c := p.peek(); c == '+' || c == '-' {
			p.at++
		}
		exact = false
		_, _, err = p.digits()
	}
	return n, exact, negative, err
}

// digits reads at least one digit. exact tells that 64 bits hold their value, n.
func (p *parser) digits() (n uint64, exact bool, err error) {
	if !isDigit(p.peek()) {
		return 0, false, p.unexpected()
	}
	for exact = true; isDigit(p.peek()); p.at++ {
		digit := uint64(p.src[p.at] - '0')
		if n > (math.MaxUint64-digit)/10 {
			exact = false
		}
		n = n*10 + digit
	}
	return n, exact, nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
