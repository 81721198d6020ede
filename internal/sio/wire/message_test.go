package wire

import (
	"testing"

	"github.com/carillon-io/carillon/internal/native"
	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// same reports whether two lists are one.
func same(a, b []*engine.Frame) bool { return len(a) > 0 && len(a) == len(b) && &a[0] == &b[0] }

func TestMessage_EachFormIsMadeOnce(t *testing.T) {
	fail := func(err error) { t.Error(err) }
	m := Event("/", packet.Args{JSON: []byte(`["e",1]`)})
	m.Offset = "o"
	all := []Form{0, Msgpack, Numbered, Msgpack | Numbered, FormOf(native.Plain), FormOf(native.JSON)}
	made := map[Form][]*engine.Frame{}
	for _, f := range all {
		made[f] = m.Frames(f, fail)
		for _, other := range all {
			if other != f && same(made[f], made[other]) {
				t.Errorf("forms %d and %d share frames", f, other)
			}
		}
	}
	for _, f := range all {
		if !same(m.Frames(f, fail), made[f]) {
			t.Errorf("form %d is made again", f)
		}
	}
}

func TestMessage_ACopyHasWhatWasMadeAndMakesTheRestItself(t *testing.T) {
	fail := func(err error) { t.Error(err) }
	m := Event("/", packet.Args{JSON: []byte(`["e",1]`)})
	text, plain := m.Frames(0, fail), m.Frames(FormOf(native.Plain), fail)
	kept := m
	if !same(kept.Frames(0, fail), text) || !same(kept.Frames(FormOf(native.Plain), fail), plain) {
		t.Error("the copy has made them again")
	}
	theirs, ours := kept.Frames(Msgpack, fail), m.Frames(FormOf(native.JSON), fail)
	if !same(kept.Frames(Msgpack, fail), theirs) || !same(m.Frames(FormOf(native.JSON), fail), ours) {
		t.Error("the message and its copy share what was made after copying")
	}
}
