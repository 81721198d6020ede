package upstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Handover is what another node needs to go on with a socket. It is some hundred bytes of JSON.
type Handover struct {
	Move  uint64 `json:"move"` // its number, from 1
	User  string `json:"user,omitempty"`
	Stays []Stay `json:"stays,omitempty"`
}

// Stay is a socket's life on one route.
type Stay struct {
	Route     string `json:"route"`
	Partition int    `json:"partition"`
	Seq       uint64 `json:"seq"`                 // of its last entry, from 1
	Connected bool   `json:"connected,omitempty"` // its last entry must be a disconnected one
}

// maxStays is how many routes a Handover may name.
const maxStays = 1024

// errHandover is for a Handover that no node has made.
var errHandover = errors.New("upstream: malformed hand-over")

func (h *Handover) check() error {
	if h.Move == 0 || len(h.Stays) > maxStays {
		return errHandover
	}
	routes := make(map[string]struct{}, len(h.Stays))
	for _, st := range h.Stays {
		_, twice := routes[st.Route]
		if twice || st.Route == "" || st.Seq == 0 || st.Partition < 0 || st.Partition >= maxPartitions {
			return fmt.Errorf("%w: route %.80q", errHandover, st.Route)
		}
		routes[st.Route] = struct{}{}
	}
	return nil
}

// Offer makes what another node needs to take the socket, whose connection has ended. It waits until Redis has answered for
// all that the socket has sent; further events are refused from its call on. Afterwards Resume takes the socket back, Leave ends
// it, Moved forgets it, and another Offer makes this one void. An error says that nothing has changed: ErrUnavailable where
// ctx ended first, ErrLost where this node was declared lost, ErrGone where the socket has ended.
func (s *Socket) Offer(ctx context.Context) (Handover, error) {
	s.mu.Lock()
	was := s.sealed
	s.sealed = true
	s.mu.Unlock()
	err := s.awaitQuiet(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.left, s.claim != nil && s.claim.refused():
		err = ErrGone
	case s.node.gone():
		err = ErrLost
	}
	if err != nil {
		s.sealed = was || s.left
		return Handover{}, err
	}
	s.offered++
	h := Handover{Move: s.offered, User: s.client.User}
	for _, st := range s.stays {
		if seq := st.last(); seq > 0 { // else all that it had was refused, or has expired
			st.mark(s.held)
			h.Stays = append(h.Stays, Stay{st.partition.route.name, st.partition.index, seq, st.connected})
		}
	}
	return h, nil
}

// awaitQuiet waits until nothing of the socket is under way to Redis.
func (s *Socket) awaitQuiet(ctx context.Context) error {
	for {
		quiet := make(chan struct{})
		s.quiet.Store(&quiet)
		if s.underWay.Load() == 0 {
			return nil
		}
		select {
		case <-quiet:
		case <-ctx.Done():
			return ErrUnavailable
		}
	}
}

// last is the seq of the stay's last entry; 0: Redis has none.
func (st *stay) last() uint64 {
	st.partition.mu.Lock()
	defer st.partition.mu.Unlock()
	return st.seq
}

// mark has the stay's entries say which move they are of.
func (st *stay) mark(move uint64) { st.move = " " + strconv.FormatUint(move, 10) }

// Take makes a socket that another node has offered one of this node, which answers for its end from now on. c.Connection may be
// nil: Resume brings one. It does not block: Taken tells what Redis has said. The error is for a Handover that no node has made.
func (u *Upstream) Take(c Client, h Handover) (*Socket, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	s := &Socket{up: u, client: c, connection: c.Connection, offered: h.Move}
	s.client.Connection, s.client.User = nil, h.User
	if s.connection == nil {
		s.connection = nowhere{}
	}
	s.node = u.enter(s)
	for _, st := range h.Stays {
		s.stays = append(s.stays, &stay{
			socket: s, partition: u.route(st.Route).partition(st.Partition), connected: st.Connected, seq: st.Seq,
		})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claimLocked(h.Move)
	return s, nil
}

// Taken waits until Redis has answered in each of the socket's partitions that this node has it. It returns ErrGone where the
// socket has ended for backends or is another node's by now, ErrLost where this node was declared lost; then the socket is over.
// ErrUnavailable says that ctx ended first: Taken may be called again.
func (s *Socket) Taken(ctx context.Context) error {
	s.mu.Lock()
	claim := s.claim
	s.mu.Unlock()
	if claim == nil {
		return nil
	}
	err := claim.await(ctx)
	if err != nil && !errors.Is(err, ErrUnavailable) {
		s.Leave(reasonLost) // in the partitions that did not refuse it
	}
	return err
}

// nowhere is the connection of a socket that has none.
type nowhere struct{}

var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

func (nowhere) Context() context.Context { return ended }
func (nowhere) Closed() <-chan struct{}  { return ended.Done() }
func (nowhere) SendAway()                {}

// Resume goes on with another connection, and takes the socket back where it was offered to another node. It returns false
// where the socket has ended for backends or is another node's: this node was declared lost, or a higher number has claimed it.
// The error is ErrUnavailable, where ctx ended before that was known; Resume may be called again then.
func (s *Socket) Resume(ctx context.Context, c Connection) (bool, error) {
	s.mu.Lock()
	if s.offered > s.held && !s.left {
		s.claimLocked(s.offered + 1)
	}
	s.mu.Unlock()
	switch err := s.Taken(ctx); {
	case errors.Is(err, ErrUnavailable):
		return false, err
	case err != nil:
		return false, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connection, s.sealed = c, s.left
	return !s.left && !s.node.gone(), nil
}

// Moved forgets a socket that another node has taken, or is about to take. Where that one does not claim it within Times.Unclaimed, as
// it died, the socket is ended.
func (s *Socket) Moved() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left {
		return
	}
	s.left, s.sealed = true, true
	now := time.Now()
	for _, st := range s.stays {
		if st.last() == 0 {
			continue
		}
		e := newMark(kindForget, st, now)
		e.stored = func(id string, err error) {
			if err == nil && id == stillHeld {
				time.AfterFunc(s.up.times.Unclaimed, func() { s.end(st, reasonLost) })
			}
		}
		s.put(e)
	}
	s.node.leave(s)
}

// stillHeld is the script's answer where no other node has claimed a socket that is to be forgotten.
const stillHeld = "held"

// end puts the end of a stay behind all that it has queued. Where another node has claimed it, nothing changes.
func (s *Socket) end(st *stay, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(newEnd(st, reason, time.Now()))
}
