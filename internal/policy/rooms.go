package policy

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

var errNoRooms = errors.New("an empty list of rooms")

const maxRoomName = 256 // bytes

// rooms names the rooms of an action: one template for one room, or for all of them where it is whole and its value a
// list; or one for each.
type rooms struct {
	names []*template
	list  bool // written as a list: each value names one room
}

// eval returns the names, at least one. With joining set it refuses another socket's own room.
//
// Whether a socket of that name exists could only be told by asking every node. So any computed name of the form of a
// socket id counts as one: 20 URL-safe characters, or a 2.x client's /nsp# and those, unless it is the socket's own.
// A name that stands in the configuration as it is was chosen by its author, not by a client, and passes.
func (r *rooms) eval(a *activation, joining bool) ([]string, error) {
	names := make([]string, 0, len(r.names))
	for _, t := range r.names {
		before := len(names)
		if text, ok := t.constant(); ok {
			names = append(names, text) // checked when it was compiled
			continue
		}
		var err error
		if names, err = appendRooms(names, t, a, !r.list); err != nil {
			return nil, err
		}
		for _, name := range names[before:] {
			if err := checkRoom(name); err != nil {
				return nil, err
			}
			if joining && isSocketID(name) && name != a.socket.ID() {
				return nil, errors.New("the room belongs to another socket")
			}
		}
	}
	if len(names) == 0 {
		return nil, errNoRooms
	}
	return names, nil
}

// appendRooms appends what t names: several rooms only where listed is set.
func appendRooms(names []string, t *template, a *activation, listed bool) ([]string, error) {
	whole := t.whole()
	if whole == nil {
		name, err := t.text(a)
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
	return "", fmt.Errorf("a value of type %s names no room", v.Type().TypeName())
}

func checkRoom(name string) error {
	switch {
	case name == "":
		return errors.New("a room without a name")
	case len(name) > maxRoomName:
		return fmt.Errorf("a room's name is over %d bytes", maxRoomName)
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
