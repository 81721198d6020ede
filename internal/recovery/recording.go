package recovery

import (
	"errors"
	"time"

	"github.com/carillon-io/carillon/internal/recovery/move"
)

// Recording has what comes in a namespace while the session of a server that was killed, or of one that does not hand over, is
// read from a stream. Up to its beginning the stream tells what the session missed, from there on the recording does.
type Recording struct {
	// Static after construction.
	log  *Log
	from string // everything up to this entry was delivered before

	at    int // where it begins in the log's tape; Log.mu guards it
	holes int // what recordings.holes was then
}

// recordings are what all recordings of a log share. Log.mu guards it.
type recordings struct {
	open  int
	tape  []Command
	bytes int
	holes int // how often events may have been missed
}

// Record begins a recording. position is the newest entry that this node has been delivered. The caller has the turn.
func (l *Log) Record(position string) *Recording {
	l.moving.on.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reachLocked(position)
	l.recordings.open++
	return &Recording{log: l, from: idOf(l.last), at: len(l.recordings.tape), holes: l.recordings.holes}
}

// From is the entry up to which the stream tells what the session missed.
func (r *Recording) From() string { return r.from }

// noteRecordingLocked records a command.
func (l *Log) noteRecordingLocked(c Command) {
	t := &l.recordings
	if t.open == 0 {
		return
	}
	t.tape = append(t.tape, c)
	t.bytes += entryOverhead + len(c.Event.Args.JSON)
	for _, a := range c.Event.Args.Attachments {
		t.bytes += len(a)
	}
}

// End ends the recording.
func (r *Recording) End() {
	l := r.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := &l.recordings; t.open == 1 {
		*t = recordings{holes: t.holes}
	} else {
		t.open--
	}
	l.moving.on.Add(-1)
}

// Returning is a session that a client comes back for, as it is worked out from the stream.
type Returning struct {
	// Static after construction.
	log    *Log
	behind uint64 // events up to this place were received
	at     uint64 // commands up to this place have had their effect on the rooms
	dated  bool   // that is known

	session move.Session[Event]
	bytes   int
	whole   bool
}

// Returning begins with the rooms that a session was stored with, its own among them. behind is the offset that its client names, at the one that
// the rooms are of; most is how many rooms a session may be in.
func (l *Log) Returning(rooms []string, own, behind, at string, most int) *Returning {
	r := &Returning{log: l, dated: at != "", session: move.NewSession[Event](append([]string{own}, rooms...), most), whole: true}
	r.behind, _ = placeOf(behind)
	r.at, _ = placeOf(at)
	return r
}

// Missed applies a command of the stream that stands at an entry. false: what the client missed is more than may be kept.
func (r *Returning) Missed(id string, c Command) bool {
	place, ok := placeOf(id)
	switch {
	case !ok || c.Kind == move.Event && place <= r.behind || c.Kind != move.Event && place <= r.at:
		return true
	case !r.dated && (c.Kind == move.Join || c.Kind == move.Leave):
		return true // it is not known whether it has had its effect, and one of Node's servers has none on sessions
	}
	c.Event.Offset = id
	return r.apply(&c)
}

func (r *Returning) apply(c *Command) bool {
	n := len(r.session.Events)
	r.session.Apply(&move.Command[Event]{Kind: c.Kind, Target: c.Target, Rooms: c.Rooms, Event: c.Event})
	if len(r.session.Events) > n {
		r.bytes += entryOverhead + len(c.Event.Args.JSON)
		for _, a := range c.Event.Args.Attachments {
			r.bytes += len(a)
		}
		r.whole = int64(r.bytes) <= r.log.store.config.Bytes/shareOfAddress
	}
	return r.whole
}

var (
	errTooMuch = errors.New("recovery: a client missed more than may be kept for it")
	errHole    = errors.New("recovery: this node missed what the client may have missed")
)

// Arrive is Session.Arrive for a session that comes back from a stream: with what it missed there, and since then. The caller
// has the turn, and calls join with the rooms that absent is to be in.
func (r *Returning) Arrive(s *Session, rec *Recording, absent Absent, away time.Duration, join func(rooms []string) bool) (kicked bool, err error) {
	l := r.log
	l.mu.Lock()
	for i := range l.recordings.tape[rec.at:] {
		if c := l.recordings.tape[rec.at+i]; r.whole && (c.Kind != move.Event || !r.received(&c)) {
			r.apply(&c)
		}
	}
	tooMuch := !r.whole || int64(l.recordings.bytes) > l.store.config.Bytes/shareOfTape
	holed := l.recordings.holes != rec.holes
	l.mu.Unlock()
	switch {
	case tooMuch:
		return false, errTooMuch
	case holed:
		return false, errHole
	}
	h := Handed{Kicked: r.session.Kicked, Away: away}
	for name := range r.session.Rooms {
		h.Rooms = append(h.Rooms, name)
	}
	for _, e := range r.session.Events {
		kept := newEntry(e)
		kept.log, kept.offset, kept.at = l.id, e.Offset, l.store.now()
		kept.place, _ = placeOf(e.Offset)
		h.Events = append(h.Events, kept)
	}
	if !join(h.Rooms) {
		return false, errTwice
	}
	return h.Kicked, s.Arrive(h, absent)
}

// received reports whether the client names an offset at or behind an event.
func (r *Returning) received(c *Command) bool {
	place, _ := placeOf(c.Event.Offset)
	return place <= r.behind
}
