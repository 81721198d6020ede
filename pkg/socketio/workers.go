package socketio

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// workers run the handlers of connections that have something to handle: any number at a time. A few that have nothing
// to do are kept until the server closes, for a goroutine that is made anew for each event would spend as much on
// growing its stack as on the event.
type workers struct {
	// Static after init.
	next  chan *client  // unbuffered, so that a client goes to one who waits
	quit  chan struct{} // closed by close
	spare int32

	waiting atomic.Int32
	closing sync.Once
}

func (w *workers) init() {
	w.next, w.quit = make(chan *client), make(chan struct{})
	w.spare = int32(4 * runtime.GOMAXPROCS(0))
}

// start sees that somebody works for the client. It does not wait.
func (w *workers) start(c *client) {
	select {
	case w.next <- c:
	default:
		go w.run(c)
	}
}

// run works for one client after the other.
func (w *workers) run(c *client) {
	for {
		c.work()
		if w.waiting.Add(1) > w.spare {
			w.waiting.Add(-1)
			return
		}
		select {
		case c = <-w.next:
			w.waiting.Add(-1)
		case <-w.quit:
			return
		}
	}
}

// close ends those who wait, and whoever has nothing to do from now on.
func (w *workers) close() { w.closing.Do(func() { close(w.quit) }) }
