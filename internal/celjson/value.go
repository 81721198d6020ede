package celjson

import (
	"bytes"
	"math"
	"strconv"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Value is what an expression sees of v: an attachment is bytes, a number is what Number says. Objects and arrays are
// taken apart when they are asked for something, and keep their text.
func (v Raw) Value(b *Budget) ref.Val {
	if len(v.Text) == 0 {
		return types.NewErr("no value")
	}
	b.Spend(1)
	switch v.Text[0] {
	case '{':
		if attachment, ok := v.attachment(); ok {
			return types.Bytes(attachment)
		}
		return NewObject(v, b)
	case '[':
		return NewList(v, b)
	case '"':
		b.Spend(cost(len(v.Text), scanned))
		if bytes.IndexByte(v.Text, '\\') >= 0 {
			b.Spend(cost(len(v.Text), copied))
		}
		return types.String(unquote(v.Text))
	case 't':
		return types.True
	case 'f':
		return types.False
	case 'n':
		return types.NullValue
	}
	b.Spend(cost(len(v.Text), scanned))
	return Number(v.Text)
}

// Number is a whole number that fits 64 bits as int, however it is spelled (1, 1.0, 1e3: JavaScript does not tell them
// apart), any other as double. One that no double can hold is null, as JSON.stringify has it.
func Number(text []byte) ref.Val {
	number := string(text)
	if n, err := strconv.ParseInt(number, 10, 64); err == nil {
		return types.Int(n)
	}
	f, err := strconv.ParseFloat(number, 64)
	switch {
	case math.IsInf(f, 0):
		return types.NullValue
	case err != nil:
		return types.NewErr("not a number")
	case f == math.Trunc(f) && f >= -1<<63 && f < 1<<63 && bytes.ContainsAny(text, ".eE"):
		return types.Int(int64(f))
	}
	return types.Double(f)
}

// read is what fetching a decoded value once more costs: CEL takes one step, however long the value, for whatever it does
// with it.
func read(v ref.Val) int {
	switch v := v.(type) {
	case types.String:
		return 1 + cost(len(v), scanned)
	case types.Bytes:
		return 1 + cost(len(v), scanned)
	}
	return 1
}
