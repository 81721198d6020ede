package policy

import (
	"reflect"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// object is a client's JSON object as expressions see it. Its members are found when it is made, each is decoded when
// it is asked for.
type object struct {
	traits.Mapper

	raw raw
}

func newObject(v raw) *object {
	found := make(map[string]any)
	members(v.text, func(name, value []byte) {
		found[unquote(name)] = raw{value, v.attachments}
	})
	return &object{types.NewStringInterfaceMap(rawAdapter{}, found), v}
}

// rawAdapter makes CEL decode a raw value when it meets one.
type rawAdapter struct{}

func (rawAdapter) NativeToValue(value any) ref.Val {
	if v, ok := value.(raw); ok {
		return v.celValue()
	}
	return types.DefaultTypeAdapter.NativeToValue(value)
}

// lazyList makes a traits.Lister of anything that can be turned into one.
type lazyList struct {
	of interface{ decoded() traits.Lister }
}

func (l lazyList) Add(other ref.Val) ref.Val        { return l.of.decoded().Add(other) }
func (l lazyList) Contains(value ref.Val) ref.Val   { return l.of.decoded().Contains(value) }
func (l lazyList) Get(index ref.Val) ref.Val        { return l.of.decoded().Get(index) }
func (l lazyList) Iterator() traits.Iterator        { return l.of.decoded().Iterator() }
func (l lazyList) Size() ref.Val                    { return l.of.decoded().Size() }
func (l lazyList) Equal(other ref.Val) ref.Val      { return l.of.decoded().Equal(other) }
func (l lazyList) ConvertToType(t ref.Type) ref.Val { return l.of.decoded().ConvertToType(t) }
func (l lazyList) ConvertToNative(t reflect.Type) (any, error) {
	return l.of.decoded().ConvertToNative(t)
}
func (l lazyList) Type() ref.Type { return types.ListType }
func (l lazyList) Value() any     { return l.of.decoded().Value() }

// list is a client's JSON array as expressions see it: an element is decoded when it is asked for, all of them only
// when the list is compared, searched or walked.
type list struct {
	lazyList

	raw   raw
	items [][]byte
	few   [4][]byte // where items are, when there are no more
}

func newList(v raw) *list {
	l := &list{}
	l.init(v)
	return l
}

func (l *list) init(v raw) {
	l.of, l.raw = l, v
	l.items = packet.Args{JSON: v.text}.Split(l.few[:0])
}

func (l *list) item(i int) ref.Val { return raw{l.items[i], l.raw.attachments}.celValue() }

func (l *list) decoded() traits.Lister {
	values := make([]ref.Val, len(l.items))
	for i := range values {
		values[i] = l.item(i)
	}
	return types.NewRefValList(types.DefaultTypeAdapter, values)
}

// Size is the number of elements.
func (l *list) Size() ref.Val { return types.Int(len(l.items)) }

// Get is one element.
func (l *list) Get(index ref.Val) ref.Val {
	if i, ok := index.(types.Int); ok && i >= 0 && int64(i) < int64(len(l.items)) {
		return l.item(int(i))
	}
	return l.decoded().Get(index) // an index of another numeric type, or an error
}

// roomList is the variable rooms. The question whether a room is in it is put to the membership itself; the names are
// gathered only for an expression that wants them.
type roomList struct {
	lazyList

	socket socket
}

func newRoomList(s socket) *roomList {
	l := &roomList{socket: s}
	l.of = l
	return l
}

func (l *roomList) decoded() traits.Lister {
	return types.NewStringList(types.DefaultTypeAdapter, l.socket.Rooms(nil))
}

// Contains reports whether the socket is in the room.
func (l *roomList) Contains(value ref.Val) ref.Val {
	room, ok := value.(types.String)
	return types.Bool(ok && l.socket.In(string(room)))
}
