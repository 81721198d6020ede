package engine_test

import (
	"encoding/hex"
	"fmt"
	"net/url"
	"regexp"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
)

var withEIO3 = engine.Config{EIO3: true}

func TestRevision3_Polling(t *testing.T) {
	s := start(t, withEIO3, echoing)
	a := s.do("GET", "transport=polling", "")
	open := `^118:0\{"sid":"[\w-]{20}","upgrades":\["websocket"\],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000\}$`
	if !regexp.MustCompile(open).MatchString(a.body) {
		t.Errorf("handshake %q", a.body)
	}
	c := <-s.opened
	p := poller{s, c, "transport=polling&sid=" + c.session.ID()}
	if c.session.Revision() != 3 {
		t.Errorf("revision %d", c.session.Revision())
	}
	p.wantPosted(`16:42["echo","€😀"]`)
	s.wantAnswer("text", p.get(), 200, `16:42["echo","€😀"]`)
	p.wantPosted("1:2")
	s.wantAnswer("pong", p.get(), 200, "1:3")

	octets := unhex("000408ff3435312d5b226563686f222c22e282ac222c7b225f706c616365686f6c646572223a747275652c226e756d223a307d5d0105ff0401020304")
	s.wantAnswer("octets in", s.do("POST", p.query, octets, "Content-Type", "application/octet-stream"), 200, "ok")
	a = p.get()
	s.wantAnswer("octets out", a, 200, octets)
	if got := a.header.Get("Content-Type"); got != "application/octet-stream" {
		t.Errorf("Content-Type %q", got)
	}
	waiting := p.getWaiting()
	p.wantPosted("1:1")
	s.wantAnswer("end", <-waiting, 200, "1:6")
	s.wantClosed(c, engine.TransportClose)
}

func unhex(s string) string {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// As with Node's server, a client that does not say 4 is one of revision 3, whatever it says.
func TestRevision3_IsWhatIsNotFour(t *testing.T) {
	for _, query := range []string{"", "&EIO=", "&EIO=3", "&EIO=2", "&EIO=1", "&EIO=5", "&EIO=04", "&EIO=4.0", "&EIO=abc", "&EIO=4&EIO=3"} {
		s := start(t, withEIO3)
		p := s.poll("transport=polling" + query)
		if n := p.session.Revision(); n != 3 {
			t.Errorf("%q: revision %d", query, n)
		}
		p.wantPosted("2:4x")
		s.wantMessage(p.client, "x", false)
		ws := s.ws("transport=websocket" + query)
		c := <-s.opened
		ws.want(fmt.Sprintf(`0{"sid":"%s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`, c.session.ID()))
		if n := c.session.Revision(); n != 3 {
			t.Errorf("%q: revision %d", query, n)
		}

		s = start(t, engine.Config{})
		a := s.do("GET", "transport=polling"+query, "")
		s.wantAnswer(query, a, 400, `{"code":5,"message":"Unsupported protocol version"}`)
	}
}

func TestRevision3_CloseWithoutAPoll(t *testing.T) {
	s := start(t, withEIO3)
	p := s.poll("EIO=3&transport=polling")
	p.session.Close(engine.ForcedClose)
	s.wantAnswer("poll", p.get(), 200, "1:61:1")
}

func TestRevision3_Overlap(t *testing.T) {
	s := start(t, withEIO3)
	p := s.poll("EIO=3&transport=polling")
	waiting := p.getWaiting()
	s.wantAnswer("second", p.get(), 400, "")
	s.wantAnswer("first", <-waiting, 200, "1:1")
}

// 2.x clients without XHR2 ask for base64 when polling, and take binary on the WebSocket they upgrade to.
func TestRevision3_Base64IsOfOneTransport(t *testing.T) {
	s := start(t, withEIO3, echoing)
	p := s.poll("EIO=3&transport=polling&b64=1")
	p.wantPosted("10:b4AQIDBA==")
	s.wantAnswer("poll", p.get(), 200, "10:b4AQIDBA==")
	ws := s.ws("EIO=3&transport=websocket&sid=" + p.session.ID())
	ws.text("2probe")
	ws.want("3probe")
	ws.text("5")
	ws.binary("\x04\x01\x02")
	ws.wantBinary("\x04\x01\x02")
	ws.text("b4AQIDBA==")
	ws.wantBinary("\x04\x01\x02\x03\x04")
}

func TestRevision3_OnlyAValueAsksForBase64(t *testing.T) {
	s := start(t, withEIO3, echoing)
	p := s.poll("EIO=3&transport=polling&b64=")
	p.wantPosted("10:b4AQIDBA==")
	s.wantAnswer("poll", p.get(), 200, "\x01\x05\xff\x04\x01\x02\x03\x04")
}

func TestRevision3_TooLargeIsRefusedAndTheSessionLives(t *testing.T) {
	s := start(t, engine.Config{EIO3: true, MaxPayload: 10})
	p := s.poll("EIO=3&transport=polling")
	s.wantAnswer("too large", p.post("9:4hello567"), 413, "")
	p.wantPosted("8:4hello56")
	s.wantMessage(p.client, "hello56", false)
}

func TestRevision3_OctetsAreTextToJSONP(t *testing.T) {
	s := start(t, withEIO3, echoing)
	p := s.poll("EIO=3&transport=polling&j=0")
	s.wantAnswer("post", s.do("POST", p.query, "d=10%3Ab4AQIDBA%3D%3D", "Content-Type", "application/octet-stream"), 200, "ok")
	s.wantAnswer("poll", p.get(), 200, `___eio[0]("10:b4AQIDBA==");`)
}

func TestRevision3_WebSocketWithoutBinary(t *testing.T) {
	s := start(t, withEIO3, echoing)
	ws, _ := s.connect("EIO=3&transport=websocket&b64=1")
	ws.binary("\x04\x01\x02\x03\x04")
	ws.want("b4AQIDBA==")
	ws.binary("\x09ignored")
	ws.binary("")
	ws.text("4on")
	ws.want("4on")
}

func TestJSONP(t *testing.T) {
	for _, c := range []struct{ query, open, body, want string }{
		{"EIO=3&transport=polling&j=abc12", `___eio[12]("118:0{\"sid\":`, `18:42["echo","a\\nb€"]`, `___eio[12]("18:42[\"echo\",\"a\\nb€\"]");`},
		{"EIO=4&transport=polling&j=1", `___eio[1]("0{\"sid\":`, "4x\u2028\"<", `___eio[1]("4x\u2028\"<");`},
		{"EIO=4&transport=polling&j=);alert(1", `___eio[1]("0{\"sid\":`, "bAQIDBA==", `___eio[1]("bAQIDBA==");`},
	} {
		s := start(t, withEIO3, echoing)
		query := url.PathEscape(c.query)
		a := s.do("GET", query, "")
		if len(a.body) < len(c.open) || a.body[:len(c.open)] != c.open {
			t.Errorf("handshake %q", a.body)
		}
		if got := a.header.Get("Content-Type"); got != "text/plain; charset=UTF-8" {
			t.Errorf("Content-Type %q", got)
		}
		client := <-s.opened
		p := poller{s, client, query + "&sid=" + client.session.ID()}
		p.wantPosted("nothing=here")
		p.wantPosted("d=" + url.QueryEscape(c.body))
		s.wantAnswer("poll", p.get(), 200, c.want)
	}
}

func TestFrame_KeepsNothingOfItsArgument(t *testing.T) {
	s := start(t, engine.Config{})
	p := s.poll()
	data := []byte("before")
	p.session.Send(false, engine.NewFrame(data, false, time.Now()))
	copy(data, "after!")
	s.wantAnswer("poll", p.get(), 200, "4before")
}
