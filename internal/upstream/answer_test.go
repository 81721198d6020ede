package upstream

import (
	"errors"
	"strings"
	"testing"
)

var testLimits = answerLimits{bytes: 200, depth: 3, attachments: 2}

func TestAnswer_WhatIsTakenAndWhatIsNot(t *testing.T) {
	for name, c := range map[string]struct {
		fields map[string]any
		json   string
		err    error
	}{
		"a list":                  {map[string]any{"t": "ack", "a": "tok", "data": `[1, "x"]`}, `[1, "x"]`, nil},
		"an empty list":           {map[string]any{"t": "ack", "a": "tok", "data": `[]`}, `[]`, nil},
		"unknown fields":          {map[string]any{"t": "ack", "a": "tok", "data": `[]`, "b1": "x", "z": "y"}, `[]`, nil},
		"an attachment":           {map[string]any{"t": "ack", "a": "tok", "data": `[{"num":0,"_placeholder":true}]`, "b0": "\x00"}, `[{"_placeholder":true,"num":0}]`, nil},
		"no kind":                 {map[string]any{"a": "tok", "data": `[]`}, "", errAnswerKind},
		"another kind":            {map[string]any{"t": "nack", "a": "tok", "data": `[]`}, "", errAnswerKind},
		"no token":                {map[string]any{"t": "ack", "data": `[]`}, "", errAnswerToken},
		"a long token":            {map[string]any{"t": "ack", "a": strings.Repeat("t", 129), "data": `[]`}, "", errAnswerToken},
		"no data":                 {map[string]any{"t": "ack", "a": "tok"}, "", errAnswerData},
		"no JSON":                 {map[string]any{"t": "ack", "a": "tok", "data": `[1,`}, "", errAnswerData},
		"more behind":             {map[string]any{"t": "ack", "a": "tok", "data": `[1] 2`}, "", errAnswerData},
		"no list":                 {map[string]any{"t": "ack", "a": "tok", "data": `{"ok":true}`}, "", errAnswerData},
		"too deep":                {map[string]any{"t": "ack", "a": "tok", "data": `[[[[1]]]]`}, "", errAnswerData},
		"no UTF-8":                {map[string]any{"t": "ack", "a": "tok", "data": "[\"\xff\"]"}, "", errAnswerData},
		"too large":               {map[string]any{"t": "ack", "a": "tok", "data": `["` + strings.Repeat("x", 200) + `"]`}, "", errAnswerSize},
		"too large an attachment": {map[string]any{"t": "ack", "a": "tok", "data": `[]`, "b0": strings.Repeat("x", 200)}, "", errAnswerSize},
		"a placeholder of none":   {map[string]any{"t": "ack", "a": "tok", "data": `[{"_placeholder":true,"num":1}]`, "b0": "x"}, "", errAnswerData},
		"too many attachments":    {map[string]any{"t": "ack", "a": "tok", "data": `[]`, "b0": "", "b1": "", "b2": ""}, "", errAnswerData},
	} {
		t.Run(name, func(t *testing.T) {
			token, args, err := testLimits.parse(c.fields)
			switch {
			case !errors.Is(err, c.err):
				t.Errorf("error %v, want %v", err, c.err)
			case err == nil && (token != "tok" || string(args.JSON) != c.json):
				t.Errorf("token %q, arguments %s", token, args.JSON)
			}
		})
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add("ack", "tok", `[1]`, "", false)
	f.Add("ack", "tok", `[{"_placeholder":true,"num":0}]`, "\x00", true)
	f.Add("ack", "tok", `3["`, "4", true)
	f.Fuzz(func(t *testing.T, kind, token, data, bytes string, attached bool) {
		fields := map[string]any{"t": kind, "a": token, "data": data}
		if attached {
			fields["b0"] = bytes
		}
		_, args, err := testLimits.parse(fields)
		if err == nil && (len(args.JSON) == 0 || args.JSON[0] != '[' || len(args.JSON) > 3*len(data)) {
			t.Errorf("%q is read as %q", data, args.JSON)
		}
	})
}
