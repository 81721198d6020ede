package engine_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
)

// The questions of the official protocol suites, for both revisions. Their server pings every 300 ms.

// dialect is how one revision writes what both say.
type dialect struct {
	eio     string
	payload func(packets ...string) string
}

var dialects = []dialect{
	{"4", func(packets ...string) string { return strings.Join(packets, "\x1e") }},
	{"3", func(packets ...string) string {
		var b strings.Builder
		for _, p := range packets {
			fmt.Fprintf(&b, "%d:%s", len(p), p)
		}
		return b.String()
	}},
}

func (d dialect) polling() string   { return "EIO=" + d.eio + "&transport=polling" }
func (d dialect) webSocket() string { return "EIO=" + d.eio + "&transport=websocket" }

var suiteConfig = engine.Config{PingInterval: 300 * time.Millisecond, PingTimeout: 200 * time.Millisecond}

// forBoth runs a test for each revision on a server that echoes.
func forBoth(t *testing.T, run func(d dialect, s *server)) {
	for _, d := range dialects {
		t.Run("revision "+d.eio, func(t *testing.T) {
			run(d, start(t, engine.Config{EIO3: d.eio == "3"}, echoing))
		})
	}
}

// forBothInTime is forBoth with the suites' intervals, in a bubble.
func forBothInTime(t *testing.T, run func(d dialect, s *server)) {
	for _, d := range dialects {
		t.Run("revision "+d.eio, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				config := suiteConfig
				config.EIO3 = d.eio == "3"
				run(d, startInBubble(t, config, echoing))
			})
		})
	}
}

func TestSuite_HandshakeOverPolling(t *testing.T) {
	forBothInTime(t, func(d dialect, s *server) {
		a := s.do("GET", d.polling(), "")
		open := regexp.MustCompile(`^(\d+:)?0\{"sid":"[^"]{20}","upgrades":\["websocket"\],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000\}$`)
		if a.status != 200 || !open.MatchString(a.body) {
			s.t.Errorf("got %d %q", a.status, a.body)
		}
		for _, c := range [][2]string{
			{"GET", "EIO=" + d.eio}, {"GET", "EIO=" + d.eio + "&transport=abc"}, {"POST", d.polling()}, {"PUT", d.polling()},
		} {
			if a := s.do(c[0], c[1], ""); a.status != 400 {
				s.t.Errorf("%s %s: %d", c[0], c[1], a.status)
			}
		}
		for _, query := range []string{"transport=polling", "EIO=abc&transport=polling"} {
			if a := s.do("GET", query, ""); d.eio == "4" && a.status != 400 {
				s.t.Errorf("%s: %d", query, a.status)
			}
		}
	})
}

func TestSuite_HandshakeOverWebSocket(t *testing.T) {
	forBothInTime(t, func(d dialect, s *server) {
		ws := s.ws(d.webSocket())
		c := <-s.opened
		ws.want(`0{"sid":"` + c.session.ID() + `","upgrades":[],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}`)
		for _, query := range []string{"EIO=abc&transport=websocket", "EIO=" + d.eio, "EIO=" + d.eio + "&transport=abc"} {
			if d.eio == "3" && strings.HasPrefix(query, "EIO=abc") {
				continue // that is revision 3
			}
			if a := s.do("GET", query, "", upgradeHeaders()...); a.status != 400 {
				s.t.Errorf("upgrade %s: %d", query, a.status)
			}
		}
	})
}

func TestSuite_MessagesOverPolling(t *testing.T) {
	forBoth(t, func(d dialect, s *server) {
		p := s.poll(d.polling())
		for _, packets := range [][]string{{"4hello"}, {"4test1", "4test2", "4test3"}} {
			p.wantPosted(d.payload(packets...))
			s.wantAnswer("poll", p.get(), 200, d.payload(packets...))
		}
		binary := map[string]string{"4": "bAQIDBA==", "3": "b4AQIDBA=="}[d.eio]
		p = s.poll(d.polling() + "&b64=1")
		p.wantPosted(d.payload("4hello", binary))
		s.wantAnswer("poll", p.get(), 200, d.payload("4hello", binary))
	})
}

func TestSuite_BinaryPayloadOfRevision3(t *testing.T) {
	s := start(t, withEIO3, echoing)
	p := s.poll("EIO=3&transport=polling")
	p.wantPosted("6:4hello10:b4AQIDBA==")
	a := p.get()
	s.wantAnswer("poll", a, 200, "\x00\x06\xff4hello\x01\x05\xff\x04\x01\x02\x03\x04")
	if got := a.header.Get("Content-Type"); got != "application/octet-stream" {
		t.Errorf("Content-Type %q", got)
	}
}

func TestSuite_PollingFaultsEndTheSession(t *testing.T) {
	forBoth(t, func(d dialect, s *server) {
		p := s.poll(d.polling())
		p.wantPosted("abc")
		if a := p.get(); a.status != 400 {
			s.t.Errorf("poll after a malformed payload: %d", a.status)
		}

		p = s.poll(d.polling())
		first := p.getWaiting()
		s.wantAnswer("second poll", p.get(), 400, "")
		s.wantAnswer("first poll", <-first, 200, d.payload("1"))
		if a := p.get(); a.status != 400 {
			s.t.Errorf("third poll: %d", a.status)
		}

		p = s.poll(d.polling())
		ctx, cancel := context.WithCancel(s.t.Context())
		aborted := make(chan struct{})
		go func() {
			defer close(aborted)
			_, _ = s.try(ctx, "GET", p.query, "")
		}()
		s.eventually("a poll waits", func() bool { return engine.Polling(p.session) })
		cancel()
		<-aborted
		if a := p.get(); a.status != 400 {
			s.t.Errorf("poll right after an aborted one: %d", a.status)
		}
	})
}

func TestSuite_MessagesOverWebSocket(t *testing.T) {
	forBoth(t, func(d dialect, s *server) {
		ws, c := s.connect(d.webSocket())
		ws.text("4hello")
		ws.want("4hello")
		binary := map[string]string{"4": "\x01\x02\x03\x04", "3": "\x04\x01\x02\x03\x04"}[d.eio]
		ws.binary(binary)
		ws.wantBinary(binary)
		ws.text("abc")
		ws.wantClose(1005)
		s.wantClosed(c, engine.ParseError)
	})
}

func TestSuite_HeartbeatOverPolling(t *testing.T) {
	forBothInTime(t, func(d dialect, s *server) {
		p := s.poll(d.polling())
		for range 3 {
			if d.eio == "4" {
				s.wantAnswer("poll", p.get(), 200, "2")
				p.wantPosted("3")
			} else {
				p.wantPosted("1:2")
				s.wantAnswer("poll", p.get(), 200, "1:3")
			}
		}
		time.Sleep(501 * time.Millisecond)
		for _, method := range []string{"GET", "POST"} {
			if a := s.do(method, p.query, "1:2"); a.status != 400 {
				s.t.Errorf("%s after the ping timeout: %d", method, a.status)
			}
		}
	})
}

func TestSuite_HeartbeatOverWebSocket(t *testing.T) {
	forBothInTime(t, func(d dialect, s *server) {
		ws, c := s.connect(d.webSocket())
		for range 3 {
			if d.eio == "4" {
				ws.want("2")
				ws.text("3")
			} else {
				ws.text("2")
				ws.want("3")
			}
		}
		if d.eio == "4" {
			ws.want("2")
		}
		ws.wantClose(1005)
		s.wantClosed(c, engine.PingTimeout)
	})
}

func TestSuite_ForcedClose(t *testing.T) {
	forBoth(t, func(d dialect, s *server) {
		for range 20 { // the two leave together, whichever comes first
			p := s.poll(d.polling())
			poll := p.getLater()
			p.wantPosted(d.payload("1"))
			s.wantAnswer("poll", <-poll, 200, d.payload("6"))
			if a := p.get(); a.status != 400 {
				s.t.Errorf("poll after the close: %d", a.status)
			}
		}
		ws, c := s.connect(d.webSocket())
		ws.text("1")
		ws.wantClose(1005)
		s.wantClosed(c, engine.TransportClose)
	})
}

func TestSuite_Upgrade(t *testing.T) {
	forBoth(t, func(d dialect, s *server) {
		p := s.poll(d.polling())
		ws := p.probe()
		s.wantAnswer("poll", p.get(), 200, d.payload("6"))
		ws.text("5")
		ws.text("4hello")
		ws.want("4hello")
	})
}

// The GET leaves right after `5` and without a round trip between them: it must be refused, whichever is read first.
func TestSuite_AfterAnUpgrade(t *testing.T) {
	forBoth(t, func(d dialect, s *server) {
		for range 20 {
			p := s.poll(d.polling())
			ws := p.probe()
			ws.text("5")
			if a := p.get(); a.status != 400 {
				s.t.Fatalf("poll right after the switch: %d %q", a.status, a.body)
			}
			second := s.ws(p.upgradeQuery())
			second.wantClose(1005)
			ws.text("4hello")
			ws.want("4hello")
		}
	})
}
