package engine

// A goroutine begins with 2 KiB of stack, which the runtime doubles when a call does not fit and copies frame by frame. Readers of
// parked connections are goroutines of microseconds, and having the stack of a deep call copied, up to three times, took some percent
// of the processor time of a node with few messages. So the first function makes it large enough at once, while there is one frame
// to copy.
//
// The size is that of the deepest calls without the application's own code: a rule that publishes to a room on every node. A stack
// that is too small still grows as it needs to.
const readerStack = 10 << 10 // makes it 16 KiB

// growReaderStack is called with false: its frame has the room, and only a branch that is not taken would have to clear it.
//
//go:noinline
func growReaderStack(use bool) {
	if use {
		var room [readerStack]byte
		holdReaderStack(&room)
	}
}

//go:noinline
func holdReaderStack(*[readerStack]byte) {}
