package idle

import (
	"bytes"
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCalls_MoveBytesAndNeverWait(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	here, there := uintptr(pair[0]), uintptr(pair[1])
	p := make([]byte, 8)
	if n, err := Read(there, p); n != 0 || !errors.Is(err, unix.EAGAIN) {
		t.Errorf("nothing to read: %d, %v", n, err)
	}
	if n, err := Write(here, []byte("hello")); n != 5 || err != nil {
		t.Errorf("write: %d, %v", n, err)
	}
	if n, err := Write(here, nil); n != 0 || err != nil {
		t.Errorf("write of nothing: %d, %v", n, err)
	}
	if n, err := Read(there, p); err != nil || string(p[:n]) != "hello" {
		t.Errorf("read: %q, %v", p[:n], err)
	}
	full := bytes.Repeat([]byte("x"), 1<<20)
	for err = nil; err == nil; {
		_, err = Write(here, full)
	}
	if !errors.Is(err, unix.EAGAIN) {
		t.Errorf("no room: %v", err)
	}
	_ = unix.Close(pair[1])
	if _, err := Write(here, p); !errors.Is(err, unix.EPIPE) {
		t.Errorf("the peer is gone: %v", err)
	}
	if n, err := Read(here, p); n != 0 || err != nil && !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("the end: %d, %v", n, err)
	}
}
