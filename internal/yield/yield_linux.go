// Package yield lets other goroutines run, those included for which the network has just brought something.
package yield

import (
	"encoding/binary"
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// yielder is a descriptor by which a goroutine wakes itself.
type yielder struct {
	raw     syscall.RawConn
	counter [8]byte
	slept   bool
	wait    func(descriptor uintptr) bool
}

// yielders close their descriptors when they are collected.
var yielders sync.Pool

func newYielder() *yielder {
	if y, ok := yielders.Get().(*yielder); ok {
		return y
	}
	descriptor, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil
	}
	y := &yielder{}
	y.wait = y.wakeAndWait
	if y.raw, err = os.NewFile(uintptr(descriptor), "eventfd").SyscallConn(); err != nil {
		return nil
	}
	return y
}

// Now runs every other runnable goroutine, including those whose input has just become ready. runtime.Gosched alone does
// not: the scheduler polls the network only when no goroutine is runnable, else every 10 ms. So Now blocks on an eventfd
// that is already readable, which makes the scheduler poll. Elsewhere than on Linux it is runtime.Gosched.
func Now() {
	y := newYielder()
	if y == nil { // no descriptors left
		runtime.Gosched()
		return
	}
	y.slept = false
	_ = y.raw.Read(y.wait) // fails only on a closed file
	yielders.Put(y)
	runtime.Gosched() // of those that were woken together the last comes first
}

func (y *yielder) wakeAndWait(descriptor uintptr) (done bool) {
	if !y.slept {
		y.slept = true
		binary.NativeEndian.PutUint64(y.counter[:], 1)
		_, err := unix.Write(int(descriptor), y.counter[:])
		return err != nil
	}
	_, _ = unix.Read(int(descriptor), y.counter[:]) // to empty it; a failure makes the next wait a short one
	return true
}
