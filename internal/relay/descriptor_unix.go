//go:build unix

package relay

import (
	"errors"
	"syscall"
)

// canPark reports whether descriptors can be read without waiting.
const canPark = true

// readDescriptor reads what has arrived; errNothing when nothing has.
func readDescriptor(fd uintptr, buffer []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), buffer)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			return 0, errNothing
		case err != nil:
			return 0, err
		}
		return n, nil
	}
}
