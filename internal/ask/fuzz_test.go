package ask

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzAnswer reads anything as a yes and as a no.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{`{"rooms":["a"],"claims":{"sub":"ada"}}`, `{"message":"no"}`, `{"rooms":null}`, `[]`, `null`, `<html>`, ``} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if yes, err := parseAdmission(body); err == nil && yes.Claims != nil {
			var claims map[string]any
			if json.Unmarshal(yes.Claims, &claims) != nil || claims == nil {
				t.Fatalf("%q: claims %q", body, yes.Claims)
			}
		}
		no, err := parseDenied(body)
		if err == nil && (len(no.Message) > maxMessage || !utf8.ValidString(no.Message)) {
			t.Fatalf("%q: message %q", body, strings.ToValidUTF8(no.Message, "?"))
		}
	})
}
