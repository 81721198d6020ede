package rediswire_test

import (
	"path"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
)

func TestChannels_AreNodes(t *testing.T) {
	for want, got := range map[string]string{
		"socket.io#/#":                       rediswire.BroadcastChannel("socket.io", "/"),
		"socket.io#/foo#room1#":              rediswire.RoomChannel("socket.io", "/foo", "room1"),
		"socket.io-request#/#":               rediswire.RequestChannel("socket.io", "/"),
		"socket.io-response#/foo#":           rediswire.ResponseChannel("socket.io", "/foo"),
		"socket.io-response#/#7ODgax#":       rediswire.OwnResponseChannel("socket.io", "/", "7ODgax"),
		"other#*#aB3_????????????????#":      rediswire.NodePattern("other", "aB3_"),
		`\*\?\[x\]\\#*#abcd` + marks16 + "#": rediswire.NodePattern(`*?[x]\`, "abcd"),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

const marks16 = "????????????????"

func TestBroadcastTo_OneRoomHasItsOwnChannel(t *testing.T) {
	for _, test := range []struct {
		rooms []string
		want  string
	}{
		{nil, "k#/n#"}, {[]string{"a"}, "k#/n#a#"}, {[]string{"a", "b"}, "k#/n#"}, {[]string{""}, "k#/n##"},
	} {
		b := adapter.Broadcast{Namespace: "/n", Target: rooms.Target{Rooms: test.rooms, Except: []string{"x"}}}
		if got := rediswire.BroadcastTo("k", &b); got != test.want {
			t.Errorf("rooms %q go to %s, want %s", test.rooms, got, test.want)
		}
	}
}

func TestSplitChannel_FindsNamespaceAndRoom(t *testing.T) {
	open := map[string]bool{"/": true, "/foo": true, "/a#b": true, "/foo#x": true}
	known := func(nsp string) bool { return open[nsp] }
	for channel, want := range map[string][2]string{
		"k#/#":                             {"/", ""},
		"k#/##":                            {"/", ""},
		"k#/#room#":                        {"/", "room"},
		"k#/foo#room#":                     {"/foo", "room"},
		"k#/foo#a#b#":                      {"/foo", "a#b"},
		"k#/foo#a##":                       {"/foo", "a#"},
		"k#/foo#/foo#aB3_0123456789abcdef": {},
		"k#/foo#/foo#aB3_0123456789abcde#": {"/foo", "/foo#aB3_0123456789abcde"},
		"k#/a#b#room#":                     {"/a#b", "room"},
		"k#/foo#x#room#":                   {"/foo#x", "room"},
		"k#/foo#x#":                        {"/foo#x", ""},
		"k#/bar#room#":                     {},
		"k#":                               {},
		"k":                                {},
		"other#/#":                         {},
		"":                                 {},
	} {
		nsp, room, ok := rediswire.SplitChannel("k", channel, known)
		if nsp != want[0] || room != want[1] || ok != (want[0] != "") {
			t.Errorf("%s is %q, %q, %v; want %q", channel, nsp, room, ok, want)
		}
	}
}

func TestMatchesNode_AgreesWithThePattern(t *testing.T) {
	const id = "aB3_0123456789abcdef"
	for _, key := range []string{"socket.io", "k", "[a]*?"} {
		pattern := rediswire.NodePattern(key, "aB3_")
		for _, channel := range []string{
			key + "#/#" + id + "#", key + "#/foo#" + id + "#", key + "#/foo#/foo#" + id + "#", key + "##" + id + "#",
			key + "#" + id + "#",
			key + "#/#x" + id + "#", key + "#/#" + id + "x#", key + "#/#" + id, key + "#/#" + id[1:] + "#",
			key + "#/#other" + id[5:] + "#",
			key + "#/#room#", key + "#/#", "x" + key + "#/#" + id + "#", key, "",
		} {
			// To Redis a slash is a character like any other; path.Match wants it replaced.
			matches, err := path.Match(strings.ReplaceAll(pattern, "/", "|"), strings.ReplaceAll(channel, "/", "|"))
			if err != nil {
				t.Fatal(err)
			}
			if got := rediswire.MatchesNode(key, "aB3_", channel); got != matches {
				t.Errorf("%s in %s is %v, the glob says %v", channel, pattern, got, matches)
			}
		}
	}
}
