package idle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sleeper returns a connection that sleeps, and its peer.
func sleeper(t *testing.T) (*Conn, *net.TCPConn) {
	t.Helper()
	ours, peers, _ := pair(t)
	c := NewConn(ours)
	t.Cleanup(func() { _ = c.Close() })
	c.Sleep()
	wantAwake(t, c, false)
	return c, peers
}

func wantAwake(t *testing.T, c *Conn, want bool) {
	t.Helper()
	if got := c.Awake(); got != want {
		t.Errorf("awake is %v", got)
	}
}

func wantRead(t *testing.T, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Fatalf("read %q, %v, want %q", got, err, want)
	}
}

func send(t *testing.T, w io.Writer, data string) {
	t.Helper()
	if _, err := io.WriteString(w, data); err != nil {
		t.Fatal(err)
	}
}

func TestConn_SleepsOnWhereNothingHasToWait(t *testing.T) {
	c, peer := sleeper(t)
	for range 3 {
		send(t, c, "out")
		wantRead(t, peer, "out")
		send(t, peer, "in")
		waitForInput(t, c)
		got := make([]byte, 8)
		err := c.RawRead(func(descriptor uintptr) bool {
			n, err := syscall.Read(int(descriptor), got)
			return err == nil && string(got[:n]) == "in"
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SetDeadline(time.Time{}); err != nil {
			t.Error(err)
		}
	}
	wantAwake(t, c, false)
	if c.NetConn() != nil || c.RemoteAddr() != nil {
		t.Error("what it was made of is kept")
	}
}

// waitForInput waits for something to read, and leaves it there.
func waitForInput(t *testing.T, c *Conn) {
	t.Helper()
	err := c.Control(func(descriptor uintptr) {
		if _, err := unix.Poll([]unix.PollFd{{Fd: int32(descriptor), Events: unix.POLLIN}}, 10_000); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestConn_WakesToWaitAndSleepsAgain(t *testing.T) {
	c, peer := sleeper(t)
	large := bytes.Repeat([]byte("x"), 8<<20)
	for range 3 {
		read := make(chan string)
		go func() {
			got := make([]byte, 2)
			n, _ := c.Read(got)
			read <- string(got[:n])
		}()
		go func() { _, _ = peer.Write([]byte("in")) }()
		if got := <-read; got != "in" {
			t.Errorf("read %q", got)
		}
		wantAwake(t, c, true)
		c.Sleep()
		wantAwake(t, c, false)

		wrote := make(chan error)
		go func() {
			n, err := c.Write(large)
			if n != len(large) {
				err = errors.Join(err, io.ErrShortWrite)
			}
			wrote <- err
		}()
		if _, err := io.CopyN(io.Discard, peer, int64(len(large))); err != nil {
			t.Fatal(err)
		}
		if err := <-wrote; err != nil {
			t.Error(err)
		}
		c.Sleep()
		wantAwake(t, c, false)
	}
}

func TestConn_DoesNotSleepDuringACall(t *testing.T) {
	ours, _, _ := pair(t)
	c := NewConn(ours)
	_ = c.Control(func(uintptr) {
		c.Sleep()
		wantAwake(t, c, true)
	})
	c.Sleep()
	wantAwake(t, c, false)
}

func TestConn_DeadlinesInterruptWhatWaits(t *testing.T) {
	c, _ := sleeper(t)
	done := make(chan error)
	go func() { done <- c.RawRead(func(uintptr) bool { return false }) }()
	if err := c.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("RawRead: %v", err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read: %v", err)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
}

// A descriptor that is in use has to stay what it is, while the peer sees the end at once.
func TestConn_CloseLeavesADescriptorInUseOpen(t *testing.T) {
	for name, awake := range map[string]bool{"asleep": false, "awake": true} {
		t.Run(name, func(t *testing.T) {
			c, peer := sleeper(t)
			if awake {
				_ = c.SetReadDeadline(time.Now().Add(time.Hour))
			}
			var number int
			err := c.RawRead(func(descriptor uintptr) bool {
				number = int(descriptor)
				if err := c.Close(); err != nil {
					t.Error(err)
				}
				if n, err := peer.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
					t.Errorf("the peer reads %d bytes, %v", n, err)
				}
				if _, err := unix.FcntlInt(descriptor, unix.F_GETFD, 0); err != nil {
					t.Errorf("in use: %v", err)
				}
				return true
			})
			if err != nil {
				t.Error(err)
			}
			if _, err := unix.FcntlInt(uintptr(number), unix.F_GETFD, 0); err == nil {
				t.Error("the descriptor was not closed")
			}
			if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
				t.Errorf("write: %v", err)
			}
			if err := c.Close(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("closed again: %v", err)
			}
		})
	}
}

func TestConn_CloseEndsWhatWaits(t *testing.T) {
	c, peer := sleeper(t)
	waiting, done := make(chan struct{}, 8), make(chan error)
	go func() {
		done <- c.RawRead(func(uintptr) bool { waiting <- struct{}{}; return false })
	}()
	<-waiting
	<-waiting // now by the runtime
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err == nil {
		t.Error("no error")
	}
	if n, err := peer.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("the peer reads %d bytes, %v", n, err)
	}
}

// counted is what a listener makes of its connections to count them.
type counted struct {
	*net.TCPConn
	closed *atomic.Int64
}

func (c *counted) Close() error {
	c.closed.Add(1)
	if c.TCPConn == nil {
		return nil
	}
	return c.TCPConn.Close()
}

type detachable struct{ counted }

func (d *detachable) Detach() *net.TCPConn {
	tcp := d.TCPConn
	d.TCPConn = nil
	return tcp
}

func TestConn_AWrapperIsClosedOnce(t *testing.T) {
	for name, wrap := range map[string]func(counted) net.Conn{
		"detaches": func(c counted) net.Conn { return &detachable{c} },
		"does not": func(c counted) net.Conn { return &c },
	} {
		t.Run(name, func(t *testing.T) {
			ours, peer, _ := pair(t)
			var closed atomic.Int64
			outer := wrap(counted{ours, &closed})
			c := NewConn(outer)
			c.Sleep()
			wantAwake(t, c, name != "detaches")
			send(t, c, "out")
			wantRead(t, peer, "out")
			_ = c.SetReadDeadline(time.Now().Add(time.Hour))
			c.Sleep()
			if c.NetConn() != outer {
				t.Error("the wrapper was lost")
			}
			if closed.Load() != 0 {
				t.Error("closed before its time")
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if n, err := peer.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
				t.Errorf("the peer reads %d bytes, %v", n, err)
			}
			if got := closed.Load(); got != 1 {
				t.Errorf("closed %d times", got)
			}
		})
	}
}

func TestConn_WhatHasNoDescriptorIsNotTaken(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if NewConn(a) != nil {
		t.Error("a pipe was taken")
	}
	ours, _, _ := pair(t)
	_ = ours.Close()
	if NewConn(ours) != nil {
		t.Error("a closed connection was taken")
	}
}

func TestPoller_AConnectionSleepsAndIsArmedAnew(t *testing.T) {
	var running sync.WaitGroup
	defer running.Wait()
	p := New(running.Go)
	ours, peer, _ := pair(t)
	c := NewConn(ours)
	defer c.Close()
	var slot Slot
	w := make(waker, 8)
	for range 3 {
		_ = c.SetReadDeadline(time.Now().Add(time.Hour)) // wakes it
		if !p.Arm(&slot, c, w, Hangup) {
			t.Fatal("not armed")
		}
		_ = c.SetReadDeadline(time.Time{})
		p.Sleep(&slot, c)
		wantAwake(t, c, false)
		if !p.Arm(&slot, c, w, Input) {
			t.Fatal("not armed")
		}
		send(t, peer, "x")
		w.want(t, "input")
		wantRead(t, c, "x")
	}
	if len(w) > 0 {
		t.Error("called twice")
	}
	p.Remove(&slot)
}

// Connections whose descriptors take each other's numbers never see each other's bytes, whatever sleeps, waits and closes at
// the same time.
func TestConn_DescriptorsAreNotConfused(t *testing.T) {
	const workers, rounds = 4, 10
	var done sync.WaitGroup
	for worker := range workers {
		done.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(worker)))
			for round := range rounds {
				if err := converse(t, random, fmt.Sprintf("%02d/%04d;", worker, round)); err != nil {
					t.Errorf("worker %d, round %d: %v", worker, round, err)
					return
				}
			}
		})
	}
	done.Wait()
}

// converse has a connection echo a text while it is made to sleep, and closes it in the middle or at the end.
func converse(t *testing.T, random *rand.Rand, text string) error {
	const times = 20
	ours, peer, _ := pair(t)
	c := NewConn(ours)
	var parts sync.WaitGroup
	parts.Go(func() { // the reader echoes
		buffer := make([]byte, len(text))
		for {
			n, ended := 0, false
			err := c.RawRead(func(descriptor uintptr) bool {
				var err error
				n, err = syscall.Read(int(descriptor), buffer)
				ended = err != syscall.EAGAIN
				return ended
			})
			if err != nil || n <= 0 {
				return
			}
			if _, err := c.Write(buffer[:n]); err != nil {
				return
			}
			c.Sleep()
		}
	})
	stop := make(chan struct{})
	parts.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				c.Sleep()
				runtime.Gosched()
			}
		}
	})
	early := random.IntN(2 * times)
	var failed error
	for i := range times {
		if i == early {
			parts.Go(func() { _ = c.Close() })
		}
		if _, err := io.WriteString(peer, text); err != nil {
			break
		}
		got := make([]byte, len(text))
		n, err := io.ReadFull(peer, got)
		if string(got[:n]) != text[:n] {
			failed = fmt.Errorf("read %q, want %q", got[:n], text)
		}
		if err != nil {
			if early >= times {
				failed = errors.Join(failed, err)
			}
			break
		}
	}
	_ = c.Close()
	close(stop)
	parts.Wait()
	_ = peer.Close()
	return failed
}
