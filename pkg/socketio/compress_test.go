package socketio_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/gorilla/websocket"
)

// counted is a connection that counts what came over it.
type counted struct {
	net.Conn
	bytes *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}

// deflating joins the main namespace as a client that takes compressed messages. came is how many bytes it was sent.
func deflating(t *testing.T, url string) (p *peer, came *atomic.Int64) {
	t.Helper()
	came = new(atomic.Int64)
	dialer := websocket.Dialer{
		EnableCompression: true,
		NetDialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
			return counted{conn, came}, err
		},
	}
	ws, resp, err := dialer.Dial(strings.Replace(url, "http", "ws", 1)+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	t.Cleanup(func() { _ = ws.Close() })
	p = &peer{t: t, ws: ws}
	p.read()
	p.connect("/")
	return p, came
}

func TestCompress_FalseLeavesTheEventAsItIs(t *testing.T) {
	long := strings.Repeat("x", 5000)
	overClusters(t, func(t *testing.T, start starter) {
		compressing := socketio.Config{Engine: engine.Config{CompressWebSocket: true, CompressPolling: true}}
		nodes, urls := start(compressing, compressing)
		emit := func(event string) {
			t.Helper()
			if err := nodes[0].Of("/").Compress(event != "plain").Emit(event, long); err != nil {
				t.Fatal(err)
			}
		}
		var clients [2]*peer
		var came [2]*atomic.Int64
		for i, url := range urls {
			clients[i], came[i] = deflating(t, url)
		}
		size := func(event string) (sizes [2]int64) {
			before := [2]int64{came[0].Load(), came[1].Load()}
			emit(event)
			for i, p := range clients {
				p.expect(`42["` + event + `","` + long + `"]`)
				sizes[i] = came[i].Load() - before[i]
			}
			return sizes
		}
		if n := size("usual"); max(n[0], n[1]) > 500 {
			t.Errorf("%d bytes for an event that compresses well", n)
		}
		if n := size("plain"); min(n[0], n[1]) < 5000 {
			t.Errorf("%d bytes for an event that was not to be compressed", n)
		}

		p := poll(t, urls[0], "4")
		p.post("40")
		p.next()
		for event, want := range map[string]string{"plain": "", "usual": "gzip"} {
			emit(event)
			r, err := http.NewRequestWithContext(within(t), http.MethodGet, p.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Accept-Encoding", "gzip")
			resp, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if got := resp.Header.Get("Content-Encoding"); got != want {
				t.Errorf("%s was polled with the encoding %q, want %q", event, got, want)
			}
		}
	})
}
