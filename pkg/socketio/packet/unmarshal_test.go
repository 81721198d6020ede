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

// Wherever encoding/json takes its Number, it is taken here, from the same texts and with the same result.
func TestUnmarshal_NumberAsEncodingJSONDoes(t *testing.T) {
	type named json.Number
	targets := map[string]func() any{
		"number":  func() any { return new(json.Number) },
		"pointer": func() any { return new(*json.Number) },
		"list":    func() any { return new([]json.Number) },
		"map":     func() any { return new(map[string]json.Number) },
		"key":     func() any { return new(map[json.Number]int) },
		"field": func() any {
			return new(struct {
				N json.Number
				P *json.Number `json:"p,omitempty"`
				A any
			})
		},
		"set before": func() any { n := json.Number("7"); return &n },
		"named":      func() any { return new(named) },
	}
	for _, text := range []string{
		`1`, `-1.50e3`, `12345678901234567890`, `"1"`, `"-1.5E+3"`, `"x"`, `""`, `" 1"`, `"01"`, `"1 "`, `"NaN"`, `null`, `true`, `[]`, `{}`,
		`[1,"2",null]`, `{"N":9007199254740993,"p":"1","A":1}`, `{"N":"x"}`, `{"a":1.0}`, `{"1":1}`,
	} {
		for name, target := range targets {
			want, got := target(), target()
			wantErr := json.Unmarshal([]byte(text), want)
			gotErr := packet.Unmarshal([]byte(text), nil, got)
			if (gotErr == nil) != (wantErr == nil) || gotErr == nil && !reflect.DeepEqual(got, want) {
				t.Errorf("%s into %s: %v, %v; encoding/json: %v, %v", text, name, reflect.ValueOf(got).Elem(), gotErr,
					reflect.ValueOf(want).Elem(), wantErr)
			}
		}
	}
	a := list(`[[`+ph0+`,1]]`, "zero")
	var mixed struct {
		B []byte
		N json.Number
	}
	if err := packet.Unmarshal([]byte(`{"B":`+ph0+`,"N":1}`), a.Attachments, &mixed); err != nil || mixed.N != "1" || string(mixed.B) != "zero" {
		t.Errorf("beside an attachment: %v, %v", mixed, err)
	}
}

// Dart, Swift and Python write a whole double with a point; to JavaScript it is the same number.
func TestUnmarshal_WholeNumbersInAnySpelling(t *testing.T) {
	type id int32
	for _, c := range []struct {
		text string
		v    any
		want any // nil: refused
	}{
		{`1.0`, new(int), 1},
		{`1e3`, new(int64), int64(1000)},
		{`-1.50E1`, new(int8), int8(-15)},
		{`-0.0`, new(uint), uint(0)},
		{`1e18`, new(int64), int64(1e18)},
		{`9007199254740993`, new(int64), int64(9007199254740993)},
		{`255.0`, new(uint8), uint8(255)},
		{`7.0`, new(id), id(7)},
		{`[1.0,2,3e0]`, new([]int), []int{1, 2, 3}},
		{`{"a":{"b":1.0},"s":"1.0"}`, new(struct {
			A struct{ B int }
			S string
		}), struct {
			A struct{ B int }
			S string
		}{struct{ B int }{1}, "1.0"}},
		{`1.0`, new(float64), 1.0},
		{`1.0`, new(any), 1.0},
		{`1.0`, new(json.RawMessage), json.RawMessage(`1.0`)},
		{`1.0`, new(json.Number), json.Number(`1.0`)},
		{`1.5`, new(int), nil},
		{`256.0`, new(uint8), nil},
		{`-1.0`, new(uint), nil},
		{`1e400`, new(int), nil},
		{`1e30`, new(int64), nil},
		{`"1.0"`, new(int), nil},
	} {
		err := packet.Unmarshal([]byte(c.text), nil, c.v)
		if got := reflect.ValueOf(c.v).Elem().Interface(); (err == nil) != (c.want != nil) || err == nil && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s into %T: %v, %v; want %v", c.text, c.v, got, err, c.want)
		}
	}
}
