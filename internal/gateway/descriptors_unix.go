//go:build unix

package gateway

import "syscall"

// fileDescriptors is how many this process may have open; 0: unknown.
func fileDescriptors() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return uint64(limit.Cur) //nolint:unconvert // signed on FreeBSD
}
