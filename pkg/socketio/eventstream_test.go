package socketio_test

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/socketio"
)

// events is a reader of an event stream.
type events struct {
	*testing.T
	response *http.Response
	lines    *bufio.Scanner
}

func openStream(t *testing.T, url string, header http.Header) events {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return events{t, response, bufio.NewScanner(response.Body)}
}

// reads wants lines, and an empty one behind them; comments are passed over.
func (e events) reads(lines ...string) {
	e.Helper()
	for _, want := range append(lines, "") {
		if got := e.next(); got != want {
			e.Fatalf("read %q, want %q", got, want)
		}
	}
}

func (e events) next() string {
	e.Helper()
	for e.lines.Scan() {
		text := e.lines.Text()
		if !strings.HasPrefix(text, ":") {
			return text
		}
		e.lines.Scan() // the empty line behind a comment
	}
	e.Fatalf("the stream has ended: %v", e.lines.Err())
	return ""
}

func TestEventStream_BringsWhatTheRoomsAreSent(t *testing.T) {
	io, url := doors(t, socketio.Config{})
	news := io.Of("/news")
	news.Use(func(_ context.Context, s *socketio.Socket) error { return s.Join("feed") })
	e := openStream(t, url+"/sse/news", nil)
	h := e.response.Header
	if e.response.StatusCode != http.StatusOK || h.Get("Content-Type") != "text/event-stream" || h.Get("X-Accel-Buffering") != "no" || h.Get("Cache-Control") != "no-store" {
		t.Fatalf("%s %v", e.response.Status, h)
	}
	if err := news.To("feed").Emit("headline", "one", 2); err != nil {
		t.Fatal(err)
	}
	if err := news.To("other").Emit("headline", "not for it"); err != nil {
		t.Fatal(err)
	}
	if err := news.Emit("picture\nevent: forged", []byte{1}); err != nil {
		t.Fatal(err)
	}
	e.reads("event: headline", `data: ["one",2]`)
	e.reads("event: picture event: forged", `data: [{"$bytes":"AQ=="}]`)
}

func TestEventStream_RefusalsHaveAStatus(t *testing.T) {
	io, url := doors(t, socketio.Config{})
	for name, err := range map[string]error{
		"/denied": errors.New("no way"),
		"/token":  &socketio.ConnectError{Message: "no token", Data: map[string]string{"code": "token_invalid"}},
		"/busy":   socketio.ErrClose,
	} {
		io.Of(name).Use(func(context.Context, *socketio.Socket) error { return err })
	}
	for path, status := range map[string]int{
		"/denied": http.StatusForbidden, "/token": http.StatusUnauthorized, "/unknown": http.StatusNotFound,
		"/busy": http.StatusOK, // and the stream ends: on another status browsers would not try again
	} {
		e := openStream(t, url+"/sse"+path, nil)
		if e.response.StatusCode != status {
			t.Errorf("%s: %s", path, e.response.Status)
		}
		for e.lines.Scan() {
			if strings.HasPrefix(e.lines.Text(), "event") {
				t.Errorf("%s: %s", path, e.lines.Text())
			}
		}
	}
	response, err := http.Post(url+"/sse", "text/plain", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %s", response.Status)
	}
}

// TestEventStream_AClientThatGoesWhileItIsAskedForIsNotWaitedFor: the rules may take their time.
func TestEventStream_AClientThatGoesWhileItIsAskedForIsNotWaitedFor(t *testing.T) {
	io, url := doors(t, socketio.Config{})
	asked := make(chan context.Context, 1)
	io.Of("/").Use(func(ctx context.Context, _ *socketio.Socket) error {
		asked <- ctx
		<-ctx.Done()
		return ctx.Err()
	})
	ctx, cancel := context.WithCancel(context.Background())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/sse", nil)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if response, err := http.DefaultClient.Do(r); err == nil {
			_ = response.Body.Close()
		}
	}()
	socket := <-asked
	cancel()
	<-done
	select {
	case <-socket.Done():
	case <-time.After(patience):
		t.Error("the socket stays")
	}
}

// TestEventStream_AReaderThatComesBackReceivesWhatItMissed: as EventSource does, with the id of the last event.
func TestEventStream_AReaderThatComesBackReceivesWhatItMissed(t *testing.T) {
	io, url := doors(t, socketio.Config{Recovery: socketio.Recovery{Enabled: true}})
	news := io.Of("/news")
	news.Use(func(_ context.Context, s *socketio.Socket) error { return s.Join("feed") })
	gone := make(chan *socketio.Socket, 10)
	connected := make(chan *socketio.Socket, 10)
	news.OnConnect(func(s *socketio.Socket) {
		connected <- s
		context.AfterFunc(s.Context(), func() { gone <- s })
	})
	emit := func(text string) {
		t.Helper()
		if err := news.To("feed").Emit("headline", text); err != nil {
			t.Fatal(err)
		}
	}
	first := openStream(t, url+"/sse/news", nil)
	start, _ := strings.CutPrefix(first.next(), "id: ")
	pid, offset, ok := strings.Cut(start, ".")
	if !ok || pid == "" || offset != "" {
		t.Fatalf("the stream begins with the id %q", start)
	}
	first.next() // the empty line
	socket := <-connected
	emit("one")
	id, ok := strings.CutPrefix(first.next(), "id: "+pid+".")
	if !ok {
		t.Fatalf("id %q", id)
	}
	first.reads("event: headline", `data: ["one"]`)
	_ = first.response.Body.Close()
	<-gone
	emit("two")
	emit("three")

	second := openStream(t, url+"/sse/news", http.Header{"Last-Event-Id": {pid + "." + id}})
	second.reads("id: " + pid + "." + id)
	for _, text := range []string{"two", "three"} {
		if got := second.next(); !strings.HasPrefix(got, "id: "+pid+".") {
			t.Fatalf("read %q", got)
		}
		second.reads("event: headline", `data: ["`+text+`"]`)
	}
	if again := <-connected; !again.Recovered() || again.ID() != socket.ID() {
		t.Errorf("socket %s came back as %s, recovered: %v", socket.ID(), again.ID(), again.Recovered())
	}

	// A client that comes back before its first event is sent all events from the beginning of its session.
	_ = second.response.Body.Close()
	<-gone
	third := openStream(t, url+"/sse/news", http.Header{"Last-Event-Id": {start}})
	third.next()
	third.next()
	for _, text := range []string{"one", "two", "three"} {
		third.next() // the id
		third.reads("event: headline", `data: ["`+text+`"]`)
	}
}

// TestEventStream_IDsFromElsewhereAreNone: each is a new socket, and leaves nothing behind.
func TestEventStream_IDsFromElsewhereAreNone(t *testing.T) {
	io, url := doors(t, socketio.Config{Recovery: socketio.Recovery{Enabled: true}})
	auths := make(chan string, 1)
	io.Of("/").OnConnect(func(s *socketio.Socket) { auths <- string(s.Auth().JSON) })
	for i := range 300 {
		foreign := []string{
			"42", "", ".", "..", ".x", strings.Repeat("x", 5000), "pid.offset", `"},{".x`, "\xff.\xfe", "abcdefghijklmnopqrst.@AAAAAAAAAAAAAAAAAAAAAA",
		}[i%10]
		e := openStream(t, url+"/sse", http.Header{"Last-Event-Id": {foreign}})
		if e.response.StatusCode != http.StatusOK {
			t.Fatalf("%q: %s", foreign, e.response.Status)
		}
		if auth := <-auths; auth != "" {
			t.Errorf("%q: auth %s", foreign, auth)
		}
		if got := e.next(); !strings.HasPrefix(got, "id: ") || strings.HasPrefix(got, "id: pid.") {
			t.Errorf("%q: read %q", foreign, got)
		}
		_ = e.response.Body.Close()
	}
}
