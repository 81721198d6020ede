package idle

import (
	"net"
	"sync"
	"syscall"
	"testing"

	"github.com/carillon-io/carillon/test/await"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type waker chan struct{}

func (w waker) Wake() { w <- struct{}{} }

func (w waker) want(t *testing.T, what string) {
	t.Helper()
	await.Value(t, "call: "+what, w)
}

// pair returns the two ends of a TCP connection.
func pair(t *testing.T) (ours, peers *net.TCPConn, raw syscall.RawConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	o, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	ours, peers = o.(*net.TCPConn), p.(*net.TCPConn)
	t.Cleanup(func() { _, _ = ours.Close(), peers.Close() })
	if raw, err = ours.SyscallConn(); err != nil {
		t.Fatal(err)
	}
	return ours, peers, raw
}

func TestPoller_CallsOnceForEachArming(t *testing.T) {
	var running sync.WaitGroup
	defer running.Wait()
	p := New(running.Go)
	ours, peers, raw := pair(t)
	var slot Slot
	w := make(waker, 8)
	for range 3 {
		if !p.Arm(&slot, raw, w, Input) {
			t.Fatal("not armed")
		}
		if _, err := peers.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		w.want(t, "input")
		if _, err := ours.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	// An event that happened before arming is reported too. Only a hang-up is waited for now: further input is not reported.
	if _, err := peers.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if !p.Arm(&slot, raw, w, Hangup) {
		t.Fatal("not armed")
	}
	if err := peers.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	w.want(t, "the end of the stream")
	if len(w) > 0 {
		t.Error("called twice")
	}
	p.Remove(&slot)
	p.Remove(&slot)
	if slot != 0 {
		t.Errorf("slot %d after Remove", slot)
	}
}

func TestPoller_ReusesSlotsAndStartsAgain(t *testing.T) {
	var running sync.WaitGroup
	defer running.Wait()
	p := New(running.Go)
	for range 3 { // the epoll ends with the last connection, and is made anew
		_, first, rawFirst := pair(t)
		_, second, rawSecond := pair(t)
		var a, b Slot
		wa, wb := make(waker, 8), make(waker, 8)
		if !p.Arm(&a, rawFirst, wa, Input) || !p.Arm(&b, rawSecond, wb, Input) || a == b {
			t.Fatalf("slots %d and %d", a, b)
		}
		freed := a
		p.Remove(&a)
		_, third, rawThird := pair(t)
		var c Slot
		wc := make(waker, 8)
		if !p.Arm(&c, rawThird, wc, Input) || c != freed {
			t.Errorf("slot %d is not reused: %d", freed, c)
		}
		for _, conn := range []*net.TCPConn{second, third} {
			if _, err := conn.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		wb.want(t, "the second")
		wc.want(t, "the third")
		if len(wa) > 0 {
			t.Error("a removed connection was called")
		}
		_ = first.Close()
		p.Remove(&b)
		p.Remove(&c)
	}
}

func TestPoller_RefusesAClosedConnection(t *testing.T) {
	var running sync.WaitGroup
	defer running.Wait()
	p := New(running.Go)
	ours, _, raw := pair(t)
	_ = ours.Close()
	var slot Slot
	if p.Arm(&slot, raw, make(waker, 1), Input) || slot != 0 {
		t.Error("armed")
	}
}
