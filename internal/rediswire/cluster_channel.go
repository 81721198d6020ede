package rediswire

import (
	"fmt"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/carillon-io/carillon/pkg/adapter"
)

// Mode is which rooms have a sharded channel of their own. All nodes of a cluster must use the same.
type Mode uint8

// The modes of Node's sharded adapter. Rooms without a channel are reached on that of their namespace.
const (
	ModeDynamic        Mode = iota // all rooms but those whose name is as long as a socket id
	ModeStatic                     // none
	ModeDynamicPrivate             // all
)

var modeNames = [...]string{ModeDynamic: "dynamic", ModeStatic: "static", ModeDynamicPrivate: "dynamic-private"}

// ParseMode finds a mode by Node's name for it.
func ParseMode(name string) (Mode, error) {
	for m, n := range modeNames {
		if n == name {
			return Mode(m), nil
		}
	}
	return 0, fmt.Errorf("rediswire: no mode %q of the sharded adapter", name)
}

// String is Node's name for the mode.
func (m Mode) String() string { return modeNames[m] }

// HasChannel reports whether messages for this room alone are published on a channel of its own. Node takes any name
// of a socket id's length for one.
func (m Mode) HasChannel(room string) bool {
	return m == ModeDynamicPrivate || m == ModeDynamic && jsLength(room) != idLength
}

// jsLength is what JavaScript says of the length of s.
func jsLength(s string) int {
	if len(s) < idLength || len(s) > utf8.UTFMax*idLength {
		return len(s)
	}
	n := 0
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}

// NodeChannel is the sharded channel on which the node uid receives answers.
func NodeChannel(key, nsp, uid string) string { return RoomChannel(key, nsp, uid) }

// ShardedBroadcastTo is the sharded channel on which every node expects b.
func ShardedBroadcastTo(key string, mode Mode, b *adapter.Broadcast) string {
	if rooms := b.Target.Rooms; len(rooms) == 1 && mode.HasChannel(rooms[0]) {
		return RoomChannel(key, b.Namespace, rooms[0])
	}
	return BroadcastChannel(key, b.Namespace)
}
