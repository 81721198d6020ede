package redis

import (
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// respond publishes an answer of this node. Node's servers listen for answers to server-side emits on the shared
// channel only.
func (d *classic) respond(nsp string, r *rediswire.Request, reply adapter.Reply) {
	a := d.inbox
	channel := rediswire.ResponseChannel(a.config.Key, nsp)
	if a.config.OwnResponses && r.UID != "" && r.Type != rediswire.TypeServerEmit {
		channel = rediswire.OwnResponseChannel(a.config.Key, nsp, r.UID)
	}
	response := rediswire.Response{ID: r.ID, UID: a.config.NodeID, Type: r.Type}
	payloads, err := a.answer(r.UID, reply, func(reply adapter.Reply, extent rediswire.Extent) ([]byte, error) {
		response.Reply, response.Extent = reply, extent
		return rediswire.AppendResponse(nil, &response)
	})
	if err != nil {
		a.unanswerable(nsp, err)
		return
	}
	for _, payload := range payloads {
		d.push(message{channel: channel, payload: payload})
	}
}

// respond publishes an answer of this node on the channel of the one that asked.
func (d *sharded) respond(nsp string, asked *rediswire.ClusterMessage, reply adapter.Reply) {
	a := d.inbox
	answer := rediswire.ClusterMessage{ID: asked.ID, Type: rediswire.TypeBroadcastAsk}
	if _, ok := asked.Query.(adapter.ServerAsk); ok {
		answer.Type = rediswire.TypeServerEmit
	}
	channel := d.answers(nsp, asked.UID)
	payloads, err := a.answer(asked.UID, reply, func(reply adapter.Reply, extent rediswire.Extent) ([]byte, error) {
		answer.Reply, answer.Extent = reply, extent
		m, err := d.message(channel, nsp, answer)
		return m.payload, err
	})
	if err != nil {
		a.unanswerable(nsp, err)
		return
	}
	for _, payload := range payloads {
		d.push(message{channel: channel, slot: d.slot(channel), payload: payload})
	}
}

func (a *inbox) unanswerable(nsp string, err error) {
	a.log.Warn("answer cannot be encoded", zap.String("namespace", nsp), zap.Error(err))
	a.metrics.publishDropped[dropInvalid].Inc()
}

// roomsOf makes answers to adapter.AllRooms of the sockets that Node's sharded servers answer with.
func roomsOf(reply func(adapter.Reply)) func(adapter.Reply) {
	return func(r adapter.Reply) {
		if sockets, ok := r.(adapter.Sockets); ok {
			seen := make(map[string]bool)
			names := adapter.RoomNames{}
			for _, s := range sockets {
				for _, name := range s.Rooms {
					if !seen[name] {
						seen[name] = true
						names = append(names, name)
					}
				}
			}
			r = names
		}
		reply(r)
	}
}
