// Package stack makes the stacks of short goroutines large enough at once.
//
// A goroutine begins with 2 KiB of stack, which the runtime doubles when a call does not fit and copies frame by frame. Goroutines of
// microseconds, such as flushers and the readers of parked connections, spent some percent of the processor time of a node with few
// messages on copies of the stack of a deep call. Grow has it copied while there is one frame to copy.
package stack

// Grow makes the stack of the calling goroutine large enough for a Room, which is an array of bytes, and what fits into the power of two
// above it. A goroutine's first function calls it first.
func Grow[Room any]() { grow[Room](false) }

// grow is called with false: its frame has the room, and only a branch that is not taken would have to clear it.
//
//go:noinline
func grow[Room any](use bool) {
	if use {
		var room Room
		hold(&room)
	}
}

//go:noinline
func hold[Room any](*Room) {}
