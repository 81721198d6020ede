//go:build !race

package idle

import (
	"syscall"
	"unsafe"
)

func read(descriptor uintptr, p []byte) (int, syscall.Errno) {
	return call(syscall.SYS_READ, descriptor, p)
}

func write(descriptor uintptr, p []byte) (int, syscall.Errno) {
	return call(syscall.SYS_WRITE, descriptor, p)
}

func call(number, descriptor uintptr, p []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(number, descriptor, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	return int(n), errno
}
