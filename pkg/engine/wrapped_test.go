package engine_test

import (
	"net"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/carillon-io/carillon/pkg/engine"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// wrapping is a listener whose connections are of a type of its own.
type wrapping struct {
	net.Listener
	wrap func(net.Conn) net.Conn
}

func (l wrapping) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.wrap(conn), nil
}

// counting embeds a connection and counts that it is closed.
type counting struct {
	*net.TCPConn
	closed *atomic.Int64
}

func (c counting) Close() error {
	c.closed.Add(1)
	return c.TCPConn.Close()
}

// hidden hides what it wraps.
type hidden struct{ net.Conn }

func startWrapped(t *testing.T, wrap func(net.Conn) net.Conn) (*server, *observer.ObservedLogs) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log, entries := observer.New(zap.WarnLevel)
	return serveOn(t, wrapping{l, wrap}, (&net.Dialer{}).DialContext, engine.Config{Logger: zap.New(log)}), entries
}

func TestWrapped_AWrapperWithADescriptorIsParkedAndClosed(t *testing.T) {
	var closed atomic.Int64
	s, entries := startWrapped(t, func(conn net.Conn) net.Conn { return counting{conn.(*net.TCPConn), &closed} })
	_, stalled := s.connect()
	ws, leaving := s.connect()
	if runtime.GOOS == "linux" {
		s.eventually("both are parked", func() bool { return engine.Parked(stalled.session) && engine.Parked(leaving.session) })
	}
	if entries.Len() > 0 {
		t.Errorf("warned: %v", entries.All())
	}
	stalled.session.Close(engine.SlowConsumer)
	ws.Close()
	s.eventually("both are closed through the wrapper", func() bool { return closed.Load() >= 2 })
}

func TestWrapped_AnOpaqueWrapperIsWarnedOfOnce(t *testing.T) {
	s, entries := startWrapped(t, func(conn net.Conn) net.Conn { return hidden{conn} })
	for range 3 {
		ws, c := s.connect()
		c.session.Send(false, text("works"))
		ws.want("4works")
	}
	want := 0
	if runtime.GOOS == "linux" {
		want = 1
	}
	if n := entries.Len(); n != want {
		t.Errorf("%d warnings, want %d", n, want)
	}
}
