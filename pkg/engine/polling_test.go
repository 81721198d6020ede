package engine_test

import (
	"compress/gzip"
	"compress/zlib"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/pkg/engine"
)

func echoing(c *client) { c.echo = true }

func TestPoll_AllThatWaitsInOneBody(t *testing.T) {
	s := start(t, engine.Config{MaxPayload: 50}, echoing)
	p := s.poll()
	p.wantPosted("4hello\x1ebAQIDBA==")
	p.wantPosted("4€")
	a := p.get()
	s.wantAnswer("poll", a, 200, "4hello\x1ebAQIDBA==\x1e4€")
	if a.header.Get("Content-Type") != "text/plain; charset=UTF-8" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", a.header)
	}
	long := strings.Repeat("x", 200) // answers are never split by the payload limit
	p.session.Send(false, text(long))
	p.session.Send(false, text(long))
	s.wantAnswer("long poll", p.get(), 200, "4"+long+"\x1e4"+long)
}

func TestPoll_WaitsForAMessageOfSeveralFrames(t *testing.T) {
	s := start(t, engine.Config{})
	p := s.poll()
	waiting := p.getWaiting()
	p.session.Send(false, text("51-[1]"), bin("\x01\x02\x03\x04"))
	s.wantAnswer("poll", <-waiting, 200, "451-[1]\x1ebAQIDBA==")
}

func TestPoll_OverlapEndsTheSession(t *testing.T) {
	s := start(t, engine.Config{})
	p := s.poll()
	first := p.getWaiting()
	s.wantAnswer("second", p.get(), 400, "")
	s.wantAnswer("first", <-first, 200, "1")
	s.wantClosed(p.client, engine.TransportError)
	s.wantAnswer("after", p.get(), 400, `{"code":1,"message":"Session ID unknown"}`)
}

func TestPoll_AbortedEndsTheSession(t *testing.T) {
	s := start(t, engine.Config{})
	p := s.poll()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = s.try(ctx, "GET", p.query, "")
	}()
	s.eventually("a poll waits", func() bool { return engine.Polling(p.session) })
	cancel()
	<-done
	if a := p.get(); a.status != 400 { // as an overlap or as an unknown session, whichever is seen first
		t.Errorf("next: %d %q", a.status, a.body)
	}
	s.wantClosed(p.client, engine.TransportError)
}

// A pooling proxy may serve the next GET while the answer to the one before is still on its way to the client.
func TestPoll_NextGETSitsBehindAnAnswerBeingWritten(t *testing.T) {
	t.Parallel()
	s := start(t, engine.Config{Outbox: 64 << 20})
	p := s.poll()
	conn := s.raw("GET /engine.io/?" + p.query + " HTTP/1.1\nHost: x\n\n")
	s.eventually("a poll waits", func() bool { return engine.Polling(p.session) })
	huge := strings.Repeat("x", 24<<20)
	p.session.Send(false, text(huge))
	second := p.getWaiting()
	p.session.Send(false, text("after"))
	if a := readResponse(t, conn); a.body != "4"+huge {
		t.Errorf("first answer: %d, %d bytes", a.status, len(a.body))
	}
	s.wantAnswer("second", <-second, 200, "4after")
}

func TestPost_OverlapCutsTheFirst(t *testing.T) {
	s := start(t, engine.Config{})
	p := s.poll()
	conn := s.raw("POST /engine.io/?" + p.query + " HTTP/1.1\nHost: x\nContent-Length: 10\n\n4he")
	s.eventually("a post arrives", func() bool { return engine.Posting(p.session) })
	s.wantAnswer("second", p.post("4x"), 400, "")
	if got := readAll(t, conn); got != "" {
		t.Errorf("first was answered: %q", got)
	}
	s.wantClosed(p.client, engine.TransportError)
}

func TestPost_AbortedMidBodyEndsTheSession(t *testing.T) {
	s := start(t, engine.Config{})
	p := s.poll()
	conn := s.raw("POST /engine.io/?" + p.query + " HTTP/1.1\nHost: x\nContent-Length: 10\n\n4he")
	s.eventually("a post arrives", func() bool { return engine.Posting(p.session) })
	conn.Close()
	s.wantClosed(p.client, engine.TransportError)
}

func TestPost_AnswerHeaders(t *testing.T) {
	s := start(t, engine.Config{})
	a := s.poll().post("3")
	s.wantAnswer("post", a, 200, "ok")
	for name, want := range map[string]string{"Content-Type": "text/html", "Content-Length": "2", "Cache-Control": "no-store"} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestPost_TooLargeIsRefusedAndTheSessionLives(t *testing.T) {
	s := start(t, engine.Config{MaxPayload: 1000})
	p := s.poll()
	for _, size := range []int{1001, 300_000, 5_000_000} {
		s.wantAnswer("too large", p.post("4"+strings.Repeat("x", size-1)), 413, "")
	}
	exact := strings.Repeat("x", 999)
	p.wantPosted("4" + exact)
	s.wantMessage(p.client, exact, false)
}

func TestPost_OctetsEndARevision4Session(t *testing.T) {
	s := start(t, engine.Config{})
	p := s.poll()
	waiting := p.getWaiting()
	a := s.do("POST", p.query, "4x", "Content-Type", "application/octet-stream")
	s.wantAnswer("post", a, 400, "")
	s.wantAnswer("poll", <-waiting, 200, "1")
	s.wantClosed(p.client, engine.TransportError)
}

func TestPost_OnlyTheExactContentTypeMeansOctets(t *testing.T) {
	s := start(t, engine.Config{})
	p := s.poll()
	for _, contentType := range []string{"application/octet-stream; charset=x", "Application/Octet-Stream", "image/png", ""} {
		a := s.do("POST", p.query, "4"+contentType, "Content-Type", contentType)
		s.wantAnswer(contentType, a, 200, "ok")
		s.wantMessage(p.client, contentType, false)
	}
}

func TestPost_CloseCutsOneThatIsArriving(t *testing.T) {
	s := start(t, engine.Config{})
	p := s.poll()
	conn := s.raw("POST /engine.io/?" + p.query + " HTTP/1.1\nHost: x\nContent-Length: 10\n\n4he")
	s.eventually("a post arrives", func() bool { return engine.Posting(p.session) })
	p.session.Close(engine.ForcedClose)
	if got := readAll(t, conn); got != "" {
		t.Errorf("it was answered: %q", got)
	}
	s.wantAnswer("poll", p.get(), 200, "6\x1e1")
	s.wantClosed(p.client, engine.ForcedClose)
}

func TestPost_FaultsEndTheSession(t *testing.T) {
	for _, c := range []struct {
		body   string
		reason engine.CloseReason
		poll   string
	}{
		{"", engine.ParseError, "1"},
		{"9", engine.ParseError, "1"},
		{"abc", engine.ParseError, "1"},
		{"4x\x1e", engine.ParseError, "1"},
		{"b!", engine.ParseError, "1"},
		{"2", engine.TransportError, "1"},
		{"2probe", engine.TransportError, "1"},
		{"1", engine.TransportClose, "6"},
	} {
		t.Run(c.body, func(t *testing.T) {
			s := start(t, engine.Config{})
			p := s.poll()
			waiting := p.getWaiting()
			p.wantPosted(c.body)
			s.wantAnswer("poll", <-waiting, 200, c.poll)
			s.wantClosed(p.client, c.reason)
			s.wantAnswer("after", p.get(), 400, `{"code":1,"message":"Session ID unknown"}`)
		})
	}
}

func TestPost_PacketsBeforeABadOneAreHandedOn(t *testing.T) {
	s := start(t, engine.Config{})
	p := s.poll()
	p.wantPosted("4good\x1e9\x1e4never")
	s.wantMessage(p.client, "good", false)
	s.wantClosed(p.client, engine.ParseError)
	if len(p.messages) > 0 {
		t.Errorf("handed on after the bad packet: %+v", <-p.messages)
	}
}

func TestPost_IgnoredPackets(t *testing.T) {
	s := start(t, engine.Config{})
	p := s.poll()
	for _, body := range []string{"0", "5", "6", "3", "0\x1e6\x1e3"} {
		p.wantPosted(body)
	}
	p.wantPosted("4\xff\x1e4")
	s.wantMessage(p.client, "\uFFFD", false)
	s.wantMessage(p.client, "", false)
}

// A client that closes sends its last GET and the POST at the same time; whichever comes first, the GET ends with 6.
func TestPost_CloseLetsALateGETEndOnce(t *testing.T) {
	s := start(t, engine.Config{})
	p := s.poll()
	p.wantPosted("1")
	s.wantClosed(p.client, engine.TransportClose)
	if n := s.Sessions(); n != 0 {
		t.Errorf("%d sessions", n)
	}
	unknown := `{"code":1,"message":"Session ID unknown"}`
	s.wantAnswer("post", p.post("4x"), 400, unknown)
	s.wantAnswer("put", s.do("PUT", p.query, ""), 400, unknown)
	s.wantAnswer("upgrade", s.do("GET", p.upgradeQuery(), "", upgradeHeaders()...), 400, "Session ID unknown")
	s.wantAnswer("late", p.get(), 200, "6")
	s.wantAnswer("later", p.get(), 400, unknown)
}

func TestClose_AnswersTheWaitingPoll(t *testing.T) {
	s := start(t, engine.Config{})
	p := s.poll()
	waiting := p.getWaiting()
	p.session.Close(engine.ForcedClose)
	p.session.Close(engine.Limit)
	s.wantAnswer("poll", <-waiting, 200, "1")
	s.wantClosed(p.client, engine.ForcedClose)
}

func TestRelease_EndsAWaitingPollWithANoop(t *testing.T) {
	s := start(t, engine.Config{})
	p := s.poll()
	s.Release(p.session.ID()) // nothing waits: no effect on the next poll
	s.Release("AAAA0123456789abcdef")
	waiting := p.getWaiting()
	s.Release(p.session.ID())
	s.wantAnswer("released", <-waiting, 200, "6")
	waiting = p.getWaiting()
	p.session.Send(false, text("still here"))
	s.wantAnswer("next", <-waiting, 200, "4still here")
}

func TestClose_WaitsForThePollThatFetchesTheRest(t *testing.T) {
	for queued, want := range map[string]string{"": "6\x1e1", "last": "4last\x1e6\x1e1"} {
		s := start(t, engine.Config{})
		p := s.poll()
		if queued != "" {
			p.session.Send(false, text(queued))
		}
		p.session.Close(engine.ForcedClose)
		if p.session.Send(false, text("x")) {
			t.Error("queued after Close")
		}
		p.wantPosted("4dropped")
		s.wantAnswer("poll", p.get(), 200, want)
		s.wantClosed(p.client, engine.ForcedClose)
		if len(p.messages) > 0 {
			t.Errorf("handed on after Close: %+v", <-p.messages)
		}
	}
}

func TestServerClose_EndsEverySessionAndTellsItsReceiver(t *testing.T) {
	s := start(t, engine.Config{})
	idle, polling := s.poll(), s.poll()
	waiting := polling.getWaiting()
	ws, c := s.connect()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		s.Close()
	}()
	ws.wantClose(1005)
	s.wantAnswer("poll", <-waiting, 200, "1")
	<-closed
	for _, c := range []*client{idle.client, polling.client, c} {
		select {
		case reason := <-c.closed:
			if reason != engine.ShuttingDown {
				t.Errorf("reason %q", reason)
			}
		default:
			t.Error("Close returned before a receiver was told")
		}
	}
	if a := s.do("GET", "EIO=4&transport=polling", ""); a.status != 503 {
		t.Errorf("handshake after Close: %d", a.status)
	}
}

func TestPoll_Compression(t *testing.T) {
	s := start(t, engine.Config{CompressPolling: true})
	p := s.poll()
	for _, c := range []struct {
		size     int
		accept   string
		encoding string
	}{
		{1023, "gzip", "gzip"}, {1022, "gzip", ""}, {5000, "gzip, deflate", "gzip"}, {5000, "br", ""},
		{5000, "deflate, gzip;q=0.5", "deflate"},
	} {
		data := strings.Repeat("x", c.size)
		p.session.Send(false, text(data))
		a := s.do("GET", p.query, "", "Accept-Encoding", c.accept)
		if got := a.header.Get("Content-Encoding"); got != c.encoding {
			t.Errorf("%d bytes, %s: encoding %q, want %q", c.size, c.accept, got, c.encoding)
		}
		if c.encoding != "" {
			var z io.Reader
			var err error
			if c.encoding == "gzip" {
				z, err = gzip.NewReader(strings.NewReader(a.body))
			} else {
				z, err = zlib.NewReader(strings.NewReader(a.body))
			}
			if err != nil {
				t.Fatal(err)
			}
			plain, err := io.ReadAll(z)
			if err != nil {
				t.Fatal(err)
			}
			a.body = string(plain)
		}
		s.wantAnswer("poll", a, 200, "4"+data)
	}

	// One message that may be compressed lets the whole answer be.
	long := strings.Repeat("x", 5000)
	for want, frames := range map[string][]*engine.Frame{
		"":     {text(long).Uncompressed(), text(long).Uncompressed()},
		"gzip": {text(long).Uncompressed(), text("short")},
	} {
		p.session.Send(false, frames...)
		a := s.do("GET", p.query, "", "Accept-Encoding", "gzip")
		if got := a.header.Get("Content-Encoding"); got != want {
			t.Errorf("encoding %q, want %q", got, want)
		}
	}
}
