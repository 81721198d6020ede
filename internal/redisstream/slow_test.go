package redisstream_test

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// slowLine passes connections on, a certain number of bytes a second each way.
func slowLine(t *testing.T, target string, rate int) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	var mu sync.Mutex
	var open []io.Closer
	pass := func(to, from net.Conn) {
		defer func() { _, _ = to.Close(), from.Close() }()
		const part = 16 << 10
		for {
			if _, err := io.CopyN(to, from, 1); err != nil {
				return
			}
			b := make([]byte, part)
			n, err := from.Read(b)
			if _, bad := to.Write(b[:n]); err != nil || bad != nil {
				return
			}
			time.Sleep(time.Duration(n) * time.Second / time.Duration(rate)) // the line is what is tested
		}
	}
	group.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				_ = client.Close()
				continue
			}
			for _, c := range []net.Conn{client, server} { // or the kernel takes all of it at once
				_, _ = c.(*net.TCPConn).SetReadBuffer(32<<10), c.(*net.TCPConn).SetWriteBuffer(32<<10)
			}
			mu.Lock()
			open = append(open, client, server)
			mu.Unlock()
			group.Go(func() { pass(server, client) })
			group.Go(func() { pass(client, server) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		group.Wait()
	})
	return listener.Addr().String()
}

// TestSlowLine_ALargeEntryArrives, although it takes many times as long as the connection waits for an answer, in both directions.
func TestSlowLine_ALargeEntryArrives(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	options := *server.Options()
	options.Addr = slowLine(t, server.redis.Address, 400<<10)
	options.ReadTimeout, options.WriteTimeout = 300*time.Millisecond, 300*time.Millisecond
	w := start(t, options, wide, nil)
	large := strings.Repeat("x", 1<<20)
	do(t, server, "XADD", name, "*", "text", large)
	eventually(t, "the one of another server came", func() bool { return len(w.received()) == 1 })
	outcome := make(chan error, 1)
	w.Append(func(err error) { outcome <- err }, nil, []byte("text"), []byte(large))
	if err := <-outcome; err != nil {
		t.Error(err)
	}
	do(t, server, "XADD", name, "*", "text", "behind")
	eventually(t, "its own came, and what was behind it", func() bool { return len(w.received()) == 3 })
	if got := w.received(); got[0] != large || got[1] != large || got[2] != "behind" || w.cut != 0 {
		t.Errorf("received %d, %d and %d bytes, %d cut", len(got[0]), len(got[1]), len(got[2]), w.cut)
	}
	if n := testutil.ToFloat64(w.metrics.Reopened); n != 0 {
		t.Errorf("%v connections", n)
	}
}
