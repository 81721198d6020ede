package idle

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

// Records is a connection that carries the records of TLS. crypto/tls reads and writes it like any other, and waits in both;
// unlike it, callers of crypto/tls that must not wait have it return at once, and a long first message of the client leaves
// crypto/tls with small buffers.
//
// While it is eager, Read returns ErrNothing where it would wait. crypto/tls takes that for a passing error: it keeps what has
// arrived of a record, and the next read goes on from there.
//
// Once it is patient, Write keeps what the kernel has no room for, and Flush writes it. To crypto/tls a record has then been
// written, or has failed for good: it has no passing errors of writing. The memory is counted until Flush or Forget gives it up.
type Records struct {
	Conn

	// Owned by the reader. While it is eager it is in RawRead; during the handshake, when parking has failed and when it lingers it waits
	// in Read.
	hello hello
	eager bool
	room  uint32 // of crypto/tls's buffer for records, at least
	whole uint32 // bytes of the records read since it returned data, but for the last one until that is whole
	size  uint16 // of the last record
	seen  uint16 // bytes of it
	head  uint8  // bytes of its header

	mu sync.Mutex
	// mu guards the following. Conn.mu may be taken under it.
	count func(bytes int) // not nil: the connection is patient
	rest  []byte          // written, and not yet taken by the kernel
	held  int             // bytes of memory of the rest, as counted
}

// maxRest bounds the rest. A caller that flushes after each write of 16 KiB leaves less; what exceeds it are answers to a
// peer that asks for new keys again and again, and reads none of them.
const maxRest = 64 << 10

// ErrNothing is what an eager Read returns instead of waiting.
var ErrNothing error = nothing{}

type nothing struct{}

func (nothing) Error() string   { return "idle: nothing has arrived" }
func (nothing) Timeout() bool   { return false }
func (nothing) Temporary() bool { return true }

// NewRecords takes a connection over as NewConn does, and returns nil where that does.
func NewRecords(conn net.Conn) *Records {
	if r := new(Records); r.takeOver(conn) {
		return r
	}
	return nil
}

// Eager makes Read not wait, or wait again. It is the reader's to call, around RawRead.
func (r *Records) Eager(eager bool) { r.eager = eager }

// Read reads, and waits unless it is eager.
func (r *Records) Read(p []byte) (n int, err error) {
	switch {
	case r.eager:
		n, err = r.readNow(p)
	case r.hello.over:
		n, err = r.Conn.Read(p)
	default:
		n, err = r.readHello(p)
	}
	r.room = max(r.room, uint32(r.head)+uint32(r.seen)+uint32(len(p))) // behind the part of a record that has arrived
	r.follow(p[:n])
	return n, err
}

// readHello reads what may have to be cut. What has arrived behind a header that is not cut is read with it: a client that speaks
// HTTP would lose the answer to a connection that is closed with unread input. Nothing is waited for there, since crypto/tls
// refuses most such headers by themselves.
func (r *Records) readHello(p []byte) (int, error) {
	n, err := r.hello.read(&r.Conn, p)
	if err != nil || !r.hello.over {
		return n, err
	}
	more, err := r.readNow(p[n:])
	if errors.Is(err, ErrNothing) {
		err = nil
	}
	return n + more, err
}

// follow notes where records end in what was read.
func (r *Records) follow(p []byte) {
	for len(p) > 0 {
		if r.head < recordHeader {
			r.size = r.size<<8 | uint16(p[0]) // of the five bytes the last two remain
			r.head++
			p = p[1:]
		} else {
			n := min(len(p), int(r.size-r.seen))
			r.seen += uint16(n)
			p = p[n:]
		}
		if r.head == recordHeader && r.seen == r.size {
			r.whole += uint32(r.size)
			r.head, r.seen = 0, 0
		}
	}
}

func (r *Records) readNow(p []byte) (int, error) {
	descriptor, err := r.begin()
	if err != nil {
		return 0, err
	}
	defer r.end(true)
	n, err := Read(descriptor, p)
	switch {
	case n > 0:
		return n, nil
	case err == nil:
		return 0, io.EOF
	case errors.Is(err, unix.EAGAIN):
		return 0, ErrNothing
	}
	return 0, err
}

// usual is how much memory for input crypto/tls holds of a client that has sent what browsers send.
const usual = 4 << 10

// Held is how many bytes of memory, beyond what is usual, crypto/tls holds for input: its buffers stay as large as the client's
// first message and its largest record have made them, and messages of the TLS protocol wait until they are whole. It is the
// reader's to call.
func (r *Records) Held() int {
	return max(0, int(r.room)+int(max(r.hello.bytes, r.whole))-usual)
}

// Delivered says that crypto/tls has returned data, which it does once all messages of its own are handled. It is the reader's to call.
func (r *Records) Delivered() { r.whole = 0 }

// Patient makes Write not wait, from now on. count is called with the bytes of memory that the connection holds more than before, or
// less. It must not block. The caller is the reader, too.
func (r *Records) Patient(count func(bytes int)) {
	r.whole = 0
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count = count
}

// Write writes p, all of it unless the connection is patient.
func (r *Records) Write(p []byte) (int, error) {
	if n, done, err := r.writePatiently(p); done {
		return n, err
	}
	return r.Conn.Write(p)
}

func (r *Records) writePatiently(p []byte) (n int, done bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count == nil {
		return 0, false, nil
	}
	if len(r.rest) == 0 {
		descriptor, err := r.begin()
		if err != nil {
			return 0, true, err
		}
		defer r.end(true)
		if n, err = writeNow(descriptor, p); err != nil || n == len(p) {
			return n, true, err
		}
	}
	if held := len(r.rest) + len(p) - n; held > maxRest {
		return n, true, fmt.Errorf("idle: %d bytes that the peer does not take", held)
	}
	before := cap(r.rest)
	r.rest = append(r.rest, p[n:]...)
	if cap(r.rest) != before { // it was copied
		r.countLocked(cap(r.rest))
	}
	return len(p), true, nil
}

func (r *Records) countLocked(held int) {
	r.count(held - r.held)
	r.held = held
}

// Rest is how many bytes have been written and not been taken by the kernel.
func (r *Records) Rest() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.rest)
}

// Forget gives the rest up, of a connection that is closed.
func (r *Records) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rest = nil; r.held > 0 {
		r.countLocked(0)
	}
}

// Flush has the kernel take the rest. Before it waits for room it calls wait. One goroutine at a time may call it. After an error
// there is no rest.
func (r *Records) Flush(wait func()) error {
	var failed error
	err := r.RawWrite(func(descriptor uintptr) (done bool) {
		done, failed = r.flushNow(descriptor)
		if !done {
			wait()
		}
		return done
	})
	if err = errors.Join(err, failed); err != nil {
		r.Forget()
	}
	return err
}

// flushNow writes what the kernel has room for. It is done when there is no rest, or with an error.
func (r *Records) flushNow(descriptor uintptr) (done bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.rest) > 0 {
		n, err := writeNow(descriptor, r.rest)
		if err != nil {
			return true, err
		}
		if n == 0 {
			return false, nil
		}
		r.rest = r.rest[n:]
	}
	if r.rest = nil; r.held > 0 {
		r.countLocked(0)
	}
	return true, nil
}
