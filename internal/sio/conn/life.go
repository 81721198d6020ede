package conn

import "sync/atomic"

// stage is how far the life of a socket has come. Stages only ever rise.
type stage uint32

const (
	pending   stage = iota // its CONNECT is queued, or Enter runs
	answering              // for the moment in which the CONNECT answer is queued
	joined
	left  // by its client's wish or with its connection: what was queued before is still handled
	ended // by the server: refused or disconnected; what is queued is dropped
	stages
)

// step is what happens to a socket.
type step uint8

const (
	answer step = iota // Enter has let it in
	join               // the CONNECT answer is queued
	leave              // its client leaves, or the connection ends
	end                // the server refuses or disconnects it
	steps
)

// no stands for a step that changes nothing: the socket has gone already, or has not come that far.
const no = stages

// next is the stage that a step leads to.
var next = [stages][steps]stage{
	//           answer     join    leave  end
	pending:   {answering, no, left, ended},
	answering: {no, joined, no, no}, // the lock that guards the steps is held meanwhile
	joined:    {no, no, left, ended},
	left:      {no, no, no, no},
	ended:     {no, no, no, no},
}

// life is the stage of one socket. Its connection's lock guards take; anything may look.
type life struct{ at atomic.Uint32 }

func (l *life) stage() stage { return stage(l.at.Load()) }

// take takes a step, and reports the stage before it and whether the step led anywhere.
func (l *life) take(s step) (from stage, ok bool) {
	from = l.stage()
	to := next[from][s]
	if to == no {
		return from, false
	}
	l.at.Store(uint32(to))
	return from, true
}

// gone reports whether nothing is sent to the socket any more.
func (l *life) gone() bool { return l.stage() >= left }

// handles reports whether events of the socket that were queued are still handled.
func (l *life) handles() bool { return l.stage() == joined || l.stage() == left }
