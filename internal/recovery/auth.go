package recovery

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// Claim is what a client that comes back says about its session; empty texts where it says nothing.
type Claim struct {
	PID    string
	Offset string // the last one it received
}

// CutClaim takes the members pid and offset out of the JSON object that a client sent with CONNECT: they are secrets, and
// no part of what the application asked its client for. rest is nil where nothing else is left, and auth itself where
// there was neither.
func CutClaim(auth []byte) (rest []byte, claim Claim) {
	if !bytes.Contains(auth, []byte("pid")) && !bytes.Contains(auth, []byte("offset")) && !bytes.ContainsRune(auth, '\\') {
		return auth, Claim{}
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(auth), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if token, err := d.ReadToken(); err != nil || token.Kind() != jsontext.KindBeginObject {
		return auth, Claim{}
	}
	kept := make([]byte, 1, len(auth))
	kept[0] = '{'
	found := false
	for d.PeekKind() != jsontext.KindEndObject {
		spelling, err := d.ReadValue()
		if err != nil {
			return auth, Claim{}
		}
		name, _ := jsontext.AppendUnquote(nil, spelling) // what is no UTF-8 in it is replaced
		written := bytes.Clone(spelling)
		value, err := d.ReadValue()
		if err != nil {
			return nil, Claim{}
		}
		switch string(name) {
		case "pid":
			found, claim.PID = true, text(value)
		case "offset":
			found, claim.Offset = true, text(value)
		default:
			if len(kept) > 1 {
				kept = append(kept, ',')
			}
			kept = append(append(append(kept, written...), ':'), value...)
		}
	}
	switch {
	case !found:
		return auth, Claim{}
	case len(kept) == 1:
		return nil, claim
	}
	return append(kept, '}'), claim
}

// text is the value of a JSON string; empty for any other value.
func text(value jsontext.Value) string {
	if value.Kind() != jsontext.KindString {
		return ""
	}
	unquoted, _ := jsontext.AppendUnquote(nil, value)
	return string(unquoted)
}
