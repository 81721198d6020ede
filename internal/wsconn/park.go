package wsconn

import (
	"time"

	"github.com/carillon-io/carillon/internal/idle"
)

const (
	// Quiet is how long a connection must have been without messages to be taken for an idle one.
	Quiet = time.Second
	// Busy is how many messages, each less than Quiet after the last, make a connection busy: its reader is no longer
	// parked after each. It is parked again at the first message that follows a pause; heartbeat pongs guarantee one.
	Busy = 16
)

// past is a deadline that interrupts a read.
var past = time.Unix(1, 0)

// pace notes when a message came, and makes the connection busy or idle by it.
func (c *Conn) pace(now time.Duration) {
	pause := now - c.latest
	c.latest = now
	switch {
	case pause > Quiet:
		if c.frequent == Busy {
			c.leave()
		}
		c.frequent = 0
	case c.frequent < Busy:
		if c.frequent++; c.frequent == Busy && c.run != nil && !c.stay() {
			c.frequent = 0
		}
	}
}

// stay makes the end of the stream interrupt the reader, which may then wait without looking for it. It returns false when
// that cannot be done.
func (c *Conn) stay() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.reading.on(readStay); !ok || !c.acceptor.poller.Arm(&c.slot, c.socket, c, idle.Hangup) {
		return false
	}
	c.onLocked(readStay)
	return true
}

// leave makes the reader park when it finds nothing more.
func (c *Conn) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onLocked(readLeave)
}

// busy reports whether the reader stays when it finds nothing more.
func (c *Conn) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reading == readBusy
}

// park ends the reader until something arrives. After true the caller, the reader, does nothing more with c. After false it
// has to wait itself.
func (c *Conn) park() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.reading.on(readPark); !ok {
		return false
	}
	if !c.sleepLocked() {
		return false
	}
	c.onLocked(readPark)
	return true
}

// sleepLocked waits for input, asleep unless something is being written.
func (c *Conn) sleepLocked() bool {
	poller := c.acceptor.poller
	poller.Sleep(&c.slot, c.socket)
	return poller.Arm(&c.slot, c.socket, c, idle.Input)
}

// sleepOn makes a connection sleep that was parked, awake, while a write was under way.
func (c *Conn) sleepOn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reading == readParked && c.socket.Awake() && !c.sleepLocked() {
		c.onLocked(readWake)
		c.owner.Resume()
	}
}

// Wake has a parked connection read from, and interrupts a reader that stays. It is the poller's to call.
func (c *Conn) Wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch was, ok := c.onLocked(readWake); {
	case !ok:
	case was == readParked:
		c.owner.Resume()
	default:
		_ = c.conn.SetReadDeadline(past) // fails only on a closed connection
	}
}

// goOn lets a reader go on that Wake has interrupted. It returns false when the session has ended.
func (c *Conn) goOn() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reading != readWaiting {
		return false
	}
	c.frequent = 0
	_ = c.conn.SetReadDeadline(time.Time{}) // fails only on a closed connection
	return true
}
