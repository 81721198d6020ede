package socketio_test

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/gorilla/websocket"
)

// poller is a client at the level of Socket.IO's bytes that polls. It speaks revision 3 or 4.
type poller struct {
	t        testing.TB
	url      string
	revision string
	sid      string
	inbox    []string // packets polled and not yet asked for
}

// poll opens a polling session.
func poll(t testing.TB, url, revision string) *poller {
	t.Helper()
	p := &poller{t: t, url: url + "/socket.io/?transport=polling&EIO=" + revision, revision: revision}
	open := p.next()
	p.sid = strings.Split(open, `"`)[3]
	p.url += "&sid=" + p.sid
	return p
}

// next returns the next packet but pings.
func (p *poller) next() string {
	p.t.Helper()
	for {
		for len(p.inbox) == 0 {
			p.inbox = p.fetch()
		}
		first := p.inbox[0]
		p.inbox = p.inbox[1:]
		switch {
		case first == "2" && p.revision == "4":
			p.post("3")
		case first != "6":
			return first
		}
	}
}

// fetch polls once.
func (p *poller) fetch() []string {
	p.t.Helper()
	return p.split(p.body(http.Get(p.url)))
}

// split takes a payload apart.
func (p *poller) split(payload string) []string {
	p.t.Helper()
	if p.revision == "4" {
		return strings.Split(payload, "\x1e")
	}
	var packets []string
	for payload != "" {
		length, rest, _ := strings.Cut(payload, ":")
		n, err := strconv.Atoi(length)
		units := utf16.Encode([]rune(rest))
		if err != nil || n > len(units) {
			p.t.Fatalf("payload %q", payload)
		}
		packets = append(packets, string(utf16.Decode(units[:n])))
		payload = string(utf16.Decode(units[n:]))
	}
	return packets
}

// post sends packets in one request.
func (p *poller) post(packets ...string) {
	p.t.Helper()
	body := strings.Join(packets, "\x1e")
	if p.revision == "3" {
		body = ""
		for _, packet := range packets {
			body += strconv.Itoa(len(utf16.Encode([]rune(packet)))) + ":" + packet
		}
	}
	if got := p.body(http.Post(p.url, "text/plain;charset=UTF-8", strings.NewReader(body))); got != "ok" {
		p.t.Fatalf("POST was answered %q", got)
	}
}

// expect reads the given packets, in this order and none between them.
func (p *poller) expect(packets ...string) {
	p.t.Helper()
	for _, want := range packets {
		if got := p.next(); got != want {
			p.t.Fatalf("polled %.200q, want %.200q", got, want)
		}
	}
}

func (p *poller) body(resp *http.Response, err error) string {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		p.t.Fatalf("%s %q %v", resp.Status, text, err)
	}
	return string(text)
}

// probe opens a WebSocket beside the polling and has it answered; what is polled meanwhile is kept.
func (p *poller) probe() *peer {
	p.t.Helper()
	ws, resp, err := websocket.DefaultDialer.Dial(strings.Replace(strings.Replace(p.url, "http", "ws", 1),
		"transport=polling", "transport=websocket", 1), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	_ = resp.Body.Close()
	p.t.Cleanup(func() { _ = ws.Close() })
	next := &peer{t: p.t, ws: ws}
	next.send("2probe")
	next.expect("3probe")
	return next
}

// upgrade moves the session to a WebSocket: what the last poll brings comes before what the WebSocket does.
func (p *poller) upgrade() *peer {
	p.t.Helper()
	next := p.probe()
	p.inbox = append(p.inbox, p.fetch()...) // ends by itself, with a noop where nothing else comes
	next.send("5")
	return next
}
