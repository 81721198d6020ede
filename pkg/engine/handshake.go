package engine

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unique"
)

// Handshake is what is kept of a session's first request. It is parsed on demand.
type Handshake struct {
	Time    time.Time
	Address string // without port
	Secure  bool
	XDomain bool        // an Origin header was there
	URL     string      // path and query
	Query   url.Values  // as ParseQuery reads it
	Headers http.Header // Host included
}

// maxHandshake is how large a request may be that opens a session: its path, query and headers are kept for the session's
// life. net/http's own default is 1 MB.
const maxHandshake = 20 << 10

// kept is what a session keeps of its first request.
type kept struct {
	own    string                // address, path and query, and the headers that differ from client to client, a line each
	common unique.Handle[string] // the lines of the other headers, which many sessions share
	secure bool
}

// commonHeaders have the same values for all clients that use the same browser on the same page.
var commonHeaders = map[string]bool{
	"Accept": true, "Accept-Encoding": true, "Accept-Language": true, "Cache-Control": true, "Connection": true, "Dnt": true,
	"Origin": true, "Pragma": true, "Priority": true, "Referer": true, "Sec-Ch-Ua": true, "Sec-Ch-Ua-Mobile": true,
	"Sec-Ch-Ua-Platform": true, "Sec-Fetch-Dest": true, "Sec-Fetch-Mode": true, "Sec-Fetch-Site": true, "Sec-Gpc": true,
	"Sec-Websocket-Extensions": true, "Sec-Websocket-Protocol": true, "Sec-Websocket-Version": true, "Upgrade": true,
	"User-Agent": true, "Via": true, "X-Forwarded-Host": true, "X-Forwarded-Proto": true, "X-Forwarded-Port": true,
}

// keep flattens a request. Nothing in it can hold a line feed: net/http refuses such requests.
func keep(r *http.Request, address string, secure bool) kept {
	var own, common strings.Builder
	own.WriteString(address + "\n" + r.RequestURI)
	common.WriteString("\nHost:" + r.Host)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		b := &own
		if commonHeaders[name] {
			b = &common
		}
		for _, v := range r.Header[name] {
			b.WriteString("\n" + name + ":" + v)
		}
	}
	return kept{strings.Clone(own.String()), unique.Make(common.String()), secure}
}

func (k *kept) size() int { return len(k.own) + len(k.common.Value()) }

// byOkHTTP reports whether the client is built on OkHttp.
func (k *kept) byOkHTTP() bool { return strings.Contains(k.common.Value(), "\nUser-Agent:okhttp/") }

func (k *kept) address() string {
	address, _, _ := strings.Cut(k.own, "\n")
	return address
}

// parse returns all but the time.
func (k *kept) parse() Handshake {
	address, rest, _ := strings.Cut(k.own, "\n")
	target, lines, _ := strings.Cut(rest, "\n")
	h := Handshake{Address: address, Secure: k.secure, URL: target, Headers: http.Header{}}
	for line := range strings.SplitSeq(lines+k.common.Value(), "\n") {
		if name, value, found := strings.Cut(line, ":"); found {
			h.Headers[name] = append(h.Headers[name], value)
		}
	}
	h.XDomain = h.Headers.Get("Origin") != ""
	_, query, _ := strings.Cut(target, "?")
	h.Query = ParseQuery(query)
	return h
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
