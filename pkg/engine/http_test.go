package engine_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
)

func TestHandshake_PollingAnswer(t *testing.T) {
	s := start(t, engine.Config{MaxPayload: 1000, Tag: func() string { return "ab-_" }})
	a := s.do("GET", "EIO=4&transport=polling", "")
	body := `^0\{"sid":"ab-_[A-Za-z0-9_-]{16}","upgrades":\["websocket"\],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000\}$`
	if a.status != 200 || !regexp.MustCompile(body).MatchString(a.body) {
		t.Errorf("got %d %q", a.status, a.body)
	}
	for name, want := range map[string]string{
		"Content-Type": "text/plain; charset=UTF-8", "Cache-Control": "no-store", "Content-Length": "115",
		"Set-Cookie": "", "X-Xss-Protection": "",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	for _, agent := range []string{"Mozilla/5.0 (compatible ;MSIE 10)", "Mozilla/5.0 (Windows NT 6.3; Trident/7.0)"} {
		ie := s.do("GET", "EIO=4&transport=polling", "", "User-Agent", agent)
		if got := ie.header.Get("X-Xss-Protection"); got != "0" {
			t.Errorf("X-XSS-Protection for %s: %q", agent, got)
		}
	}
}

func TestHandshake_CookieIsThatOfAPollingHandshake(t *testing.T) {
	s := start(t, engine.Config{Cookie: &http.Cookie{Name: "io", Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}})
	first := s.do("GET", "EIO=4&transport=polling", "")
	session := (<-s.opened).session
	if got, want := first.header.Get("Set-Cookie"), "io="+session.ID()+"; Path=/; HttpOnly; SameSite=Lax"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := s.do("POST", "EIO=4&transport=polling&sid="+session.ID(), "4x").header.Get("Set-Cookie"); got != "" {
		t.Errorf("a later request sets %q", got)
	}
}

func TestHandshake_AnEmptySidIsNone(t *testing.T) {
	s := start(t, engine.Config{})
	a := s.do("GET", "EIO=4&transport=polling&sid=&t=abc", "")
	if a.status != 200 || !strings.HasPrefix(a.body, `0{"sid":"`) {
		t.Errorf("got %d %q", a.status, a.body)
	}
}

func TestHandshake_ControlCharactersInTheOrigin(t *testing.T) {
	s := start(t, engine.Config{})
	conn := s.raw("GET /engine.io/?EIO=4&transport=polling HTTP/1.1\nHost: x\nOrigin: http://a\x01b\n\n")
	if a := readResponse(t, conn); a.status != 400 {
		t.Errorf("got %d %q", a.status, a.body)
	}
}

func TestHandshake_UpgradesOfOneTransport(t *testing.T) {
	s := start(t, engine.Config{Transports: []string{"polling"}})
	if a := s.do("GET", "EIO=4&transport=polling", ""); !strings.Contains(a.body, `"upgrades":[],`) {
		t.Errorf("got %q", a.body)
	}
	a := s.do("GET", "EIO=4&transport=websocket", "", upgradeHeaders()...)
	s.wantAnswer("upgrade without the transport", a, 400, `{"code":0,"message":"Transport unknown"}`)

	s = start(t, engine.Config{Transports: []string{"websocket"}})
	a = s.do("GET", "EIO=4&transport=polling", "")
	s.wantAnswer("polling without the transport", a, 400, `{"code":0,"message":"Transport unknown"}`)
}

func upgradeHeaders(more ...string) []string {
	return append([]string{
		"Connection", "Upgrade", "Upgrade", "websocket",
		"Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==",
	}, more...)
}

func TestRequest_Errors(t *testing.T) {
	s := start(t, engine.Config{})
	sid := s.poll().session.ID()
	const (
		unknownTransport = `{"code":0,"message":"Transport unknown"}`
		unknownSession   = `{"code":1,"message":"Session ID unknown"}`
		badMethod        = `{"code":2,"message":"Bad handshake method"}`
		badRequest       = `{"code":3,"message":"Bad request"}`
		unsupported      = `{"code":5,"message":"Unsupported protocol version"}`
	)
	for _, c := range []struct {
		method, query string
		status        int
		body          string
	}{
		{"GET", "transport=polling", 400, unsupported},
		{"GET", "EIO=3&transport=polling", 400, unsupported},
		{"GET", "EIO=5&transport=polling", 400, unsupported},
		{"GET", "EIO=04&transport=polling", 400, unsupported},
		{"GET", "EIO=4&EIO=3&transport=polling", 400, unsupported},
		{"GET", "eio=4&transport=polling", 400, unsupported},
		{"POST", "EIO=3&transport=polling", 400, badMethod},
		{"GET", "EIO=4", 400, unknownTransport},
		{"GET", "EIO=4&transport=tobi", 400, unknownTransport},
		{"GET", "EIO=4&transport=Polling", 400, unknownTransport},
		{"GET", "EIO=4&transport=webtransport", 400, unknownTransport},
		{"GET", "EIO=4&transport=polling&sid=nope", 400, unknownSession},
		{"POST", "EIO=4&transport=polling&sid=__proto__", 400, unknownSession},
		{"POST", "EIO=4&transport=polling", 400, badMethod},
		{"PUT", "EIO=4&transport=polling", 400, badMethod},
		{"OPTIONS", "EIO=4&transport=polling", 400, badMethod},
		{"HEAD", "EIO=4&transport=polling", 400, ""},
		{"GET", "EIO=4&transport=websocket", 400, badRequest},
		{"GET", "EIO=4&transport=websocket&sid=" + sid, 400, badRequest},
		{"GET", "EIO=3&transport=polling&sid=" + sid, 400, badRequest},
		{"PUT", "EIO=4&transport=polling&sid=" + sid, 500, ""},
		{"DELETE", "EIO=4&transport=polling&sid=" + sid, 500, ""},
		{"OPTIONS", "EIO=4&transport=polling&sid=" + sid, 500, ""},
		{"HEAD", "EIO=4&transport=polling&sid=" + sid, 500, ""},
		{"POST", "EIO=4&transport=polling&sid=nope&sid=" + sid, 200, "ok"}, // the last one counts, the session lives on
	} {
		what := c.method + " " + c.query
		a := s.do(c.method, c.query, "3")
		s.wantAnswer(what, a, c.status, c.body)
		if strings.HasPrefix(c.body, "{") && a.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: Content-Type %q", what, a.header.Get("Content-Type"))
		}
		if a.status != 200 && a.header.Get("Cache-Control") != "" {
			t.Errorf("%s: Cache-Control on an error", what)
		}
	}
}

func TestUpgrade_ErrorsBeforeThe101(t *testing.T) {
	s := start(t, engine.Config{})
	sid := s.poll().session.ID()
	for _, c := range []struct {
		method, query string
		header        []string
		message       string
	}{
		{"GET", "EIO=4&transport=foo", nil, "Transport unknown"},
		{"GET", "EIO=4&transport=websocket&sid=zz", nil, "Session ID unknown"},
		{"GET", "EIO=3&transport=websocket&sid=" + sid, nil, "Bad request"},
		{"GET", "EIO=3&transport=websocket", nil, "Unsupported protocol version"},
		{"POST", "EIO=4&transport=websocket", nil, "Bad handshake method"},
		{"POST", "EIO=4&transport=websocket&sid=" + sid, nil, "Bad handshake method"},
		{"GET", "EIO=4&transport=websocket", []string{"Sec-WebSocket-Key", "x"}, "Missing or invalid Sec-WebSocket-Key header"},
		{"GET", "EIO=4&transport=websocket", []string{"Sec-WebSocket-Version", "12"}, "Missing or invalid Sec-WebSocket-Version header"},
	} {
		a := s.do(c.method, c.query, "", upgradeHeaders(c.header...)...)
		s.wantAnswer(c.method+" "+c.query, a, 400, c.message)
		if a.header.Get("Content-Type") != "text/html" || a.header.Get("Content-Length") != fmt.Sprint(len(c.message)) {
			t.Errorf("%s: headers %v", c.query, a.header)
		}
		if versions := a.header.Get("Sec-WebSocket-Version"); (versions == "13, 8") != strings.Contains(c.message, "Version") {
			t.Errorf("%s: Sec-WebSocket-Version %q", c.query, versions)
		}
	}
}

func TestUpgrade_NamingPollingIsAcceptedAndClosed(t *testing.T) {
	s := start(t, engine.Config{})
	s.ws("EIO=4&transport=polling").wantClose(1005)
}

func TestUpgrade_HandshakeHeaders(t *testing.T) {
	s := start(t, engine.Config{Headers: func(r *http.Request, h http.Header) { h.Set("X-Test", r.Header.Get("Origin")) }})
	ws := s.ws("EIO=4&transport=websocket", "Sec-WebSocket-Protocol", "a, b", "Origin", "http://x.y")
	for name, want := range map[string]string{
		"Sec-Websocket-Protocol": "a", "X-Test": "http://x.y", "Sec-Websocket-Extensions": "",
	} {
		if got := ws.header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestUpgrade_Version8AndFramesBeforeThe101(t *testing.T) {
	s := start(t, engine.Config{}, func(c *client) { c.echo = true })
	conn := s.raw("GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\nHost: x\nConnection: Upgrade\nUpgrade: websocket\n" +
		"Sec-WebSocket-Version: 8\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n" +
		"\x81\x82\x00\x00\x00\x004x")
	got := readUntil(t, conn, "\x81\x024x")
	if !strings.HasPrefix(got, "HTTP/1.1 101 ") || !strings.Contains(got, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") {
		t.Errorf("answer %q", got)
	}
}

func TestCheck_RefusesWithHeadersOnEveryAnswer(t *testing.T) {
	refusal := &engine.Refusal{Status: 403, Code: 4, Message: "Forbidden", RetryAfter: 1500 * time.Millisecond}
	s := start(t, engine.Config{
		Check: func(r *http.Request) *engine.Refusal {
			if r.Header.Get("Origin") == "http://evil" {
				return refusal
			}
			return nil
		},
		Headers: func(_ *http.Request, h http.Header) { h.Set("Access-Control-Allow-Origin", "*") },
	})
	plain := s.do("GET", "EIO=4&transport=polling", "", "Origin", "http://evil")
	s.wantAnswer("polling", plain, 403, `{"code":4,"message":"Forbidden"}`)
	upgrade := s.do("GET", "EIO=4&transport=websocket", "", upgradeHeaders("Origin", "http://evil")...)
	s.wantAnswer("upgrade", upgrade, 400, "Forbidden")
	for _, a := range []answer{plain, upgrade} {
		if a.header.Get("Retry-After") != "2" || a.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("headers %v", a.header)
		}
	}
	ok := s.do("GET", "EIO=4&transport=polling", "", "Origin", "http://good")
	if ok.status != 200 || ok.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("accepted: %d %v", ok.status, ok.header)
	}
}

func TestUnknown_IsAskedForForeignSessionsButNotByLocal(t *testing.T) {
	var local http.Handler
	s := start(t, engine.Config{Unknown: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Relayed") != "" {
			local.ServeHTTP(w, r)
			return
		}
		w.WriteHeader(299)
	})})
	local = s.Local()
	if a := s.do("GET", "EIO=4&transport=polling&sid=elsewhere", ""); a.status != 299 {
		t.Errorf("unknown session: %d", a.status)
	}
	a := s.do("GET", "EIO=4&transport=polling&sid=elsewhere", "", "X-Relayed", "1")
	s.wantAnswer("relayed", a, 400, `{"code":1,"message":"Session ID unknown"}`)
}

func TestRefuse_OpenSessionsGoOn(t *testing.T) {
	s := start(t, engine.Config{}, func(c *client) { c.echo = true })
	p := s.poll()
	s.Refuse()
	if a := s.do("GET", "EIO=4&transport=polling", ""); a.status != 503 || a.header.Get("Retry-After") == "" {
		t.Errorf("handshake: %d %v", a.status, a.header)
	}
	p.wantPosted("4on")
	s.wantAnswer("poll", p.get(), 200, "4on")
}

func TestHandshake_IsKept(t *testing.T) {
	s := start(t, engine.Config{Client: func(*http.Request) (string, bool) { return "192.0.2.7", true }})
	before := time.Now()
	a := s.do("GET", "EIO=4&transport=polling&token=a%20b", "", "Origin", "http://x", "X-Two", "1: 2", "Cookie", "a=b")
	if a.status != 200 {
		t.Fatal(a.body)
	}
	h := (<-s.opened).session.Handshake()
	if h.Address != "192.0.2.7" || !h.Secure || !h.XDomain || h.URL != "/engine.io/?EIO=4&transport=polling&token=a%20b" {
		t.Errorf("%+v", h)
	}
	if h.Query.Get("token") != "a b" || h.Headers.Get("X-Two") != "1: 2" || h.Headers.Get("Cookie") != "a=b" {
		t.Errorf("%+v", h)
	}
	if !strings.HasPrefix(h.Headers.Get("Host"), "127.0.0.1:") {
		t.Errorf("Host %q", h.Headers.Get("Host"))
	}
	if h.Time.Before(before.Add(-time.Second)) || h.Time.After(time.Now().Add(time.Second)) {
		t.Errorf("time %v", h.Time)
	}
}

func TestHandshake_TellsOfTheConnectionWhenNobodyKnowsBetter(t *testing.T) {
	s := start(t, engine.Config{})
	if a := s.do("GET", "EIO=4&transport=polling", ""); a.status != 200 {
		t.Fatal(a.body)
	}
	if h := (<-s.opened).session.Handshake(); h.Address != "127.0.0.1" || h.Secure || h.XDomain {
		t.Errorf("%+v", h)
	}
}

func TestNew_RefusesWhatCannotWork(t *testing.T) {
	for name, config := range map[string]engine.Config{
		"transport": {Transports: []string{"carrier pigeon"}},
		"interval":  {PingInterval: -1},
		"payload":   {MaxPayload: -1},
		"tag":       {Tag: func() string { return "abc" }},
		"tag glob":  {Tag: func() string { return "ab*d" }},
	} {
		if _, err := engine.New(nil, config); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
