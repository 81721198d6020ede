package celjson

import (
	"math"

	"cel.dev/cel-go/common/types"
)

// Plain is v in Go's own types, as validators of JSON Schema take it. Each value costs each units, and a string as much as
// matching it against a regular expression of pattern instructions; 0 is none. An attachment is its placeholder, an object.
func (v Raw) Plain(b *Budget, each, pattern int) any {
	if len(v.Text) == 0 {
		return nil
	}
	b.Spend(each)
	switch v.Text[0] {
	case '{':
		b.Spend(cost(len(v.Text), scanned))
		object := make(map[string]any)
		members(v.Text, func(name, value []byte) { object[unquote(name)] = Raw{Text: value}.Plain(b, each, pattern) })
		return object
	case '[':
		b.Spend(cost(len(v.Text), scanned))
		list := []any{}
		elements(v.Text, func(start, end int) {
			list = append(list, Raw{Text: v.Text[start:end]}.Plain(b, each, pattern))
		})
		return list
	case '"':
		b.Spend(cost(len(v.Text), copied))
		if pattern > 0 {
			b.Spend(MatchCost(len(v.Text), pattern))
		}
		return unquote(v.Text)
	case 't', 'f':
		return v.Text[0] == 't'
	case 'n':
		return nil
	}
	b.Spend(cost(len(v.Text), scanned))
	return PlainNumber(v.Text)
}

// PlainNumber is an int64, a float64, or nil for what is no number.
func PlainNumber(text []byte) any {
	switch n := Number(text).(type) {
	case types.Int:
		return int64(n)
	case types.Double:
		return float64(n)
	case types.Null: // beyond a double; validators calculate with fractions, and none is infinite
		if text[0] == '-' {
			return -math.MaxFloat64
		}
		return math.MaxFloat64
	}
	return nil
}
