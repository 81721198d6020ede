package pythonbus

import (
	"bytes"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
)

// receive does what a message says to the sockets of this node. Only the subscription calls it, with one message after the
// other. The payload is the bus's.
func (b *Bus) receive(payload []byte, received time.Time) {
	if bytes.HasPrefix(payload, b.peers) {
		return // a node of this cluster, this one included
	}
	b.metrics.in.Inc()
	e, err := decode(payload)
	if err == nil {
		err = b.apply(e, received)
	}
	switch {
	case err == nil:
	case errors.Is(err, errPickle):
		b.refuse(dropPickle, err)
	default:
		b.refuse(dropMalformed, err)
	}
}

// refuse counts a message that cannot be read, and logs the first of its kind in a minute.
func (b *Bus) refuse(reason drop, err error) {
	b.metrics.drop(reason)
	if b.metrics.news(reason, time.Now()) {
		b.log.Warn("message from Python dropped", zap.String("channel", b.config.Channel), zap.Error(err))
	}
}

// apply does what a message of a process in Python says.
func (b *Bus) apply(e *envelope, received time.Time) error {
	switch e.Method {
	case methodEmit:
		return b.emit(e, received)
	case methodCallback:
		return b.acknowledge(e)
	case methodCloseRoom:
		room, ok := name(e.Room)
		if !ok {
			return errMalformed
		}
		b.node.Deliver(adapter.Leave{
			Namespace: e.namespace(), Target: rooms.Target{Rooms: []string{room}}, Rooms: []string{room},
		})
	case methodDisconnect, methodEnterRoom, methodLeaveRoom:
		return b.single(e)
	default:
		b.metrics.drop(dropMethod)
	}
	return nil
}

// emit delivers an event, and has an acknowledgement sent back where the sender wants one.
func (b *Bus) emit(e *envelope, received time.Time) error {
	target, some, err := e.target()
	if err != nil {
		return err
	}
	if !some || !b.holdsAny(e.namespace(), target.Rooms) {
		return nil
	}
	args, err := e.args(b.config.MaxDepth)
	if err != nil {
		return err
	}
	event := adapter.Broadcast{Namespace: e.namespace(), Args: args, Target: target, Received: received}
	if isNull(e.Callback) {
		b.node.Deliver(event)
		return nil
	}
	c, err := e.callback()
	if err != nil {
		return err
	}
	b.answer(c, event)
	return nil
}

// holdsAny reports whether an event may be for a socket of this node. No rooms address all sockets.
func (b *Bus) holdsAny(nsp string, names []string) bool {
	for _, room := range names {
		if b.node.Holds(nsp, room) {
			return true
		}
	}
	return len(names) == 0
}

// single carries out a command for one socket, which it names by id. Any other name addresses no socket.
func (b *Bus) single(e *envelope) error {
	nsp := e.namespace()
	sid, ok := name(e.SID)
	if !ok {
		return errMalformed
	}
	if !isID(nsp, sid) || !b.node.Holds(nsp, sid) {
		return nil
	}
	one := rooms.Target{Rooms: []string{sid}}
	if e.Method == methodDisconnect {
		b.node.Deliver(adapter.Disconnect{Namespace: nsp, Target: one})
		return nil
	}
	room, ok := name(e.Room)
	switch {
	case !ok || room == "":
		return errMalformed
	case e.Method == methodEnterRoom:
		b.node.Deliver(adapter.Join{Namespace: nsp, Target: one, Rooms: []string{room}})
	default:
		b.node.Deliver(adapter.Leave{Namespace: nsp, Target: one, Rooms: []string{room}})
	}
	return nil
}
