package recovery_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/carillon-io/carillon/internal/recovery"
)

func TestCutClaim(t *testing.T) {
	for _, c := range []struct{ auth, rest, pid, offset string }{
		{``, ``, "", ""},
		{`{}`, `{}`, "", ""},
		{`{"token":"t"}`, `{"token":"t"}`, "", ""},
		{`{"pid":"p","offset":"o"}`, ``, "p", "o"},
		{`{"pid":"p","offset":"o","token":"t"}`, `{"token":"t"}`, "p", "o"},
		{`{ "a" : {"pid":"inner"} , "pid" : "p" , "b" : [1, 2] }`, `{"a":{"pid":"inner"},"b":[1, 2]}`, "p", ""},
		{`{"pid":1,"offset":{"a":2},"x":3}`, `{"x":3}`, "", ""},
		{`{"pid":"first","pid":"second"}`, ``, "second", ""},
		{`{"\u0070id":"p","o\u0066fset":"o","a":1}`, `{"a":1}`, "p", "o"},
		{`{"pid":"p\u00e9\"","offset":""}`, ``, `pé"`, ""},
		{`{"PID":"p","a":"pid"}`, `{"PID":"p","a":"pid"}`, "", ""},
		{`{"a":1e400,"pid":"p"}`, `{"a":1e400}`, "p", ""},
	} {
		rest, claim := recovery.CutClaim([]byte(c.auth))
		if string(rest) != c.rest || claim.PID != c.pid || claim.Offset != c.offset {
			t.Errorf("%s: %s, %+v", c.auth, rest, claim)
		}
	}
}

// Whatever a client sends, neither secret is left in what rules and logs see.
func FuzzCutClaim(f *testing.F) {
	f.Add([]byte(`{"pid":"p","offset":"o","a":{"b":[1]}}`))
	f.Add([]byte(`{"p\u0069d":null,"":0}`))
	f.Fuzz(func(t *testing.T, auth []byte) {
		var before map[string]any
		if json.Unmarshal(auth, &before) != nil {
			return
		}
		kept := bytes.Clone(auth)
		rest, _ := recovery.CutClaim(auth)
		if !bytes.Equal(auth, kept) {
			t.Fatal("changed what it was given")
		}
		if rest == nil {
			return
		}
		var after map[string]any
		if err := json.Unmarshal(rest, &after); err != nil {
			t.Fatalf("%q became %q: %v", auth, rest, err)
		}
		for _, secret := range []string{"pid", "offset"} {
			if _, ok := after[secret]; ok {
				t.Fatalf("%q became %q", auth, rest)
			}
			delete(before, secret)
		}
		if len(before) != len(after) {
			t.Fatalf("%q became %q", auth, rest)
		}
	})
}
