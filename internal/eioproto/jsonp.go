package eioproto

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
)

// JSONPIndex keeps the digits of the j parameter, so that nothing of the client's choice runs as a script.
func JSONPIndex(j string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, j)
}

// JSONPCall wraps a text payload as the script a JSONP client loads.
func JSONPCall(index string, payload []byte) ([]byte, error) {
	var script bytes.Buffer
	script.WriteString("___eio[" + index + "](")
	encoder := json.NewEncoder(&script)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(string(payload)); err != nil {
		return nil, err
	}
	script.Truncate(script.Len() - 1) // the encoder's newline
	script.WriteString(");")
	return script.Bytes(), nil
}

// JSONPBody unwraps a form post. Browsers turn line feeds in form fields into CRLF, so the client sends them as \n and
// a literal \n as \\n. A form without the field is no payload: ok is false.
func JSONPBody(form []byte) (payload []byte, ok bool) {
	values, err := url.ParseQuery(string(form))
	if err != nil || !values.Has("d") {
		return nil, false
	}
	d := values.Get("d")
	out := make([]byte, 0, len(d))
	for i := 0; i < len(d); i++ {
		switch {
		case strings.HasPrefix(d[i:], `\\n`):
			out = append(out, `\n`...)
			i += 2
		case strings.HasPrefix(d[i:], `\n`):
			out = append(out, '\n')
			i++
		default:
			out = append(out, d[i])
		}
	}
	return out, true
}
