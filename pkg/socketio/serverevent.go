package socketio

import (
	"context"
	"sync"

	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/internal/sio/tally"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// inboxItems is how many events of other servers wait for their handlers before further ones are dropped: the cluster
// must not wait for a handler.
const inboxItems = 1024

// inbox queues what other servers have sent one namespace for its handlers.
type inbox struct {
	mu sync.Mutex
	// mu guards the following.
	handlers map[string]func(Event)
	waiting  []Event
	working  bool
}

// OnServerEvent sets the handler of an event that other servers of the cluster send with ServerEmit. Such handlers of
// one namespace run one at a time, in order, on a goroutine of their own. Event.Ack answers a server that asked.
func (n *Namespace) OnServerEvent(event string, f func(Event)) {
	n.inbox.mu.Lock()
	defer n.inbox.mu.Unlock()
	if n.inbox.handlers == nil {
		n.inbox.handlers = make(map[string]func(Event))
	}
	n.inbox.handlers[event] = f
}

// ServerEmit sends an event to the other servers of the cluster, not to clients.
func (n *Namespace) ServerEmit(event string, args ...any) error {
	list, err := encodeEvent(event, args)
	if err != nil {
		return err
	}
	n.io.cfg.Adapter.Publish(adapter.ServerEmit{Namespace: n.name, Args: list}, nil)
	return nil
}

// serverEvent queues an event of another server's for its handler. reply, when not nil, is called once with what that
// answers, and at once when the event has no handler.
func (n *Namespace) serverEvent(args Args, reply func(Args)) {
	name, _ := args.Name()
	e := Event{Name: name, Args: args.Tail()}
	if reply != nil {
		e.Ack = conn.NewAck(serverAsker(reply), 0)
	}
	box := &n.inbox
	box.mu.Lock()
	handled := box.handlers[name] != nil
	queued := handled && len(box.waiting) < inboxItems
	if queued {
		box.waiting = append(box.waiting, e)
		if !box.working {
			box.working = true
			n.io.servers.Go(n.serveServers)
		}
	}
	box.mu.Unlock()
	if queued {
		return
	}
	if handled {
		n.io.dropped(tally.Overloaded)
	}
	_ = e.Ack.SendArgs(Args{}) // the first, so it cannot fail
}

// serverAsker is another server as what acknowledgements of its events go to.
type serverAsker func(Args)

func (f serverAsker) SendAck(_ uint64, args Args) error {
	f(args)
	return nil
}

// serveServers empties the inbox. It runs while there is something in it.
func (n *Namespace) serveServers() {
	returned := false
	defer func() {
		if !returned {
			n.io.tally.Panicked(recover())
			n.io.servers.Go(n.serveServers)
		}
	}()
	box := &n.inbox
	for {
		box.mu.Lock()
		if len(box.waiting) == 0 {
			box.waiting, box.working = nil, false
			box.mu.Unlock()
			returned = true
			return
		}
		e := box.waiting[0]
		box.waiting = box.waiting[1:]
		f := box.handlers[e.Name]
		box.mu.Unlock()
		f(e)
	}
}

// ServerEmitWithAck is ServerEmit, and collects what the other servers answer: one list for each that did, empty from
// one that does not handle the event.
func (n *Namespace) ServerEmitWithAck(ctx context.Context, event string, args ...any) ([]Args, error) {
	list, err := encodeEvent(event, args)
	if err != nil {
		return nil, err
	}
	return n.hub.ServerEmitWithAck(ctx, list)
}
