package polling

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
)

type counter struct{ atomic.Int64 }

func (c *counter) Add(bytes int) { c.Int64.Add(int64(bytes)) }

func TestPost_ReadsWhatIsWithinTheLimit(t *testing.T) {
	const limit = 10_000
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		body io.Reader
		want int
		err  error
	}{
		"nothing":          {strings.NewReader(""), 0, nil},
		"a little":         {strings.NewReader("4hello"), 6, nil},
		"byte by byte":     {iotest.OneByteReader(strings.NewReader(strings.Repeat("x", 5000))), 5000, nil},
		"as much as fits":  {strings.NewReader(strings.Repeat("x", limit)), limit, nil},
		"one byte more":    {strings.NewReader(strings.Repeat("x", limit+1)), limit + 1, ErrTooLarge},
		"far more":         {strings.NewReader(strings.Repeat("x", 10*limit)), limit + 1, ErrTooLarge},
		"a broken client":  {io.MultiReader(strings.NewReader("xx"), iotest.ErrReader(broken)), 2, broken},
		"data with an end": {iotest.DataErrReader(strings.NewReader("4hello")), 6, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var held counter
			p := NewPost(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", c.body), &held)
			p.Read(limit, func(body []byte, read int, err error) {
				if read != c.want || !errors.Is(err, c.err) {
					t.Errorf("%d bytes, %v, want %d, %v", read, err, c.want, c.err)
				}
				refused := errors.Is(err, ErrTooLarge)
				if !refused && len(body) != read || refused && (body != nil || held.Load() != 0) {
					t.Errorf("a body of %d bytes of %d, %d counted, with %v", len(body), read, held.Load(), err)
				}
				if n := int(held.Load()); n < len(body) || n != p.Held() || n > 3*limit {
					t.Errorf("%d bytes are counted for %d, %d held", n, len(body), p.Held())
				}
			})
			if held.Load() != 0 {
				t.Errorf("%d bytes are counted in the end", held.Load())
			}
		})
	}
}

func TestPost_OneThatWasCutIsCountedOutOnce(t *testing.T) {
	var held counter
	p := NewPost(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", strings.NewReader("4hello")), &held)
	p.Read(100, func([]byte, int, error) {
		p.Cut()
		p.Discount()
		if held.Load() != 0 || p.Held() != 0 {
			t.Errorf("%d bytes are counted, %d held", held.Load(), p.Held())
		}
	})
	if !p.Received() || held.Load() != 0 {
		t.Errorf("cut %v, %d bytes are counted", p.Received(), held.Load())
	}
	p.Cut()
	var none *Post
	none.Cut()
	none.Discount()
	if none.Held() != 0 {
		t.Error("nothing holds something")
	}
}
