//go:build !linux

// Package yield lets other goroutines run.
package yield

import "runtime"

// Now is runtime.Gosched.
func Now() { runtime.Gosched() }
