package celjson

import (
	"reflect"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// List is a client's JSON array. Its elements are found when it is made; each is decoded when it is first asked for, and
// kept.
type List struct {
	raw    Raw
	budget *Budget
	starts []uint32  // of the elements in raw.Text
	values []ref.Val // nil where not decoded

	// Where starts and values are as long as there are few.
	fewStarts [4]uint32
	fewValues [4]ref.Val
}

// NewList makes a list of the array v.
func NewList(v Raw, b *Budget) *List {
	l := &List{}
	l.Init(v, b)
	return l
}

// Init makes l, which must be zero, the list of the array v.
func (l *List) Init(v Raw, b *Budget) {
	b.Spend(cost(len(v.Text), scanned))
	l.raw, l.budget = v, b
	l.starts = l.fewStarts[:0]
	elements(v.Text, func(start, _ int) {
		b.Spend(1)
		l.starts = append(l.starts, uint32(start))
	})
	if len(l.starts) <= len(l.fewValues) {
		l.values = l.fewValues[:len(l.starts)]
	}
}

// Raw is the array as the client wrote it.
func (l *List) Raw() Raw { return l.raw }

// at is element i.
func (l *List) at(i int) ref.Val {
	if l.values == nil {
		l.budget.Spend(cost(len(l.starts), copied))
		l.values = make([]ref.Val, len(l.starts))
	}
	if v := l.values[i]; v != nil {
		l.budget.Spend(read(v))
		return v
	}
	start := int(l.starts[i])
	v := Raw{l.raw.Text[start:skipValue(l.raw.Text, start)], l.raw.Attachments}.Value(l.budget)
	l.values[i] = v
	return v
}

// decoded is the list with all its elements decoded.
func (l *List) decoded() traits.Lister {
	for i := range l.starts {
		l.at(i)
	}
	return types.NewRefValList(types.DefaultTypeAdapter, l.values)
}

// Size is the number of elements.
func (l *List) Size() ref.Val { return types.Int(len(l.starts)) }

// Get is one element.
func (l *List) Get(index ref.Val) ref.Val {
	i, err := types.GetOrError(index)
	if err != nil {
		return types.ValOrErr(index, "%v", err)
	}
	if i < 0 || i >= len(l.starts) {
		return types.NewErr("index %d of a list of %d", i, len(l.starts))
	}
	return l.at(i)
}

// Contains reports whether an element equals value.
func (l *List) Contains(value ref.Val) ref.Val { return contains(l.budget, l, value) }

// Equal compares element by element, sizes first.
func (l *List) Equal(other ref.Val) ref.Val { return equal(l.budget, l, other) }

// Iterator walks the elements.
func (l *List) Iterator() traits.Iterator { return &listIterator{list: l} }

// Add is the list with other behind it.
func (l *List) Add(other ref.Val) ref.Val { return l.decoded().Add(other) }

// ConvertToType knows list and type.
func (l *List) ConvertToType(t ref.Type) ref.Val {
	switch t {
	case types.ListType:
		return l
	case types.TypeType:
		return types.ListType
	}
	return types.NewErr("type conversion error from 'list' to '%s'", t.TypeName())
}

// ConvertToNative converts the decoded elements.
func (l *List) ConvertToNative(t reflect.Type) (any, error) { return l.decoded().ConvertToNative(t) }

// Type is list.
func (l *List) Type() ref.Type { return types.ListType }

// Value is the decoded elements.
func (l *List) Value() any { return l.decoded().Value() }

type listIterator struct {
	traits.Iterator // nil: CEL calls the two methods below only

	list *List
	next int
}

func (it *listIterator) HasNext() ref.Val { return types.Bool(it.next < len(it.list.starts)) }

func (it *listIterator) Next() ref.Val {
	it.next++
	return it.list.at(it.next - 1)
}
