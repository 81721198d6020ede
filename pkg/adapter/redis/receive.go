package redis

import (
	"errors"
	"time"
	"unsafe"

	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// receive takes every message of the subscription, one after the other: the order in which a publisher published is the
// order in which the node gets to see it, whatever channels it went through.
func (a *Adapter) receive(in interest, text string) {
	if in.kind == kindProbe {
		a.watchdog.received(text)
		return
	}
	a.metrics.in.Inc()
	// The text is ours alone, and whatever refers to parts of it only reads: no need to copy.
	payload := unsafe.Slice(unsafe.StringData(text), len(text))
	a.delivering.Lock()
	defer a.delivering.Unlock()
	switch in.kind {
	case kindBroadcast, kindRoom:
		a.receiveBroadcast(in, payload)
	case kindRequest:
		a.receiveRequest(in, payload)
	default:
		a.receiveResponse(payload)
	}
}

// receiveBroadcast skips what is not for this node before it decodes anything.
func (a *Adapter) receiveBroadcast(in interest, payload []byte) {
	if !a.hasMember(in) {
		a.metrics.receivedDropped[droppedNoMember].Inc()
		return
	}
	if uid, ok := rediswire.Sender(payload); ok && string(uid) == a.config.NodeID {
		a.metrics.receivedDropped[droppedOwn].Inc()
		return
	}
	received := time.Now()
	b, err := rediswire.DecodeBroadcast(in.namespace, in.room, payload, a.limits)
	if err != nil {
		a.refuse(in.namespace, err)
		return
	}
	b.Received = received
	a.deliver(in, payload, received, b)
}

func (a *Adapter) hasMember(in interest) bool {
	if in.kind == kindRoom {
		return a.node.Holds(in.namespace, in.room)
	}
	return a.namespaces.isOpen(in.namespace)
}

// refuse counts a message that rediswire does not accept.
func (a *Adapter) refuse(nsp string, err error) {
	reason := droppedMalformed
	switch {
	case errors.Is(err, rediswire.ErrTooLarge):
		reason = droppedTooLarge
	case errors.Is(err, rediswire.ErrNamespace):
		reason = droppedNamespace
	case errors.Is(err, rediswire.ErrType):
		reason = droppedUnknownType
	}
	a.metrics.receivedDropped[reason].Inc()
	a.log.Debug("message refused", zap.String("namespace", nsp), zap.Error(err))
}

// refuseAnswer is refuse for what may be an answer. One that is too long is an answer all the same, whose content is
// missing.
func (a *Adapter) refuseAnswer(nsp string, payload []byte, err error) {
	a.refuse(nsp, err)
	if id, ok := rediswire.AnswerID(payload); ok && errors.Is(err, rediswire.ErrTooLarge) {
		a.asks.receive(rediswire.Response{ID: id, Extent: rediswire.Extent{Cut: true}})
	}
}

// receiveRequest acts on a request. Our own requests come back to us as well: what they ask for has been done here by
// the server above. Those of emitters name no sender, and are for everybody.
func (a *Adapter) receiveRequest(in interest, payload []byte) {
	nsp, received := in.namespace, time.Now()
	r, err := rediswire.DecodeRequest(nsp, payload, a.limits)
	if err != nil {
		a.refuse(nsp, err)
		return
	}
	switch {
	case r.UID == a.config.NodeID:
		a.metrics.receivedDropped[droppedOwn].Inc()
	case !a.namespaces.isOpen(nsp), r.Socket != "" && !a.node.Holds(nsp, r.Socket):
		a.metrics.receivedDropped[droppedNoMember].Inc()
	case r.Query != nil:
		a.node.Answer(r.Query, func(reply adapter.Reply) { a.respond(nsp, &r, reply) })
	default:
		a.deliver(in, payload, received, r.Command)
		if r.Socket != "" && r.ID != "" {
			a.respond(nsp, &r, nil)
		}
	}
}

// respond publishes an answer of this node. Node's servers listen for answers to server-side emits on the shared
// channel only.
func (a *Adapter) respond(nsp string, r *rediswire.Request, reply adapter.Reply) {
	m := message{channel: rediswire.ResponseChannel(a.config.Key, nsp)}
	if a.config.OwnResponses && r.UID != "" && r.Type != rediswire.TypeServerEmit {
		m.channel = rediswire.OwnResponseChannel(a.config.Key, nsp, r.UID)
	}
	response := rediswire.Response{ID: r.ID, UID: a.config.NodeID, Type: r.Type}
	payloads, err := a.answer(r.UID, reply, func(reply adapter.Reply, extent rediswire.Extent) ([]byte, error) {
		response.Reply, response.Extent = reply, extent
		return rediswire.AppendResponse(nil, &response)
	})
	if err != nil {
		a.log.Warn("answer cannot be encoded", zap.String("namespace", nsp), zap.Error(err))
		a.queue.drop([]message{m}, dropInvalid, err)
		return
	}
	for _, payload := range payloads {
		m.payload = payload
		a.queue.push(m)
	}
}

// receiveResponse hands an answer to the query that waits for it.
func (a *Adapter) receiveResponse(payload []byte) {
	r, err := rediswire.DecodeResponse(payload, a.limits)
	if err != nil {
		a.refuseAnswer("", payload, err)
		return
	}
	if r.UID == a.config.NodeID {
		a.metrics.receivedDropped[droppedOwn].Inc()
		return
	}
	if r.UID != "" {
		a.membership.answered(r.UID)
	}
	a.asks.receive(r)
}
