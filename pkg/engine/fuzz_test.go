package engine_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/test/await"
	"github.com/prometheus/client_golang/prometheus"
)

// recorder is a handler whose receivers echo and check what they are given.
type recorder struct {
	t     *testing.T
	limit int

	mu   sync.Mutex
	last string // id of the newest session
	open int
}

func (r *recorder) Open(s *engine.Session) engine.Receiver {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = s.ID()
	r.open++
	return recorded{r, s}
}

func (r *recorder) newest() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

type recorded struct {
	*recorder
	session *engine.Session
}

func (r recorded) Message(data []byte, binary bool) {
	if len(data) > r.limit {
		r.t.Errorf("a message of %d bytes over the limit of %d", len(data), r.limit)
	}
	r.session.Send(false, engine.NewFrame(data, binary, time.Time{}))
}

func (r recorded) Closed(engine.CloseReason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open--
}

// newRecorded makes a server and what to call when nothing of it may be left.
func newRecorded(t *testing.T, limit int) (*engine.Server, *recorder, func()) {
	r := &recorder{t: t, limit: 3 * limit} // one byte may become U+FFFD
	registry := prometheus.NewRegistry()
	s, err := engine.New(r, engine.Config{
		EIO3: true, MaxPayload: limit, Outbox: 10 * limit, CompressPolling: true, CompressWebSocket: true,
		Registry: registry,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, r, func() {
		s.Close()
		if n := s.Sessions(); n != 0 || r.open != 0 {
			t.Errorf("%d sessions are left, %d receivers were not told", n, r.open)
		}
		for _, name := range []string{"carillon_connections", "carillon_outbox_bytes", "carillon_receiver_panics_total"} {
			if n := metric(t, registry, name); n != 0 {
				t.Errorf("%s is %v at the end", name, n)
			}
		}
	}
}

// A line is one request: its method's letter, its query, and after a space its body. In a query $ is the newest session.
// A small letter posts octets.
func FuzzServer_Requests(f *testing.F) {
	const (
		open4, open3 = "GEIO=4&transport=polling\n", "GEIO=3&transport=polling\n"
		sid4, sid3   = "EIO=4&transport=polling&sid=$", "EIO=3&transport=polling&sid=$"
	)
	f.Add(open4 + "P" + sid4 + " 4hello\x1ebAQIDBA==\nG" + sid4 + "\nG" + sid4 + "\nP" + sid4 + " 1")
	f.Add(open4 + "G" + sid4 + "\nG" + sid4 + "\nG" + sid4)
	f.Add(open4 + "p" + sid4 + " 4x\nO" + sid4)
	f.Add(open4 + "P" + sid4 + " 1\nG" + sid4 + "\nP" + sid4 + " 4")
	f.Add(open3 + "P" + sid3 + " 1:21.0:46:4hello10:b4AQIDBA==\nG" + sid3 + "\nP" + sid3 + " 1:1")
	f.Add(open3 + "p" + sid3 + " \x00\x06\xff4hello\x01\x05\xff\x04\x01\x02\x03\x04\nG" + sid3)
	f.Add("GEIO=3&transport=polling&j=1&b64=1\nP" + sid3 + " d=2%3A4x\nG" + sid3)
	f.Add("GEIO=4&transport=polling&j=x\nP" + sid4 + " d=4%5C%5Cn\nG" + sid4 + "\nPEIO=3&sid=$&transport=polling")
	f.Add(open4 + "P" + sid4 + " 4" + strings.Repeat("x", 2000) + "\nU" + sid4 + "\nWEIO=4&transport=websocket&sid=$")
	methods := map[byte]string{
		'G': "GET", 'P': "POST", 'p': "POST", 'U': "PUT", 'H': "HEAD", 'O': "OPTIONS", 'D': "DELETE", 'W': "GET",
	}
	statuses := []int{200, 400, 413, 500}
	f.Fuzz(func(t *testing.T, script string) {
		lines := strings.SplitN(script, "\n", 17)
		synctest.Test(t, func(t *testing.T) {
			s, r, done := newRecorded(t, 1500)
			ctx, cancel := context.WithCancel(t.Context())
			var running sync.WaitGroup
			for _, line := range lines[:min(len(lines), 16)] {
				if line == "" || methods[line[0]] == "" {
					continue
				}
				query, body, _ := strings.Cut(line[1:], " ")
				request := httptest.NewRequestWithContext(ctx, methods[line[0]], "/engine.io/", strings.NewReader(body))
				request.URL.RawQuery = strings.ReplaceAll(query, "$", r.newest())
				request.RequestURI = "/engine.io/"
				request.Header.Set("Accept-Encoding", "deflate, gzip;q=0.5")
				switch line[0] {
				case 'p':
					request.Header.Set("Content-Type", "application/octet-stream")
				case 'W':
					request.Header.Set("Connection", "Upgrade")
					request.Header.Set("Upgrade", "websocket")
				}
				answer := httptest.NewRecorder()
				running.Go(func() {
					if aborted := serve(s, answer, request); !aborted && !slices.Contains(statuses, answer.Code) {
						t.Errorf("%s %q: status %d", request.Method, request.URL.RawQuery, answer.Code)
					}
				})
				synctest.Wait() // it is answered, or waits
			}
			cancel()
			running.Wait()
			done()
		})
	})
}

// serve reports whether the handler cut the connection.
func serve(h http.Handler, w http.ResponseWriter, r *http.Request) (aborted bool) {
	defer func() {
		switch v := recover(); v {
		case nil:
		case http.ErrAbortHandler:
			aborted = true
		default:
			panic(v)
		}
	}()
	h.ServeHTTP(w, r)
	return false
}

// The bytes are what a client sends after its WebSocket handshake, to a new session or to one that it upgrades, compressed
// or not.
func FuzzServer_WebSocketBytes(f *testing.F) {
	mask := "\x00\x00\x00\x00"
	for i, stream := range []string{
		"\x81\x82" + mask + "4x", "\x82\x82" + mask + "\x04x", "\x81\x80" + mask, "\x81\x86" + mask + "2probe\x81\x81" + mask + "5\x81\x82" + mask + "4x",
		"\x01\x81" + mask + "4\x00\x81" + mask + "x\x89\x81" + mask + "p\x80\x81" + mask + "y", "\x88\x82" + mask + "\x03\xe8", "\x88\x81" + mask + "\x03",
		"\x81\xfe\x07\xd0" + mask + strings.Repeat("4", 2000), "\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff" + mask, "\x81\x024x", "\xc1\x82" + mask + "4x",
		"\x81\x83" + mask + "4\xff\xfe", "\x8f\x80" + mask, "\x00\x80" + mask, "\x09\x80" + mask, "\x89\xfe\x00\x80" + mask,
		"\xc1\x87" + mask + "\x32\x49\xcd\xc9\xc9\x07\x00", "\x81\x81" + mask + "2\x81\x81" + mask + "3\x81\x81" + mask + "1",
	} {
		f.Add([]byte(stream), byte(i%4))
		f.Add([]byte(stream), byte(4+i%4))
	}
	f.Fuzz(func(t *testing.T, stream []byte, form byte) {
		synctest.Test(t, func(t *testing.T) {
			s, r, done := newRecorded(t, 1500)
			query := "?transport=websocket&EIO=" + []string{"3", "4"}[form&1]
			if form&2 != 0 {
				serve(s, httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, strings.Replace("/"+query, "websocket", "polling", 1), nil))
				query += "&sid=" + r.newest()
			}
			request := httptest.NewRequest(http.MethodGet, "/"+query, nil)
			for i, h := 0, upgradeHeaders(); i < len(h); i += 2 {
				request.Header.Set(h[i], h[i+1])
			}
			if form&4 != 0 {
				request.Header.Set("Sec-WebSocket-Extensions", "permessage-deflate")
			}
			here, there := net.Pipe()
			go serve(s, hijackable{httptest.NewRecorder(), there}, request)
			received := make(chan struct{})
			go func() {
				defer close(received)
				_, _ = io.Copy(io.Discard, here)
			}()
			_ = here.SetWriteDeadline(await.Deadline()) // a server that has closed reads no more
			_, _ = here.Write(stream)
			synctest.Wait()
			_ = here.Close()
			<-received
			done()
		})
	})
}

// hijackable is the answer to an upgrade on a connection of the test's.
type hijackable struct {
	http.ResponseWriter
	conn net.Conn
}

func (h hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReader(h.conn), bufio.NewWriter(h.conn)), nil
}
