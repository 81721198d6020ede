package idle

import "syscall"

// Read and Write are one system call on a descriptor that does not block. They do not announce it to the scheduler, as package
// syscall does, since it takes no longer than other code does. An announced call that the kernel interrupts, because another
// process has its turn, makes the runtime hand the goroutines over to another thread: where processes share a core that is a
// switch of threads for every few messages.

// Read reads what has arrived. At the end of the stream it returns 0 and no error, and EAGAIN where nothing has arrived.
func Read(descriptor uintptr, p []byte) (int, error) {
	for {
		n, errno := read(descriptor, p)
		if errno != syscall.EINTR {
			return result(n, errno)
		}
	}
}

// Write writes what the kernel has room for, and returns EAGAIN where it has none.
func Write(descriptor uintptr, p []byte) (int, error) {
	for {
		n, errno := write(descriptor, p)
		if errno != syscall.EINTR {
			return result(n, errno)
		}
	}
}

func result(n int, errno syscall.Errno) (int, error) {
	if errno != 0 {
		return 0, errno
	}
	return n, nil
}
