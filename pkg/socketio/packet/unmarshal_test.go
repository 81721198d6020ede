package packet_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

func TestArgs_UnmarshalIntoGoValues(t *testing.T) {
	a := list(`["e",`+ph1+`,{"name":"Ada","photo":`+ph0+`,"Friend":{"photo":`+ph1+`}},[`+ph0+`,"x"],7,`+
		`"2023-11-14T22:13:20.123Z","\ud800"]`,
		"zero", "one")
	var (
		text, broken string
		data         []byte
		somebody     person
		many         []any
		number       int
		moment       time.Time
		raw          json.RawMessage
		anything     any
	)
	for i, v := range []any{&text, &data, &somebody, &many, &number, &moment, &broken} {
		if err := a.Unmarshal(i, v); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Unmarshal(4, &raw); err != nil || string(raw) != "7" {
		t.Errorf("got %s, %v", raw, err)
	}
	if err := a.Unmarshal(1, &anything); err != nil || !reflect.DeepEqual(anything, []byte("one")) {
		t.Errorf("got %v, %v", anything, err)
	}
	if text != "e" || string(data) != "one" || number != 7 || moment.UnixMilli() != 1700000000123 || broken != "\ufffd" {
		t.Errorf("got %q %q %d %v %q", text, data, number, moment, broken)
	}
	want := person{Name: "Ada", Photo: []byte("zero"), Friend: &person{Photo: []byte("one")}}
	if !reflect.DeepEqual(somebody, want) {
		t.Errorf("got %+v", somebody)
	}
	if !reflect.DeepEqual(many, []any{[]byte("zero"), "x"}) {
		t.Errorf("got %v", many)
	}
}

func TestArgs_ValuesAreTheWholeList(t *testing.T) {
	got, err := list(`["e",`+ph0+`,{"a":[null,true,-1.5,`+ph0+`],"a":{},"b":[{"c":`+ph0+`}]}]`, "bin").Values()
	bin := []byte("bin")
	want := []any{"e", bin, map[string]any{"a": map[string]any{}, "b": []any{map[string]any{"c": bin}}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := (packet.Args{}).Values(); got != nil || err != nil {
		t.Errorf("empty: got %v, %v", got, err)
	}
}

func TestArgs_ObjectLikeAPlaceholderIsPlainDataWithoutAttachments(t *testing.T) {
	got, err := list(`[` + ph0 + `]`).Values()
	want := []any{map[string]any{"_placeholder": true, "num": 0.0}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestArgs_UnmarshalErrors(t *testing.T) {
	a := list(`["e",{"k":1},`+ph1+`]`, "bin")
	var number int
	var data []byte
	for i, v := range map[int]any{0: &number, 1: &data, 2: &data} {
		if err := a.Unmarshal(i, v); err == nil || errors.Is(err, packet.ErrNoArgument) {
			t.Errorf("%d: got %v", i, err)
		}
	}
	if err := a.Unmarshal(3, &data); !errors.Is(err, packet.ErrNoArgument) {
		t.Errorf("got %v", err)
	}
	if err := packet.Unmarshal([]byte(`{"k":`), [][]byte{{1}}, new(any)); err == nil {
		t.Error("cut text was accepted")
	}
}

func TestMarshalAndUnmarshal_AreInverse(t *testing.T) {
	want := []any{"a", 1.5, []byte{1, 2}, map[string]any{"k": []any{[]byte{3}, nil, false}}, []any{}}
	a, err := packet.Marshal(want...)
	if err != nil {
		t.Fatal(err)
	}
	got, err := a.Values()
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
}
