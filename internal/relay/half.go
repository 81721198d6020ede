package relay

import (
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/carillon-io/carillon/internal/idle"
)

// half copies one direction of a shuttle: on a goroutine while there is something to copy, else parked in the relay's
// poller. Where the connection cannot be parked, its goroutine waits.
type half struct {
	// Static after construction.
	shuttle *shuttle
	from    net.Conn
	to      net.Conn
	copied  prometheus.Counter // bytes

	// Owned by the goroutine that copies. nil where from cannot be parked, as under TLS.
	raw syscall.RawConn

	mu sync.Mutex
	// mu guards the following. It is a leaf but for the poller's.
	slot   idle.Slot
	parked bool
}

func (h *half) init(s *shuttle, from, to net.Conn, copied prometheus.Counter) {
	h.shuttle, h.from, h.to, h.copied = s, from, to, copied
	if conn, ok := from.(syscall.Conn); ok && runtime.GOOS == "linux" { // elsewhere nothing is parked
		h.raw, _ = conn.SyscallConn() // nil for a connection that was closed, which read finds out
	}
}

// begin writes what was read too early, then copies.
func (h *half) begin(early []byte) {
	if err := h.write(early); err != nil {
		h.end(err)
		return
	}
	h.copy()
}

// copy copies until nothing is left, and parks; or until either connection ends.
func (h *half) copy() {
	for {
		buffer := buffers.Get()
		n, err := h.read(buffer)
		if err == nil {
			err = h.write(buffer[:n])
		}
		buffers.Put(buffer)
		switch {
		case err == nil:
		case !errors.Is(err, errNothing):
			h.end(err)
			return
		case h.park():
			return
		default:
			h.raw = nil
		}
	}
}

// errNothing says that nothing has arrived.
var errNothing = errors.New("relay: nothing to read")

// read reads what has arrived, without waiting where that is possible.
func (h *half) read(buffer []byte) (n int, err error) {
	if h.raw == nil {
		n, err = h.from.Read(buffer)
		if n > 0 {
			err = nil // the next call has it again
		}
		return n, err
	}
	failed := h.raw.Read(func(fd uintptr) bool {
		n, err = idle.Read(fd, buffer)
		return true
	})
	switch {
	case failed != nil:
		return 0, failed
	case errors.Is(err, syscall.EAGAIN):
		return 0, errNothing
	case n == 0 && err == nil:
		return 0, io.EOF
	}
	return n, err
}

// write passes data on.
func (h *half) write(data []byte) error {
	n, err := h.to.Write(data)
	h.copied.Add(float64(n))
	return err
}

// park has the poller call Wake; false when it cannot.
func (h *half) park() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.parked = h.shuttle.relay.poller.Arm(&h.slot, h.raw, h, idle.Input)
	return h.parked
}

// Wake implements [idle.Waker]. It has no effect on a half that is not parked.
func (h *half) Wake() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.parked {
		h.parked = false
		go h.copy()
	}
}

func (h *half) end(err error) {
	h.mu.Lock()
	h.shuttle.relay.poller.Remove(&h.slot)
	h.mu.Unlock()
	h.shuttle.halfEnded(h, err)
}
