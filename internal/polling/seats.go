package polling

import "github.com/carillon-io/carillon/internal/frame"

// Seats are the places of a session's GETs: one waits in the seat, with nothing sent, one is writing the answer it was given,
// and one may queue behind the writing one: the client has that answer before we know. The session's lock guards them.
type Seats struct {
	seat    *Get
	queued  *Get
	writing *Get
}

// Sit gives a GET a place; false when another waits.
func (s *Seats) Sit(g *Get) bool {
	switch {
	case s.Waits():
		return false
	case s.writing != nil:
		s.queued = g
	default:
		s.seat = g
	}
	return true
}

// Seated reports whether a GET sits in the seat, which Answer would answer.
func (s *Seats) Seated() bool { return s.seat != nil }

// Waits reports whether a GET waits, in the seat or queued.
func (s *Seats) Waits() bool { return s.seat != nil || s.queued != nil }

// Answer gives the GET in the seat a batch to write.
func (s *Seats) Answer(batch []*frame.Frame) {
	g := s.seat
	s.seat, s.writing = nil, g
	g.Leased = true
	g.Answer(batch...)
}

// AnswerFinal gives the GET in the seat the last batch of its session. The session is not called when that has been written.
func (s *Seats) AnswerFinal(batch []*frame.Frame) {
	g := s.seat
	s.seat = nil
	g.Answer(batch...)
}

// Written ends the writing of an answer, and seats the GET that is queued behind it.
func (s *Seats) Written() {
	s.writing = nil
	if s.seat == nil {
		s.seat, s.queued = s.queued, nil
	}
}

// Leave frees the place of a GET whose client has gone; false when the GET has been given an answer meanwhile.
func (s *Seats) Leave(g *Get) bool {
	switch g {
	case s.seat:
		s.seat = nil
	case s.queued:
		s.queued = nil
	default:
		return false
	}
	return true
}

// Empty has each GET that waits decided, and frees their places.
func (s *Seats) Empty(decide func(*Get)) {
	for _, g := range []*Get{s.seat, s.queued} {
		if g != nil {
			decide(g)
		}
	}
	s.seat, s.queued = nil, nil
}

// Hurry hurries the answer that is being written, if one is.
func (s *Seats) Hurry(cut bool) {
	if s.writing != nil {
		s.writing.Hurry(cut)
	}
}
