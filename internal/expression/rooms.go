package expression

import (
	"math"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/carillon-io/carillon/internal/celjson"
)

// What is wrong with the name of a room.
const (
	ErrNoRooms     = Invalid("the list of rooms is empty")
	errRoomEmpty   = Invalid("a room's name is empty")
	errRoomLong    = Invalid("a room's name is over 256 bytes")
	errRoomType    = Invalid("a room's name must be a string or a whole number")
	errRoomForeign = Invalid("the room belongs to another socket")
)

const maxRoomName = 256 // bytes

// Rooms names the rooms of an action: one template for one room, or for all of them where it is whole and its value a
// list; or one for each.
type Rooms struct {
	Names []*Template
	List  bool // written as a list: each value names one room
}

// Eval returns the names, at least one. With joining set it refuses another socket's own room.
//
// Whether a socket of that name exists could only be told by asking every node. So any computed name of the form of a
// socket id counts as one: 20 URL-safe characters, or a 2.x client's /nsp# and those, unless it is the socket's own.
// A name that stands in the configuration as it is was chosen by its author, not by a client, and passes.
func (r *Rooms) Eval(a *Activation, joining bool) (names []string, err error) {
	defer celjson.Cancelled(&err)
	names = make([]string, 0, len(r.Names))
	for _, t := range r.Names {
		before := len(names)
		if text, ok := t.Constant(); ok {
			names = append(names, text) // checked when it was compiled
			continue
		}
		var err error
		if names, err = appendRooms(names, t, a, !r.List); err != nil {
			return nil, err
		}
		for _, name := range names[before:] {
			if err := CheckRoom(name); err != nil {
				return nil, err
			}
			if joining && isSocketID(name) && name != a.Subject.ID() {
				return nil, errRoomForeign
			}
		}
	}
	if len(names) == 0 {
		return nil, ErrNoRooms
	}
	return names, nil
}

// appendRooms appends what t names: several rooms only where listed is set.
func appendRooms(names []string, t *Template, a *Activation, listed bool) ([]string, error) {
	whole := t.Whole()
	if whole == nil {
		name, err := t.Text(a)
		return append(names, name), err
	}
	v, err := whole.eval(a)
	if err != nil {
		return nil, err
	}
	l, ok := v.(traits.Lister)
	if !ok || !listed {
		name, err := roomName(v)
		return append(names, name), err
	}
	size, _ := l.Size().(types.Int)
	for i := range size {
		name, err := roomName(l.Get(i))
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// roomName is the name a value stands for: a string, or the text of a whole number.
func roomName(v ref.Val) (string, error) {
	switch v := v.(type) {
	case types.String:
		return string(v), nil
	case types.Int:
		return strconv.FormatInt(int64(v), 10), nil
	case types.Uint:
		return strconv.FormatUint(uint64(v), 10), nil
	case types.Double:
		if f := float64(v); f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			return strconv.FormatInt(int64(f), 10), nil
		}
	}
	return "", errRoomType
}

// CheckJoin says what is wrong with the name of a room that the socket with an id is to join and that a backend gave.
func CheckJoin(name, id string) error {
	if err := CheckRoom(name); err != nil {
		return err
	}
	if isSocketID(name) && name != id {
		return errRoomForeign
	}
	return nil
}

// CheckRoom says what is wrong with a name.
func CheckRoom(name string) error {
	switch {
	case name == "":
		return errRoomEmpty
	case len(name) > maxRoomName:
		return errRoomLong
	}
	return nil
}

// isSocketID reports whether name has the form of a socket's id.
func isSocketID(name string) bool {
	if strings.HasPrefix(name, "/") {
		name = name[strings.LastIndexByte(name, '#')+1:]
	}
	if len(name) != 20 {
		return false
	}
	for i := range len(name) {
		c := name[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}
