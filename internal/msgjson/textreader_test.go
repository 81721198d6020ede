package msgjson_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/carillon-io/carillon/internal/msgjson"
)

func TestTextReader_HandsOutPartsAsTheyAreSpelled(t *testing.T) {
	r := msgjson.NewTextReader([]byte(` { "a" : [ 1.0 , {"x":[]} ] ,"b":"é", "c":["p","q"] } `))
	var parts []string
	r.Object()
	for r.More('}') {
		switch key := string(r.Key()); key {
		case "a":
			parts = append(parts, key, string(r.Raw(3)))
		case "b":
			parts = append(parts, key, string(r.String()))
		default:
			r.Array()
			for r.More(']') {
				parts = append(parts, string(r.String()))
			}
		}
	}
	r.End()
	want, _ := json.Marshal([]string{"a", `[ 1.0 , {"x":[]} ]`, "b", "é", "p", "q"})
	if got, _ := json.Marshal(parts); r.Err() != nil || !bytes.Equal(got, want) {
		t.Errorf("%s, %v", got, r.Err())
	}
}

// What it passes over is JSON in UTF-8, and AppendMsgpack takes it too.
func FuzzTextReader(f *testing.F) {
	for _, text := range []string{`[1,-0.5e+9,"\ud800\n",{"a":null}]`, `{"a":[true,false,{}]}`, `[1,]`, `{"a":1]`, "\"\xff\""} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r := msgjson.NewTextReader(text)
		raw := r.Raw(msgjson.DefaultDepth)
		if r.End(); r.Err() != nil {
			return
		}
		if !json.Valid(raw) {
			t.Fatalf("took %q", text)
		}
		if _, err := msgjson.AppendMsgpack(nil, raw, nil, msgjson.DefaultDepth); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	})
}
