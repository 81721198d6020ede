package packet_test

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

type person struct {
	Name    string `json:"name"`
	Age     int    `json:"age,omitempty"`
	Photo   []byte `json:"photo,omitempty"`
	private int
	Skipped string `json:"-"`
	Friend  *person
}

type celsius float64

func (c celsius) MarshalJSON() ([]byte, error) { return []byte(`{ "degrees" : 1 }`), nil }

func TestMarshal_EncodesGoValues(t *testing.T) {
	moment := time.Date(2023, 11, 14, 23, 13, 20, 123999999, time.FixedZone("", 3600))
	for _, c := range []struct {
		name string
		args []any
		want string
	}{
		{"nothing", nil, `[]`},
		{"plain values", []any{"a", 1, true, nil, 1.5, int64(-1 << 62), uint8(7), float32(0.1)},
			`["a",1,true,null,1.5,-4611686018427387904,7,0.1]`},
		{"floats as JavaScript", []any{1e21, 1e-7, 100.0, 1e-6, math.Copysign(0, -1)}, `[1e+21,1e-7,100,0.000001,0]`},
		{"no number for them", []any{math.NaN(), []float64{math.Inf(1)}, map[string]any{"f": float32(math.Inf(-1))}},
			`[null,[null],{"f":null}]`},
		{"text", []any{"<>&\u2028", []string{"é\"\n", "\xff"}}, "[\"<>&\u2028\",[\"é\\\"\\n\",\"\ufffd\"]]"},
		{"sorted map", []any{map[string]int{"b": 2, "a": 1, "c": 3}}, `[{"a":1,"b":2,"c":3}]`},
		{"number keys", []any{map[int]int{2: 0, 1: 0}, map[float64]int{0: 2, 0.5: 1}}, `[{"1":0,"2":0},{"0":2,"0.5":1}]`},
		{"struct and tags", []any{person{Name: "Ada", private: 1, Skipped: "x"}}, `[{"name":"Ada","Friend":null}]`},
		{"empty and nil", []any{[]int(nil), []int{}, map[string]int(nil), (*person)(nil), []byte(nil)},
			`[null,[],null,null,null]`},
		{"date", []any{moment, map[string]any{"at": &moment}},
			`["2023-11-14T22:13:20.123Z",{"at":"2023-11-14T22:13:20.123Z"}]`},
		{"date of a far year", []any{time.Date(12345, 1, 2, 3, 4, 5, 0, time.UTC),
			time.Date(-1, 1, 2, 3, 4, 5, 0, time.UTC)},
			`["+012345-01-02T03:04:05.000Z","-000001-01-02T03:04:05.000Z"]`},
		{"raw JSON", []any{json.RawMessage(`{ "k" : 1e2, "k" : 2 }`), []json.RawMessage{[]byte("[1, 2]")}},
			`[{"k":1e2,"k":2},[[1,2]]]`},
		{"methods", []any{celsius(20), []any{celsius(20)}}, `[{"degrees":1},[{"degrees":1}]]`},
		{"exact numbers", []any{json.Number("1.50"), []any{json.Number("123456789012345678901")}},
			`[1.50,[123456789012345678901]]`},
		{"plain data like a placeholder", []any{map[string]any{"_placeholder": true, "num": 5}},
			`[{"_placeholder":true,"num":5}]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := packet.Marshal(c.args...)
			if err != nil || string(got.JSON) != c.want || got.Attachments != nil {
				t.Errorf("got %s %q, %v, want %s", got.JSON, got.Attachments, err, c.want)
			}
		})
	}
}

func TestMarshal_MakesAttachmentsOfBytesAnywhere(t *testing.T) {
	got, err := packet.Marshal(
		[]byte("a"),
		map[string]any{"z": []any{1, []byte("c")}, "k": []byte("b")},
		person{Name: "Ada", Photo: []byte("d"), Friend: &person{Name: "Bob", Photo: []byte{}}},
		[][]byte{[]byte("e"), nil, {}},
		"_placeholder",
	)
	want := list(`[`+ph0+`,{"k":`+ph1+`,"z":[1,`+ph2+`]},`+
		`{"name":"Ada","photo":{"_placeholder":true,"num":3},"Friend":{"name":"Bob","Friend":null}},`+
		`[{"_placeholder":true,"num":4},null,{"_placeholder":true,"num":5}],"_placeholder"]`,
		"a", "b", "c", "d", "e", "")
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %s %q, %v, want %s", got.JSON, got.Attachments, err, want.JSON)
	}
}

func TestMarshal_KeepsAttachmentsWithoutCopying(t *testing.T) {
	data := []byte("large")
	got, err := packet.Marshal(map[string]any{"k": data})
	if err != nil || len(got.Attachments) != 1 || &got.Attachments[0][0] != &data[0] {
		t.Errorf("got %q, %v", got.Attachments, err)
	}
}

func TestMarshal_RefusesWhatCannotTravel(t *testing.T) {
	cycle := map[string]any{}
	cycle["self"] = cycle
	for _, args := range [][]any{
		{make(chan int)},
		{"a", func() {}},
		{map[string]any{"k": complex(1, 2)}},
		{json.RawMessage(`{"k":`)},
		{cycle},
	} {
		if got, err := packet.Marshal(args...); err == nil {
			t.Errorf("%T: got %s", args[len(args)-1], got.JSON)
		}
	}
	for _, args := range [][]any{
		{[]byte{1}, map[string]any{"_placeholder": true, "num": 0}},
		{map[string]any{"_placeholder": true, "num": 9, "around": []byte{1}}},
	} {
		if _, err := packet.Marshal(args...); !errors.Is(err, packet.ErrPlaceholder) {
			t.Errorf("%v: got %v", args, err)
		}
	}
}

func TestMarshal_IsSafeForConcurrentUse(t *testing.T) {
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			data := []byte{byte(i)}
			for range 100 {
				got, err := packet.Marshal(map[string]any{"k": data, "l": [][]byte{data}})
				if err != nil || len(got.Attachments) != 2 || got.Attachments[0][0] != byte(i) {
					t.Errorf("%d: got %q, %v", i, got.Attachments, err)
					return
				}
			}
		})
	}
	group.Wait()
}
