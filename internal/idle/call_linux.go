package idle

import (
	"syscall"
	"unsafe"
)

// Read and Write are one system call on a descriptor that does not block. They do not announce it to the scheduler, as package
// syscall does, since it takes no longer than other code does. An announced call that the kernel interrupts, because another
// process has its turn, makes the runtime hand the goroutines over to another thread: where processes share a core that is a
// switch of threads for every few messages.

// Read reads what has arrived. At the end of the stream it returns 0 and no error, and EAGAIN where nothing has arrived.
func Read(descriptor uintptr, p []byte) (int, error) { return move(syscall.SYS_READ, descriptor, p) }

// Write writes what the kernel has room for, and returns EAGAIN where it has none.
func Write(descriptor uintptr, p []byte) (int, error) { return move(syscall.SYS_WRITE, descriptor, p) }

func move(call, descriptor uintptr, p []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(call, descriptor, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}
