package wire_test

import (
	"testing"

	"github.com/carillon-io/carillon/test/bench/peers/wire"
)

func TestParse_TellsThePacketsApartAndAnswersThem(t *testing.T) {
	for _, c := range []struct {
		packet, answer, message string
		kind                    wire.Kind
		room                    string
	}{
		{`40`, "", "", wire.Connect, ""},
		{`41`, "", "", wire.Disconnect, ""},
		{`3`, "", "", wire.Other, ""},
		{`42`, "", "", wire.Other, ""},
		{`42["unknown","a"]`, "", "", wire.Other, ""},
		{`420["join","room-7"]`, `430["ok"]`, "", wire.Join, `"room-7"`},
		{`4217["echo","xy"]`, `4317["xy"]`, "", wire.Echo, ""},
		{`42["publish","room-7","a,b"]`, "", `42["msg","a,b"]`, wire.Publish, `"room-7"`},
		{`42["publishAll","a"]`, "", `42["msg","a"]`, wire.PublishAll, ""},
	} {
		p := wire.Parse([]byte(c.packet))
		if p.Kind != c.kind || string(p.Room) != c.room {
			t.Errorf("%s: kind %d, room %s", c.packet, p.Kind, p.Room)
		}
		if got := string(p.Answer()); c.answer != "" && got != c.answer {
			t.Errorf("%s is answered with %s", c.packet, got)
		}
		if got := string(p.Message()); c.message != "" && got != c.message {
			t.Errorf("%s is heard as %s", c.packet, got)
		}
	}
}

func TestAppendFrame_UsesTheLongerLengthFrom126(t *testing.T) {
	for n, head := range map[int]int{0: 2, 125: 2, 126: 4, 300: 4} {
		f := wire.AppendFrame(nil, make([]byte, n))
		if len(f) != head+n || f[0] != 0x81 {
			t.Errorf("%d bytes: frame of %d, first byte %#x", n, len(f), f[0])
		}
	}
}
