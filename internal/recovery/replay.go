package recovery

import (
	"sync"

	"github.com/carillon-io/carillon/internal/sio/wire"
)

// Sink is the client that a Replay sends to. No method blocks.
type Sink interface {
	// Send queues a message; false: the connection has ended. It does not keep m.
	Send(m *wire.Message) bool
	// Room reports whether a message of about that size may be queued now. If not, and f is not nil, f is called once, on
	// another goroutine, when one may, or when the connection has ended.
	Room(size int, f func()) bool
	// Live is called in the turn of the log from which on events are to be sent as they come.
	Live()
	// Abort closes the connection in a way that makes the client come back: what it missed is not kept any more.
	Abort()
}

// Replay sends a client what it missed, drawn from the log as the connection takes it. Until it has caught up, nothing else
// is sent to the client: what is in the log comes from there, and the rest waits in its place.
type Replay struct {
	// Static after construction.
	session *Session
	sink    Sink

	// Log.mu guards the following.
	past   []*entry // to be sent before what the reader finds
	reader reader

	mu sync.Mutex
	// mu guards the following. Only Sink's methods are called under it.
	waiting []waiting
	bytes   int
	over    bool // nothing waits here any more
}

// waiting is a message that is in no log, and is to be sent behind what is at a place.
type waiting struct {
	behind  uint64
	message wire.Message
}

// What may wait during a replay, beside what is in the log.
const (
	waitingMessages = 256
	waitingBytes    = 256 << 10
)

// drawn is how many events are drawn from the log in one go.
const drawn = 64

// Put decides about a message for the client: taken says that it is not to be sent now, queued that it will be. Events with
// an offset are in the log; a volatile one comes to nothing, for the client is behind.
func (r *Replay) Put(volatile bool, m *wire.Message) (queued, taken bool) {
	if !volatile && m.Offset != "" {
		r.mu.Lock()
		defer r.mu.Unlock()
		return !r.over, !r.over
	}
	l := r.session.log
	l.mu.Lock()
	last := l.last
	l.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.over:
		return false, false
	case volatile:
		return false, true
	}
	size := sizeOf(m)
	if len(r.waiting) >= waitingMessages || len(r.waiting) > 0 && r.bytes+size > waitingBytes {
		return false, true
	}
	r.waiting = append(r.waiting, waiting{last, *m})
	r.bytes += size
	return true, true
}

// due returns the messages that come before the event at a place; 0: all.
func (r *Replay) due(place uint64) (list []waiting) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for n < len(r.waiting) && (place == 0 || r.waiting[n].behind < place) {
		r.bytes -= sizeOf(&r.waiting[n].message)
		n++
	}
	list, r.waiting = r.waiting[:n:n], r.waiting[n:]
	return list
}

// Run sends until the client is live, or has to take something first: then it goes on by itself. The caller has not the
// turn, and calls it once.
func (r *Replay) Run() {
	l := r.session.log
	for {
		batch, state := r.draw()
		switch state {
		case drawnAll:
			l.Begin()
			done := r.finish()
			l.End()
			if done {
				return
			}
			continue
		case drawnNever:
			return
		case drawnLost:
			r.session.End()
			r.sink.Abort()
			return
		}
		for _, e := range batch {
			if !r.sink.Room(e.size, r.Run) {
				return
			}
			if !r.send(e) {
				return
			}
		}
	}
}

// send sends what waits before an event, and the event.
func (r *Replay) send(e *entry) bool {
	if r.isPast(e) {
		return r.sendPast(e)
	}
	if !r.sendDue(e.place) || !e.send(r.session.log, r.sink.Send) {
		return false
	}
	l := r.session.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.reader.next <= e.place {
		r.reader.moveTo(e.place + 1)
		r.reader.next = e.place + 1
	}
	return true
}

func (r *Replay) isPast(e *entry) bool {
	l := r.session.log
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(r.past) > 0 && r.past[0] == e
}

// sendPast sends an event that an earlier owner handed over. It precedes everything that waits in this node's log.
func (r *Replay) sendPast(e *entry) bool {
	l := r.session.log
	if !e.send(l, r.sink.Send) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	r.past = r.past[1:]
	return true
}

func (r *Replay) sendDue(place uint64) bool {
	for _, w := range r.due(place) {
		if !r.sink.Send(&w.message) {
			return false
		}
	}
	return true
}

// drawnState says what draw has found.
type drawnState uint8

const (
	drawnSome  drawnState = iota
	drawnAll              // there is nothing more for the client at the moment
	drawnNever            // the session is not this connection's any more
	drawnLost             // the next event is not kept any more
)

// draw returns the next events for the client, without going on behind them.
func (r *Replay) draw() ([]*entry, drawnState) {
	l := r.session.log
	l.mu.Lock()
	defer l.mu.Unlock()
	return r.drawLocked(drawn)
}

func (r *Replay) drawLocked(most int) (batch []*entry, state drawnState) {
	s := r.session
	switch {
	case s.replay != r:
		return nil, drawnNever
	case !s.reachesLocked(r.reader.next - 1):
		return nil, drawnLost
	case len(r.past) > 0:
		return r.past[:min(len(r.past), most)], drawnSome
	}
	for more := true; more; {
		ahead := r.reader.clone()
		if batch, more = ahead.missed(nil, s.log.last); len(batch) > 0 {
			return batch[:min(len(batch), most)], drawnSome
		}
		r.reader = ahead // nothing up to there is for this session
	}
	return nil, drawnAll
}

// finish makes the client live if nothing more than fits is left. The caller has the turn.
func (r *Replay) finish() bool {
	l := r.session.log
	l.mu.Lock()
	batch, state := r.drawLocked(drawn)
	l.mu.Unlock()
	if state == drawnNever {
		return true
	}
	if state == drawnLost || len(batch) == drawn {
		return false
	}
	for _, e := range batch {
		if !r.sink.Room(e.size, nil) {
			return false
		}
		if !r.send(e) {
			return true
		}
	}
	l.mu.Lock()
	if _, state = r.drawLocked(1); state != drawnAll {
		l.mu.Unlock()
		return state == drawnNever
	}
	r.session.replay = nil
	r.session.liveAt = l.store.now()
	l.mu.Unlock()
	r.goLive()
	return true
}

// goLive sends what waits, and has everything else sent as it comes from here on.
func (r *Replay) goLive() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.waiting {
		if !r.sink.Send(&r.waiting[i].message) {
			break
		}
	}
	r.waiting, r.over = nil, true
	r.sink.Live()
}

// sizeOf is about the memory of a message.
func sizeOf(m *wire.Message) int {
	size := len(m.Data)
	for _, a := range m.Attachments {
		size += len(a)
	}
	return size
}
