//go:build race

package idle

import (
	"errors"
	"syscall"
)

// Package syscall tells the race detector that what is written happens before it is read, which tests rely on.

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
