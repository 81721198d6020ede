//go:build !unix

package relay

import "errors"

// canPark reports whether descriptors can be read without waiting.
const canPark = false

// readDescriptor refuses: connections are read through package net.
func readDescriptor(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }
