package bytesjson_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/bytesjson"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

var limits = bytesjson.Limits{Depth: 5, Attachments: 2}

func TestParse_ReadsLists(t *testing.T) {
	for text, want := range map[string]struct {
		json        string
		attachments string
		back        string // empty: text
	}{
		`[]`:                                {json: `[]`},
		` [ 1 , "a" ,null,true,false ] `:    {json: `[1,"a",null,true,false]`, back: `[1,"a",null,true,false]`},
		`[1.0,-0,1e3,12345678901234567890]`: {json: `[1.0,-0,1e3,12345678901234567890]`},
		`[{"b":{},"a":[{}]}]`:               {json: `[{"b":{},"a":[{}]}]`},
		`[{"$bytes":"AAE="}]`:               {json: `[{"_placeholder":true,"num":0}]`, attachments: "\x00\x01"},
		`[{"$bytes":""},{"x":{"$bytes":"/w=="}}]`: {
			json: `[{"_placeholder":true,"num":0},{"x":{"_placeholder":true,"num":1}}]`, attachments: "|\xff"},
		`[{"_placeholder":true,"num":0}]`: {json: `[{"_placeholder":true,"num":0}]`},
		`["\u00e4\ud83c\udf88"]`:          {json: `["ä🎈"]`, back: `["ä🎈"]`},
		`["{\"_placeholder\":true"]`:      {json: `["{\"_placeholder\":true"]`},
	} {
		args, err := bytesjson.Parse([]byte(text), limits)
		var attachments []string
		for _, a := range args.Attachments {
			attachments = append(attachments, string(a))
		}
		if err != nil || string(args.JSON) != want.json || strings.Join(attachments, "|") != want.attachments {
			t.Errorf("%s: %s %q, %v", text, args.JSON, attachments, err)
		}
		back := want.back
		if back == "" {
			back = text
		}
		if got := bytesjson.Append(nil, args); string(got) != back {
			t.Errorf("%s: written back as %s", text, got)
		}
	}
}

func TestParse_SaysWhatItRefuses(t *testing.T) {
	for text, want := range map[string]string{
		``:                             "ends too early",
		`{}`:                           "must be a list",
		`null`:                         "must be a list",
		`"x"`:                          "must be a list",
		`[1`:                           "not valid JSON",
		`[1,]`:                         "not valid JSON",
		`[1] 2`:                        "something follows",
		`[01]`:                         "not valid JSON",
		"[\"\xff\"]":                   "not valid JSON",
		`["\ud800"]`:                   "not valid JSON",
		`[{"a":1,"a":2}]`:              "not valid JSON",
		`[1e999]`:                      "no double",
		`[[[[[[]]]]]]`:                 "too deep",
		`[{"a":{"a":{"a":{"a":{}}}}}]`: "too deep",
		`[{"$bytes":1}]`:               "$bytes",
		`[{"$bytes":"a"}]`:             "$bytes",
		`[{"$bytes":"AAF="}]`:          "$bytes",
		`[{"$bytes":"AAE=","x":1}]`:    "$bytes",
		`[{"x":1,"$bytes":"AAE="}]`:    "$bytes",
		`[{"$bytes":""},{"$bytes":""},{"$bytes":""}]`:   "more binary values",
		`[{"$bytes":""},{"_placeholder":true,"num":0}]`: "placeholder",
	} {
		args, err := bytesjson.Parse([]byte(text), limits)
		if err == nil || !strings.Contains(err.Error(), want) || args.JSON != nil {
			t.Errorf("%s: %s, %v", text, args.JSON, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{`[]`, `[{"$bytes":"AAE="},{"a":[1,"x",null]}]`, `[{"_placeholder":true,"num":0}]`, `[1e999]`, `[{"$bytes"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		args, err := bytesjson.Parse(text, limits)
		if err != nil {
			return
		}
		if len(args.Attachments) > limits.Attachments || !json.Valid(args.JSON) {
			t.Fatalf("%q: %q %q", text, args.JSON, args.Attachments)
		}
		again, err := bytesjson.Parse(bytesjson.Append(nil, args), limits)
		if err != nil && !errors.Is(err, packet.ErrPlaceholder) {
			t.Fatalf("%q: written as %q, which is refused: %v", text, bytesjson.Append(nil, args), err)
		}
		if string(again.JSON) != string(args.JSON) || len(again.Attachments) != len(args.Attachments) {
			t.Fatalf("%q: %q and again %q", text, args.JSON, again.JSON)
		}
	})
}
