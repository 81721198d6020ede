package conn

import (
	"context"

	"github.com/carillon-io/carillon/internal/sio/wire"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Ask sends an event, whose ID is set, and waits for the client's acknowledgement: its arguments. It fails at once when
// the event cannot be sent, the client has no way to acknowledge one (ErrParser), or the socket goes, and with ctx's error. sent is called once the event is queued.
func (s *Socket) Ask(ctx context.Context, m *wire.Message, sent func(*wire.Message)) (packet.Args, error) {
	if s.conn == nil {
		return packet.Args{}, ErrDisconnected
	}
	acks := &s.conn.set.tally.Acks
	if !s.answers(m) {
		return packet.Args{}, ErrParser
	}
	acked := make(chan packet.Args, 1)
	if !s.expect(m.ID, acked) {
		acks.Disconnected.Inc()
		return packet.Args{}, ErrDisconnected
	}
	if err := s.Send(false, m); err != nil {
		s.forget(m.ID)
		acks.Disconnected.Inc()
		return packet.Args{}, err
	}
	sent(m)
	select {
	case args, ok := <-acked:
		if !ok {
			acks.Disconnected.Inc()
			return packet.Args{}, ErrDisconnected
		}
		acks.Answered.Inc()
		return args, nil
	case <-ctx.Done():
		s.forget(m.ID)
		acks.Unanswered(ctx.Err()).Inc()
		return packet.Args{}, ctx.Err()
	}
}

// expect has the acknowledgement of id sent to acked; false when the socket has gone.
func (s *Socket) expect(id uint64, acked chan<- packet.Args) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life.gone() {
		return false // failAcks may have run already
	}
	if s.waiting == nil {
		s.waiting = make(map[uint64]chan<- packet.Args)
	}
	s.waiting[id] = acked
	return true
}

func (s *Socket) forget(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, id)
}

// acknowledge hands over what the client acknowledged an event with; false when nothing waits for it.
func (s *Socket) acknowledge(id uint64, args packet.Args) bool {
	s.mu.Lock()
	acked, ok := s.waiting[id]
	delete(s.waiting, id)
	s.mu.Unlock()
	if ok {
		acked <- args // has room for the one acknowledgement there can be
		return true
	}
	return s.life.stage() == joined && s.owner.Acknowledge(id, args)
}

// failAcks ends every wait for an acknowledgement of a socket that has gone.
func (s *Socket) failAcks() {
	s.mu.Lock()
	waiting := s.waiting
	s.waiting = nil
	s.mu.Unlock()
	for _, acked := range waiting {
		close(acked)
	}
}
