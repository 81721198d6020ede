package pythonbus

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// callback is where an acknowledgement goes: to the process that sent the event, which knows it by room, namespace and id. The
// texts are JSON as that process wrote them.
type callback struct {
	host                string
	room, namespace, id []byte
}

// callback reads the callback of an emit: [room, namespace, id].
func (e *envelope) callback() (*callback, error) {
	var parts [3]json.RawMessage
	list := packet.Args{JSON: e.Callback}
	if e.Callback[0] != '[' || list.Len() != len(parts) || e.HostID == "" {
		return nil, fmt.Errorf("%w: a callback is not of three parts", errMalformed)
	}
	if err := json.Unmarshal(e.Callback, &parts); err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	return &callback{host: e.HostID, room: parts[0], namespace: parts[1], id: parts[2]}, nil
}

// answer delivers an event and sends back the first acknowledgement: python-socketio calls back once, and passes over more.
func (b *Bus) answer(c *callback, event adapter.Broadcast) {
	var once sync.Once
	b.node.Answer(adapter.BroadcastAsk{Broadcast: event, Timeout: b.config.CallbackTimeout}, func(r adapter.Reply) {
		acked, ok := r.(adapter.Acked)
		if !ok {
			return
		}
		once.Do(func() {
			m := b.writer.answer(c, acked.Args)
			if m == nil {
				b.metrics.drop(dropUnsupported)
				return
			}
			b.queue.push(m)
		})
	})
}

// callbacks are the events whose acknowledgement by a client in Python is waited for.
type callbacks struct {
	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan packet.Args // each has room for the one answer there can be
}

func (c *callbacks) begin() (id uint64, answer chan packet.Args) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		c.waiting = make(map[uint64]chan packet.Args)
	}
	c.last++
	answer = make(chan packet.Args, 1)
	c.waiting[c.last] = answer
	return c.last, answer
}

// take ends the wait for an acknowledgement; nil when it is over.
func (c *callbacks) take(id uint64) chan packet.Args {
	c.mu.Lock()
	defer c.mu.Unlock()
	answer := c.waiting[id]
	delete(c.waiting, id)
	return answer
}

// askOne sends an event to the one socket of that id, wherever it is, and waits for its acknowledgement. No process in Python
// says whether it holds the socket, so an unknown id costs the whole timeout.
func (b *Bus) askOne(ctx context.Context, q *adapter.BroadcastAsk, reply func(adapter.Reply)) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, q.Timeout)
	defer cancel()
	id, answer := b.callbacks.begin()
	defer b.callbacks.take(id)
	sid, nsp := q.Broadcast.Target.Rooms[0], q.Broadcast.Namespace
	ask := packet.AppendString([]byte{'['}, sid)
	ask = packet.AppendString(append(ask, ','), nsp)
	ask = strconv.AppendUint(append(ask, ','), id, 10)
	if m := b.writer.emit(&q.Broadcast, append(ask, ']')); m != nil {
		b.queue.push(m)
	}
	found := 0
	missing, err := b.Adapter.Ask(ctx, *q, func(r adapter.Reply) {
		if count, ok := r.(adapter.Count); ok {
			found += int(count)
		}
		reply(r)
	})
	if found > 0 || err != nil {
		return missing, err
	}
	select {
	case args := <-answer:
		reply(adapter.Count(1))
		reply(adapter.Acked{Args: args})
	case <-ctx.Done():
	}
	return missing, nil
}

// acknowledge hands over what a client in Python acknowledged an event of this node with.
func (b *Bus) acknowledge(e *envelope) error {
	if e.HostID != hostID(&b.config) {
		return nil // for another process
	}
	id, err := strconv.ParseUint(string(e.ID), 10, 64)
	if err != nil {
		return fmt.Errorf("%w: a callback's id", errMalformed)
	}
	args, err := e.acknowledged(b.config.MaxDepth)
	if err != nil {
		return err
	}
	answer := b.callbacks.take(id)
	if answer == nil {
		b.metrics.drop(dropUnasked)
		return nil
	}
	answer <- args
	return nil
}
