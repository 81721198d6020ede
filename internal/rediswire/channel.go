package rediswire

import (
	"strings"

	"github.com/carillon-io/carillon/pkg/adapter"
)

const (
	tagLength = 4  // the part of a socket id that names its node
	idLength  = 20 // a whole socket id
)

// BroadcastChannel is where messages for a whole namespace, or for several rooms of it, are published.
func BroadcastChannel(key, nsp string) string { return key + "#" + nsp + "#" }

// RoomChannel is where messages for exactly one room are published.
func RoomChannel(key, nsp, room string) string { return key + "#" + nsp + "#" + room + "#" }

// RequestChannel is where requests to all nodes are published. Node counts its subscribers to know how many answers to
// wait for, so a node subscribes to it exactly once.
func RequestChannel(key, nsp string) string { return key + "-request#" + nsp + "#" }

// ResponseChannel is where answers are published for all nodes to see, as Node does by default.
func ResponseChannel(key, nsp string) string { return key + "-response#" + nsp + "#" }

// OwnResponseChannel is where answers are published for the node uid alone.
func OwnResponseChannel(key, nsp, uid string) string {
	return key + "-response#" + nsp + "#" + uid + "#"
}

// OwnResponsePattern is the glob that matches OwnResponseChannel of every node in a namespace.
func OwnResponsePattern(key, nsp string) string {
	return globEscape.Replace(ResponseChannel(key, nsp)) + "*#"
}

// BroadcastTo is the channel on which every node expects b.
func BroadcastTo(key string, b *adapter.Broadcast) string {
	if len(b.Target.Rooms) == 1 {
		return RoomChannel(key, b.Namespace, b.Target.Rooms[0])
	}
	return BroadcastChannel(key, b.Namespace)
}

// NodePattern is the glob that matches, in every namespace, the channels of the own rooms of sockets whose ids begin with
// tag.
func NodePattern(key, tag string) string {
	return globEscape.Replace(key) + "#*#" + globEscape.Replace(tag) + strings.Repeat("?", idLength-tagLength) + "#"
}

// NamespacePattern is the glob that matches BroadcastChannel and all RoomChannels of a namespace.
func NamespacePattern(key, nsp string) string { return globEscape.Replace(key+"#"+nsp) + "#*" }

var globEscape = strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`, `\`, `\\`)

// MatchesNode reports whether NodePattern(key, tag) matches channel. Such a channel must not be subscribed by name as
// well, or its messages arrive twice.
func MatchesNode(key, tag, channel string) bool {
	rest, ok := strings.CutPrefix(channel, key+"#")
	if !ok || !strings.HasSuffix(rest, "#") {
		return false
	}
	rest = rest[:len(rest)-1]
	at := len(rest) - idLength
	return at > 0 && rest[at-1] == '#' && strings.HasPrefix(rest[at:], tag)
}

// longestChannel bounds what SplitChannel looks at: known is called for each '#', and reads all that precedes it.
const longestChannel = 4096

// SplitChannel finds the namespace and the room that a broadcast channel stands for; room is empty for the channel of
// the namespace itself. Both may contain '#', so known decides: the longest namespace that it accepts is taken. Only a
// room that begins like the rest of another namespace's name is mistaken then, while the shortest would shadow a whole
// namespace.
func SplitChannel(key, channel string, known func(nsp string) bool) (nsp, room string, ok bool) {
	rest, found := strings.CutPrefix(channel, key+"#")
	if !found || !strings.HasSuffix(rest, "#") || len(rest) > longestChannel {
		return "", "", false
	}
	for at := len(rest) - 1; at >= 0; at-- {
		if rest[at] == '#' && known(rest[:at]) {
			return rest[:at], strings.TrimSuffix(rest[at+1:], "#"), true
		}
	}
	return "", "", false
}
