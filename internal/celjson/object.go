package celjson

import (
	"reflect"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// Object is a client's JSON object. Its members are found when it is made; each value is decoded when it is first asked
// for, and kept. Of equal names the last one counts.
type Object struct {
	raw     Raw
	budget  *Budget
	members []member
	byName  map[string]int // index in members; nil while there are few
}

type member struct {
	name  string
	text  []byte
	value ref.Val // nil while not decoded
}

// searched is up to how many members are looked for one by one.
const searched = 8

// NewObject makes an object of v. Anything that is no JSON object has no members.
func NewObject(v Raw, b *Budget) *Object {
	b.Spend(cost(len(v.Text), scanned))
	o := &Object{raw: v, budget: b}
	members(v.Text, func(quoted, text []byte) {
		b.Spend(2 + cost(len(quoted), copied))
		o.put(unquote(quoted), text)
	})
	return o
}

func (o *Object) put(name string, text []byte) {
	if i := o.index(name); i >= 0 {
		o.members[i].text = text
		return
	}
	o.members = append(o.members, member{name: name, text: text})
	switch n := len(o.members); {
	case o.byName != nil:
		o.byName[name] = n - 1
	case n > searched:
		o.byName = make(map[string]int, 2*n)
		for i, m := range o.members {
			o.byName[m.name] = i
		}
	}
}

// index is where the named member is; -1 when there is none.
func (o *Object) index(name string) int {
	if o.byName != nil {
		if i, ok := o.byName[name]; ok {
			return i
		}
		return -1
	}
	for i := range o.members {
		if o.members[i].name == name {
			return i
		}
	}
	return -1
}

// Raw is the object as the client wrote it.
func (o *Object) Raw() Raw { return o.raw }

// Find is the named member.
func (o *Object) Find(key ref.Val) (ref.Val, bool) {
	o.budget.Spend(1)
	name, ok := key.(types.String)
	if !ok {
		return nil, false
	}
	i := o.index(string(name))
	if i < 0 {
		return nil, false
	}
	m := &o.members[i]
	if m.value == nil {
		m.value = Raw{m.text, o.raw.Attachments}.Value(o.budget)
	} else {
		o.budget.Spend(read(m.value))
	}
	return m.value, true
}

// Get is the named member, or an error.
func (o *Object) Get(key ref.Val) ref.Val {
	v, ok := o.Find(key)
	if !ok {
		return types.NewErr("no such key: %v", key)
	}
	return v
}

// Contains reports whether there is a member of that name.
func (o *Object) Contains(key ref.Val) ref.Val {
	o.budget.Spend(1)
	name, ok := key.(types.String)
	return types.Bool(ok && o.index(string(name)) >= 0)
}

// Size is the number of members.
func (o *Object) Size() ref.Val { return types.Int(len(o.members)) }

// Equal compares member by member, sizes first.
func (o *Object) Equal(other ref.Val) ref.Val { return equal(o.budget, o, other) }

// Iterator walks the names.
func (o *Object) Iterator() traits.Iterator { return &objectIterator{object: o} }

// ConvertToType knows map and type.
func (o *Object) ConvertToType(t ref.Type) ref.Val {
	switch t {
	case types.MapType:
		return o
	case types.TypeType:
		return types.MapType
	}
	return types.NewErr("type conversion error from 'map' to '%s'", t.TypeName())
}

func (o *Object) decoded() traits.Mapper {
	values := make(map[string]any, len(o.members))
	for i := range o.members {
		values[o.members[i].name], _ = o.Find(types.String(o.members[i].name))
	}
	return types.NewStringInterfaceMap(types.DefaultTypeAdapter, values)
}

// ConvertToNative converts the decoded members.
func (o *Object) ConvertToNative(t reflect.Type) (any, error) { return o.decoded().ConvertToNative(t) }

// Type is map.
func (o *Object) Type() ref.Type { return types.MapType }

// Value is the decoded members.
func (o *Object) Value() any { return o.decoded().Value() }

type objectIterator struct {
	traits.Iterator // nil: CEL calls the two methods below only

	object *Object
	next   int
}

func (it *objectIterator) HasNext() ref.Val { return types.Bool(it.next < len(it.object.members)) }

func (it *objectIterator) Next() ref.Val {
	it.object.budget.Spend(1)
	it.next++
	return types.String(it.object.members[it.next-1].name)
}
