package engine

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/carillon-io/carillon/internal/eioproto"
	"github.com/carillon-io/carillon/internal/frame"
	"github.com/carillon-io/carillon/internal/wsconn"
)

// request is what the query says.
type request struct {
	sid       string
	transport string
	revision  eioproto.Revision
	base64    bool
	jsonp     bool
	callback  string
	upgrade   bool
}

func readRequest(r *http.Request) request {
	query := ParseQuery(r.URL.RawQuery)
	q := request{
		sid:       query.Get("sid"),
		transport: query.Get("transport"),
		revision:  3, // as with Node's server, whatever else the client says
		base64:    query.Get("b64") != "",
		upgrade:   wsconn.Requested(r),
	}
	if query.Get("EIO") == "4" {
		q.revision = 4
	}
	if query.Has("j") {
		q.jsonp, q.callback = true, eioproto.JSONPIndex(query.Get("j"))
	}
	return q
}

// label is the transport as a metric names it.
func (q request) label() string {
	if q.upgrade || q.transport == transportWebSocket {
		return transportWebSocket
	}
	return transportPolling
}

// webSocketCodec: a client that polls without binary may well take it on a WebSocket.
func (q request) webSocketCodec() frame.Codec {
	return frame.Codec{Revision: q.revision, Base64: q.base64}
}

// ParseQuery reads a query string as browsers and Node do: of parameters with one name the last counts, a semicolon is a
// character like any other, and a percent sign that begins no escape stays. Each name has one value.
func ParseQuery(query string) url.Values {
	values := url.Values{}
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		values[unescape(name)] = []string{unescape(value)}
	}
	return values
}

// unescape decodes a name or value of a query. Bytes that are not UTF-8 become U+FFFD.
func unescape(text string) string {
	if !strings.ContainsAny(text, "+%") {
		return strings.ToValidUTF8(text, "\ufffd")
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '+':
			out = append(out, ' ')
		case c == '%' && i+2 < len(text) && isHex(text[i+1]) && isHex(text[i+2]):
			out = append(out, fromHex(text[i+1])<<4|fromHex(text[i+2]))
			i += 2
		default:
			out = append(out, c)
		}
	}
	return strings.ToValidUTF8(string(out), "\ufffd")
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func fromHex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
