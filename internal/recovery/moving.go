package recovery

import (
	"sync/atomic"

	"github.com/carillon-io/carillon/internal/recovery/move"
	"github.com/carillon-io/carillon/pkg/rooms"
)

// moving is what a log keeps for sessions that change nodes.
type moving struct {
	on atomic.Int64 // sessions on their way to or from this node

	// Log.mu guards the following.
	tape     move.Tape[*entry]
	recorded int // bytes of the events that have come on the tape since it was empty
	cuts     map[*Departure]struct{}
	shared   map[mark]*shared // what sessions were handed over, once for all of them
}

// shareOfTape is the part of Config.Bytes that events may take which arrive while a session is on its way here, 1/4.
const shareOfTape = 4

// Command is a command of the namespace, as sessions on their way see it.
type Command struct {
	Kind   move.Kind
	Target rooms.Target
	Rooms  []string // to join or leave
	Event  Event
}

// Moving reports whether a session is on its way to or from this node. Only then commands and fences have to be noted.
func (l *Log) Moving() bool { return l.moving.on.Load() > 0 }

// Arrive notes a command that comes in a lane. own: this node published it. The caller has the turn.
func (l *Log) Arrive(lane move.Lane, own bool, c Command) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.noteRecordingLocked(c)
	if !l.moving.tape.On() && (own || len(l.moving.cuts) == 0) {
		return
	}
	noted := l.noteLocked(c)
	l.moving.tape.Arrive(lane, own, noted)
	for d := range l.moving.cuts {
		d.cut.Arrive(lane, own, &noted)
	}
}

// Publish notes a command that this node publishes. The caller has the turn.
func (l *Log) Publish(c Command) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.moving.tape.On() {
		l.moving.tape.Publish(l.noteLocked(c))
	}
}

// Back notes a fence that comes in a lane. The caller has the turn.
func (l *Log) Back(f move.Fence, lane move.Lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.moving.tape.Back(f, lane)
	for d := range l.moving.cuts {
		d.cut.Back(f, lane)
	}
}

// noteLocked gives an event a place in the log at which only a session finds it that is handed it.
func (l *Log) noteLocked(c Command) move.Command[*entry] {
	noted := move.Command[*entry]{Kind: c.Kind, Target: c.Target, Rooms: c.Rooms}
	if c.Kind != move.Event {
		return noted
	}
	e := newEntry(c.Event)
	l.last++
	e.log, e.place, e.offset = l.id, l.last, l.store.offset(l.id, l.last)
	noted.Event, noted.Target = e, e.event.Target // copies: the event may be a piece of a large message
	if l.moving.tape.On() {
		l.moving.recorded += e.size
	}
	return noted
}
