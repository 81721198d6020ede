package celjson

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

// AppendText appends a value to text around it: strings, numbers and booleans have one, nothing else has.
func AppendText(dst []byte, v ref.Val, b *Budget) ([]byte, error) {
	switch v := v.(type) {
	case types.String:
		b.Spend(cost(len(v), copied))
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

// Writer composes a list of arguments, and pays for what it writes.
type Writer struct {
	packet.Builder

	Budget *Budget
}

// Literal writes JSON text as it is.
func (w *Writer) Literal(text string) {
	w.Budget.Spend(cost(len(text), copied))
	w.Builder.Literal(text)
}

// String writes a JSON string.
func (w *Writer) String(s string) {
	w.Budget.Spend(1 + cost(len(s), copied))
	w.Builder.String(s)
}

// Raw writes a client's value in the client's own text.
func (w *Writer) Raw(v Raw) {
	w.Budget.Spend(1 + cost(len(v.Text), copied))
	w.Builder.Raw(v.Text, v.Attachments)
}

// Elements writes the elements of a client's array, behind before where there are any.
func (w *Writer) Elements(before string, v Raw) {
	w.Budget.Spend(1 + cost(len(v.Text), copied))
	list := packet.Args{JSON: v.Text, Attachments: v.Attachments}
	if _, ok := list.At(0); ok {
		w.Literal(before)
		w.Builder.Elements(list)
	}
}

// Value writes a value as JSON. Bytes become attachments; an object or array that came from a client keeps its text.
func (w *Writer) Value(v ref.Val) error {
	switch v := v.(type) {
	case types.Null:
		w.Literal("null")
	case types.String:
		w.String(string(v))
	case types.Bytes:
		w.Budget.Spend(1)
		w.Binary(v)
	case types.Timestamp:
		w.String(v.Format(time.RFC3339Nano))
	case *Object:
		w.Raw(v.raw)
	case *List:
		w.Raw(v.raw)
	case traits.Mapper:
		return w.computedMap(v)
	case traits.Lister:
		w.Literal("[")
		if err := w.computedElements(v); err != nil {
			return err
		}
		w.Literal("]")
	default:
		w.Budget.Spend(1)
		text, err := AppendText(nil, v, nil)
		if err != nil {
			return fmt.Errorf("a value of type %s cannot be sent", v.Type().TypeName())
		}
		w.Literal(string(text))
	}
	return nil
}

// Arguments writes the elements of a value that is a list, else the value, behind before.
func (w *Writer) Arguments(before string, v ref.Val) error {
	switch l := v.(type) {
	case *List:
		w.Elements(before, l.raw)
		return nil
	case traits.Lister:
		if l.Size() != types.IntZero {
			w.Literal(before)
		}
		return w.computedElements(l)
	}
	w.Literal(before)
	return w.Value(v)
}

// computedElements writes the elements of a list with commas between them.
func (w *Writer) computedElements(v traits.Lister) error {
	size, _ := v.Size().(types.Int)
	for i := range size {
		if i > 0 {
			w.Literal(",")
		}
		if err := w.Value(v.Get(i)); err != nil {
			return err
		}
	}
	return nil
}

// computedMap writes the members in the order of their names: a computed map has no order of its own.
func (w *Writer) computedMap(v traits.Mapper) error {
	type named struct {
		name string
		key  ref.Val
	}
	var all []named
	for it := v.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, err := AppendText(nil, key, w.Budget)
		if err != nil {
			return err
		}
		all = append(all, named{string(name), key})
	}
	slices.SortFunc(all, func(x, y named) int { return strings.Compare(x.name, y.name) })
	w.Literal("{")
	for i, m := range all {
		if i > 0 {
			w.Literal(",")
		}
		w.String(m.name)
		w.Literal(":")
		value, _ := v.Find(m.key)
		if err := w.Value(value); err != nil {
			return err
		}
	}
	w.Literal("}")
	return nil
}
