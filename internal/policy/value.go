package policy

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"github.com/go-json-experiment/json/jsontext"
)

// celValue is what an expression sees of v: numbers without "." and "e" that fit 64 bits are int, others double, an
// attachment is bytes. Objects and arrays are taken apart when they are asked for something, and keep their text.
func (v raw) celValue() ref.Val {
	if len(v.text) == 0 {
		return types.NewErr("no value")
	}
	switch v.text[0] {
	case '{':
		if attachment, ok := v.attachment(); ok {
			return types.Bytes(attachment)
		}
		return newObject(v)
	case '[':
		return newList(v)
	case '"':
		return types.String(unquote(v.text))
	case 't':
		return types.True
	case 'f':
		return types.False
	case 'n':
		return types.NullValue
	}
	return celNumber(v.text)
}

func celNumber(text []byte) ref.Val {
	number := string(text)
	if !strings.ContainsAny(number, ".eE") {
		if n, err := strconv.ParseInt(number, 10, 64); err == nil {
			return types.Int(n)
		}
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return types.NewErr("not a number")
	}
	return types.Double(f) // out of range: infinite, as in JavaScript
}

// appendText appends a value to text around it: strings, numbers and booleans have one, nothing else has.
func appendText(dst []byte, v ref.Val) ([]byte, error) {
	switch v := v.(type) {
	case types.String:
		return append(dst, v...), nil
	case types.Int:
		return strconv.AppendInt(dst, int64(v), 10), nil
	case types.Uint:
		return strconv.AppendUint(dst, uint64(v), 10), nil
	case types.Double:
		return appendDouble(dst, float64(v))
	case types.Bool:
		return strconv.AppendBool(dst, bool(v)), nil
	}
	return dst, fmt.Errorf("a value of type %s has no text", v.Type().TypeName())
}

// appendDouble writes a number as JavaScript does.
func appendDouble(dst []byte, f float64) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return dst, errors.New("a number is not finite")
	}
	if f == 0 {
		return append(dst, '0'), nil // no negative zero
	}
	return append(dst, jsontext.Float(f).String()...), nil
}

// appendJSON appends a value as JSON. Bytes become attachments; an object or array that came from a client keeps its
// text.
func appendJSON(b *packet.Builder, v ref.Val) error {
	switch v := v.(type) {
	case types.Null:
		b.Literal("null")
	case types.String:
		b.String(string(v))
	case types.Bytes:
		b.Binary(v)
	case types.Timestamp:
		b.String(v.Format(time.RFC3339Nano))
	case *object:
		b.Raw(v.raw.text, v.raw.attachments)
	case *list:
		b.Raw(v.raw.text, v.raw.attachments)
	case traits.Mapper:
		return appendMap(b, v)
	case traits.Lister:
		b.Literal("[")
		if err := appendElements(b, v); err != nil {
			return err
		}
		b.Literal("]")
	default:
		text, err := appendText(nil, v)
		if err != nil {
			return fmt.Errorf("a value of type %s cannot be sent", v.Type().TypeName())
		}
		b.Literal(string(text))
	}
	return nil
}

// appendElements appends the elements of a list with commas between them.
func appendElements(b *packet.Builder, v traits.Lister) error {
	size, _ := v.Size().(types.Int)
	for i := range size {
		if i > 0 {
			b.Literal(",")
		}
		if err := appendJSON(b, v.Get(i)); err != nil {
			return err
		}
	}
	return nil
}

// appendMap writes the members in the order of their names: a computed map has no order of its own.
func appendMap(b *packet.Builder, v traits.Mapper) error {
	type member struct {
		name string
		key  ref.Val
	}
	var all []member
	for it := v.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, err := appendText(nil, key)
		if err != nil {
			return err
		}
		all = append(all, member{string(name), key})
	}
	slices.SortFunc(all, func(x, y member) int { return strings.Compare(x.name, y.name) })
	b.Literal("{")
	for i, m := range all {
		if i > 0 {
			b.Literal(",")
		}
		b.String(m.name)
		b.Literal(":")
		value, _ := v.Find(m.key)
		if err := appendJSON(b, value); err != nil {
			return err
		}
	}
	b.Literal("}")
	return nil
}
