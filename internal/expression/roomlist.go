package expression

import (
	"reflect"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// roomList is the variable rooms. Whether a room is in it is looked up in the membership itself; the names are gathered
// only for an expression that uses them in another way.
type roomList struct {
	subject Subject
	names   traits.Lister
}

func (l *roomList) list() traits.Lister {
	if l.names == nil {
		l.names = types.NewStringList(types.DefaultTypeAdapter, l.subject.Rooms(nil))
	}
	return l.names
}

// Contains reports whether the socket is in the room.
func (l *roomList) Contains(value ref.Val) ref.Val {
	room, ok := value.(types.String)
	return types.Bool(ok && l.subject.In(string(room)))
}

func (l *roomList) Add(other ref.Val) ref.Val        { return l.list().Add(other) }
func (l *roomList) Get(index ref.Val) ref.Val        { return l.list().Get(index) }
func (l *roomList) Iterator() traits.Iterator        { return l.list().Iterator() }
func (l *roomList) Size() ref.Val                    { return l.list().Size() }
func (l *roomList) Equal(other ref.Val) ref.Val      { return l.list().Equal(other) }
func (l *roomList) ConvertToType(t ref.Type) ref.Val { return l.list().ConvertToType(t) }
func (l *roomList) Type() ref.Type                   { return types.ListType }
func (l *roomList) Value() any                       { return l.list().Value() }

func (l *roomList) ConvertToNative(t reflect.Type) (any, error) { return l.list().ConvertToNative(t) }
