package socketio

import (
	"context"
	"fmt"

	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Ack acknowledges one event.
type Ack = conn.Ack

// asker is a socket as what acknowledgements of its client's events go to.
type asker struct{ *Socket }

func (s asker) SendAck(id uint64, args packet.Args) error {
	if !s.send(false, &outgoing{Packet: packet.Packet{
		Type: packet.Ack, Namespace: s.name, ID: id, HasID: true, Data: args.JSON, Attachments: args.Attachments,
	}}) {
		return ErrDisconnected
	}
	return nil
}

// EmitWithAck sends an event and waits for the client's acknowledgement: its arguments. It fails at once when the
// socket goes (ErrDisconnected), and with ctx's error.
func (s *Socket) EmitWithAck(ctx context.Context, event string, args ...any) (packet.Args, error) {
	list, err := encodeEvent(event, args)
	if err != nil {
		return packet.Args{}, err
	}
	metrics := s.client.io.metrics
	id := s.nsp.acks.Add(1) - 1
	answer := make(chan packet.Args, 1)
	if !s.expect(id, answer) {
		metrics.acks.disconnected.Inc()
		return packet.Args{}, ErrDisconnected
	}
	question := eventPacket(s.name, list)
	question.ID, question.HasID = id, true
	s.sendEvent(false, question)
	select {
	case got, ok := <-answer:
		if !ok {
			metrics.acks.disconnected.Inc()
			return packet.Args{}, ErrDisconnected
		}
		metrics.acks.answered.Inc()
		return got, nil
	case <-ctx.Done():
		s.forget(id)
		metrics.unanswered(ctx.Err()).Inc()
		return packet.Args{}, fmt.Errorf("socketio: wait for acknowledgement of %q: %w", event, ctx.Err())
	}
}

// expect makes an acknowledgement of id go to answer; false when the socket has gone.
func (s *Socket) expect(id uint64, answer chan<- packet.Args) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Load() >= stateLeft {
		return false // whoever ends the socket fails what is waited for after that
	}
	if s.acks == nil {
		s.acks = make(map[uint64]chan<- packet.Args)
	}
	s.acks[id] = answer
	return true
}

func (s *Socket) forget(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.acks, id)
}

// acknowledge hands over what the client answered; false when nobody waits for it.
func (s *Socket) acknowledge(id uint64, args packet.Args) bool {
	s.mu.Lock()
	answer, ok := s.acks[id]
	delete(s.acks, id)
	s.mu.Unlock()
	if ok {
		answer <- args // has room for the one answer there can be
		return true
	}
	return s.state.Load() == stateConnected && s.nsp.rounds.acknowledge(id, s, args)
}

// failAcks ends every wait for an acknowledgement of a socket that has gone.
func (s *Socket) failAcks() {
	s.mu.Lock()
	waiting := s.acks
	s.acks = nil
	s.mu.Unlock()
	for _, answer := range waiting {
		close(answer)
	}
}

func failAcks(sockets []*Socket) {
	for _, s := range sockets {
		s.failAcks()
	}
}
