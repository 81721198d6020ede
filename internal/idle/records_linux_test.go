package idle

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// uncounted is for tests that do not look at what is counted.
func uncounted(int) {}

// records returns a connection that sleeps, and its peer.
func records(t *testing.T) (*Records, *net.TCPConn) {
	t.Helper()
	ours, peer, _ := pair(t)
	if err := errors.Join(ours.SetWriteBuffer(64<<10), peer.SetReadBuffer(64<<10)); err != nil {
		t.Fatal(err)
	}
	r := NewRecords(ours)
	t.Cleanup(func() { _ = r.Close() })
	r.Sleep()
	wantAwake(t, &r.Conn, false)
	return r, peer
}

func TestRecords_EagerReadDoesNotWait(t *testing.T) {
	r, peer := records(t)
	r.Eager(true)
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, ErrNothing) {
		t.Errorf("read: %v", err)
	}
	send(t, peer, "in")
	waitForInput(t, &r.Conn)
	wantRead(t, r, "in")
	_ = peer.CloseWrite()
	waitForInput(t, &r.Conn)
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("read: %v", err)
	}
	wantAwake(t, &r.Conn, false)
}

// fill writes numbered pieces until the kernel takes no more, and returns all that was written.
func fill(t *testing.T, r *Records) []byte {
	t.Helper()
	var written []byte
	for i := 0; r.Rest() == 0; i++ {
		p := bytes.Repeat([]byte{byte(i)}, 10_000)
		if n, err := r.Write(p); n != len(p) || err != nil {
			t.Fatalf("wrote %d, %v", n, err)
		}
		written = append(written, p...)
	}
	return written
}

func TestRecords_PatientWriteDoesNotWaitAndFlushKeepsTheOrder(t *testing.T) {
	r, peer := records(t)
	counted := 0
	r.Patient(func(bytes int) { counted += bytes })
	send(t, r, "out")
	wantRead(t, peer, "out")
	if r.Rest() != 0 {
		t.Error("kept what the kernel has taken")
	}
	written := fill(t, r)
	wantAwake(t, &r.Conn, false)
	waits := make(chan struct{}, 1000)
	flushed := make(chan error)
	go func() { flushed <- r.Flush(func() { waits <- struct{}{} }) }()
	<-waits
	send(t, r, "behind") // as when a reader answers for TLS
	written = append(written, "behind"...)
	got := make([]byte, len(written))
	if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, written) {
		t.Fatalf("%v, or out of order", err)
	}
	if err := <-flushed; err != nil || r.Rest() != 0 || counted != 0 {
		t.Errorf("flush: %v, %d bytes left, %d counted", err, r.Rest(), counted)
	}
	r.Sleep()
	wantAwake(t, &r.Conn, false)
	send(t, r, "out")
	wantRead(t, peer, "out")
}

func TestRecords_WhatThePeerDoesNotTakeIsCountedAndBounded(t *testing.T) {
	r, _ := records(t)
	counted := 0
	r.Patient(func(bytes int) { counted += bytes })
	fill(t, r)
	var err error
	for range 100 {
		if counted < r.Rest() || counted > 2*maxRest {
			t.Fatalf("%d bytes are counted of %d", counted, r.Rest())
		}
		if _, err = r.Write(make([]byte, 1000)); err != nil {
			break
		}
	}
	if err == nil {
		t.Error("no bound")
	}
	r.Forget()
	if counted != 0 || r.Rest() != 0 {
		t.Errorf("%d bytes are counted, %d rest", counted, r.Rest())
	}
}

func TestRecords_WhatEndsAFlush(t *testing.T) {
	for name, tt := range map[string]struct {
		end     func(*Records)
		timeout bool
	}{
		"close":    {func(r *Records) { _ = r.Close() }, false},
		"deadline": {func(r *Records) { _ = r.SetWriteDeadline(time.Unix(1, 0)) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := records(t)
			counted := 0
			r.Patient(func(bytes int) { counted += bytes })
			fill(t, r)
			waits := make(chan struct{}, 1000)
			flushed := make(chan error)
			go func() { flushed <- r.Flush(func() { waits <- struct{}{} }) }()
			<-waits
			tt.end(r)
			if err := <-flushed; err == nil || errors.Is(err, os.ErrDeadlineExceeded) != tt.timeout {
				t.Errorf("flush: %v", err)
			}
			if counted != 0 {
				t.Errorf("%d bytes are counted", counted)
			}
		})
	}
}

func TestRecords_AFailedWriteIsFinal(t *testing.T) {
	r, peer := records(t)
	r.Patient(uncounted)
	_ = peer.SetLinger(0)
	_ = peer.Close() // resets the connection
	var err error
	for range 1000 {
		if _, err = r.Write([]byte("x")); err != nil {
			break
		}
		time.Sleep(time.Millisecond) // the reset is on its way
	}
	if err == nil {
		t.Error("written to a connection that was reset")
	}
}

func TestRecords_UntilPatientWriteWaits(t *testing.T) {
	r, peer := records(t)
	large := bytes.Repeat([]byte("x"), 8<<20)
	wrote := make(chan error)
	go func() {
		_, err := r.Write(large)
		wrote <- err
	}()
	if _, err := io.CopyN(io.Discard, peer, int64(len(large))); err != nil {
		t.Fatal(err)
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
}
