package move

import "slices"

// Tape records what happens in a namespace of the new node, for all sessions that are on their way to it. The zero Tape is
// empty.
type Tape[E any] struct {
	items []item[E]
	first int // the number of items[0]
	marks []*Mark
}

// Mark is a place on a tape that a session on its way began at.
type Mark struct{ from int }

type item[E any] struct {
	happened happened
	lane     Lane
	fence    Fence
	command  Command[E]
}

type happened uint8

const (
	arrived   happened = iota // a command of another node
	echoed                    // a command of this node
	fenced                    // a fence came
	published                 // a command of this node was published
	closed                    // a fence of this node was published
)

// Begin has everything kept that happens from now on, until End. It is called when the lanes are known in which the opening
// fence is certain to arrive, and before that is published.
func (t *Tape[E]) Begin() *Mark {
	m := &Mark{from: t.first + len(t.items)}
	t.marks = append(t.marks, m)
	return m
}

// End undoes Begin, and drops what no other session needs.
func (t *Tape[E]) End(m *Mark) {
	for i, other := range t.marks {
		if other == m {
			t.marks = append(t.marks[:i:i], t.marks[i+1:]...)
			break
		}
	}
	if len(t.marks) == 0 {
		t.first += len(t.items)
		t.items, t.marks = nil, nil
		return
	}
	if n := t.marks[0].from - t.first; n > 0 && n >= len(t.items)/2 {
		t.items = append(make([]item[E], 0, 2*(len(t.items)-n)), t.items[n:]...)
		t.first += n
	}
}

// On reports whether anything is recorded.
func (t *Tape[E]) On() bool { return len(t.marks) > 0 }

// Arrive records a command that came in a lane. own: this node has published it.
func (t *Tape[E]) Arrive(lane Lane, own bool, c Command[E]) {
	what := arrived
	if own {
		what = echoed
	}
	t.add(item[E]{happened: what, lane: lane, command: c})
}

// Back records a fence, this node's own ones among them, that came in a lane.
func (t *Tape[E]) Back(f Fence, lane Lane) { t.add(item[E]{happened: fenced, fence: f, lane: lane}) }

// Publish records a command that this node publishes.
func (t *Tape[E]) Publish(c Command[E]) { t.add(item[E]{happened: published, command: c}) }

// Close records that this node publishes a fence.
func (t *Tape[E]) Close(f Fence) { t.add(item[E]{happened: closed, fence: f}) }

func (t *Tape[E]) add(i item[E]) {
	if t.On() {
		t.items = append(t.items, i)
	}
}

// Bounds are the two fences of a move, each in the lanes in which it is certain to arrive at this node.
type Bounds struct {
	Opening      Fence // the owner's
	OpeningLanes []Lane
	Closing      Fence // this node's, published once Opening was back at the owner
	ClosingLanes []Lane
}

// Judge applies to a session what was recorded behind the opening fence. It reports false, and s is not to be used, as long as
// one of the fences has not come in one of its lanes, and for good where a lane was broken between the fences: it has another
// number since.
func (t *Tape[E]) Judge(m *Mark, b Bounds, s *Session[E]) bool {
	before := set(b.OpeningLanes) // lanes in which the opening fence has not come
	inside := set(b.ClosingLanes) // lanes in which the closing fence has not come
	behind := false               // the closing fence has been published
	var waiting []*Command[E]     // published behind it
	for i := max(0, m.from-t.first); i < len(t.items); i++ {
		switch at := &t.items[i]; at.happened {
		case fenced:
			if at.fence == b.Opening {
				delete(before, at.lane)
			}
			if at.fence == b.Closing {
				delete(inside, at.lane)
				if len(inside) == 0 {
					for _, c := range waiting {
						s.Apply(c)
					}
					waiting = nil
				}
			}
		case closed:
			behind = behind || at.fence == b.Closing
		case arrived:
			if _, early := before[at.lane]; !early {
				s.Apply(&at.command)
			}
		case echoed:
			_, early := before[at.lane]
			if _, late := inside[at.lane]; late && !early {
				s.Apply(&at.command)
			}
		case published:
			switch {
			case behind && len(inside) == 0:
				s.Apply(&at.command)
			case behind:
				waiting = append(waiting, &at.command)
			}
		}
	}
	for _, lane := range b.OpeningLanes {
		if !slices.Contains(b.ClosingLanes, lane) {
			return false
		}
	}
	return behind && len(before) == 0 && len(inside) == 0
}

func set(lanes []Lane) map[Lane]struct{} {
	in := make(map[Lane]struct{}, len(lanes))
	for _, lane := range lanes {
		in[lane] = struct{}{}
	}
	return in
}
