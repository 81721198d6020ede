//go:build race

package idle

import (
	"errors"
	"syscall"
)

// Package syscall reports to the race detector that a write happens before the read of its bytes, which tests rely on.

func read(descriptor uintptr, p []byte) (int, syscall.Errno) {
	return of(syscall.Read(int(descriptor), p))
}

func write(descriptor uintptr, p []byte) (int, syscall.Errno) {
	return of(syscall.Write(int(descriptor), p))
}

func of(n int, err error) (int, syscall.Errno) {
	var errno syscall.Errno
	errors.As(err, &errno)
	return n, errno
}
