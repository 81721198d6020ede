package flush

// A goroutine begins with 2 KiB of stack, which the runtime doubles when a call does not fit and copies frame by frame. Flushers are
// goroutines of microseconds, and having the stack of a deep call copied took some percent of the processor time of a node with few
// messages. So the first function makes it large enough for a write of a few frames at once, while there is one frame to copy.
const stack = 2 << 10 // makes it 4 KiB

// growStack is called with false: its frame has the room, and only a branch that is not taken would have to clear it.
//
//go:noinline
func growStack(use bool) {
	if use {
		var room [stack]byte
		holdStack(&room)
	}
}

//go:noinline
func holdStack(*[stack]byte) {}
