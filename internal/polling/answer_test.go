package polling

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/frame"
)

func TestPreferredEncoding(t *testing.T) {
	for header, want := range map[string]string{
		"": "", "br": "", "gzip": "gzip", "deflate": "deflate", "*": "gzip", "GZIP": "gzip",
		"gzip, deflate, br": "gzip", "deflate, gzip": "deflate", "br, deflate;q=0.5, gzip ; q=0.8": "gzip",
		"gzip;q=0": "", "gzip; q=0.0, *": "deflate", "*;q=0": "", "*, deflate": "deflate", "deflate;q=0.2, *;q=0.5": "gzip",
		"gzip;q=x": "gzip", "gzip;q=-1": "", "gzip;q=NaN": "",
	} {
		if got := preferredEncoding(header); got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}

type client struct{ progress int }

func (c *client) Progressed() { c.progress++ }

func TestGet_WritesItsAnswerInTheFormatOfItsClient(t *testing.T) {
	long := strings.Repeat("x", 200_000)
	for name, c := range map[string]struct {
		format   Format
		accepts  string
		frames   []*frame.Frame
		headers  string
		want     string
		progress int
	}{
		"text": {Format{Codec: &frame.Codec{Revision: 4}}, "gzip", []*frame.Frame{text("a"), text("b")},
			"text/plain; charset=UTF-8 ", "4a\x1e4b", 1},
		"octets": {Format{Codec: &frame.Codec{Revision: 3}}, "gzip", []*frame.Frame{frame.NewMessage([]byte{1}, true, time.Time{})},
			"application/octet-stream ", "\x01\x02\xff\x04\x01", 1},
		"large": {Format{Codec: &frame.Codec{Revision: 4}}, "gzip", []*frame.Frame{text(long)},
			"text/plain; charset=UTF-8 ", "4" + long, 4},
		"compressed": {Format{Codec: &frame.Codec{Revision: 4}, Compress: true}, "gzip", []*frame.Frame{text(long)},
			"text/plain; charset=UTF-8 gzip", "4" + long, 1},
		"not worth it": {Format{Codec: &frame.Codec{Revision: 4}, Compress: true}, "gzip", []*frame.Frame{text("a")},
			"text/plain; charset=UTF-8 ", "4a", 1},
		"JSONP": {Format{Codec: &frame.Codec{Revision: 4}, JSONP: true, Callback: "7"}, "", []*frame.Frame{text("a")},
			"text/plain; charset=UTF-8 ", `___eio[7]("4a");`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Accept-Encoding", c.accepts)
			taker := &client{}
			n, err := NewAnswered(w, c.frames...).Write(w, r, c.format, taker)
			if err != nil || n != w.Body.Len() || w.Header().Get("Content-Length") != strconv.Itoa(n) {
				t.Fatalf("wrote %d of %d bytes, %v", n, w.Body.Len(), err)
			}
			if got := w.Header().Get("Content-Type") + " " + w.Header().Get("Content-Encoding"); got != c.headers {
				t.Errorf("headers %q, want %q", got, c.headers)
			}
			body := w.Body.String()
			if w.Header().Get("Content-Encoding") != "" {
				z, err := gzip.NewReader(w.Body)
				if err != nil {
					t.Fatal(err)
				}
				plain, err := io.ReadAll(z)
				if err != nil {
					t.Fatal(err)
				}
				body = string(plain)
			}
			if body != c.want || taker.progress != c.progress {
				t.Errorf("%.40q in %d parts, want %.40q in %d", body, taker.progress, c.want, c.progress)
			}
		})
	}
}

func TestGet_WritesEventsWithoutWhatOnlyPollingHas(t *testing.T) {
	w := httptest.NewRecorder()
	if err := BeginEvents(w); err != nil {
		t.Fatal(err)
	}
	var c frame.Codec
	events := []*frame.Frame{frame.NewPlain([]byte("data: 1\n\n"), false, time.Time{}), c.Ping(), frame.Close}
	n, err := NewAnswered(w, events...).WriteEvents(w, &c, &client{})
	if want := "data: 1\n\n:\n\n"; err != nil || w.Body.String() != want || n != len(want) {
		t.Errorf("%q, %d bytes, %v", w.Body, n, err)
	}
}

func text(s string) *frame.Frame { return frame.NewMessage([]byte(s), false, time.Time{}) }
