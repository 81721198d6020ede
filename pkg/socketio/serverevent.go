package socketio

import (
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"go.uber.org/zap"
)

// inboxItems is how many events of other servers wait for their handlers before further ones are dropped: the cluster
// must not wait for a handler.
const inboxItems = 1024

// inbox is what other servers have sent one namespace, and their handlers.
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
	n.io.adapter.Publish(adapter.ServerEmit{Namespace: n.name, Args: list}, nil)
	return nil
}

// serverEvent queues an event of another server's for its handler. reply, when not nil, is called once with what that
// answers, and at once when nobody handles the event.
func (n *Namespace) serverEvent(args packet.Args, reply func(packet.Args)) {
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
		n.io.metrics.dropped(dropOverloaded)
	}
	_ = e.Ack.SendArgs(packet.Args{}) // the first, so it cannot fail
}

// serverAsker is another server as what acknowledgements of its events go to.
type serverAsker func(packet.Args)

func (f serverAsker) SendAck(_ uint64, args packet.Args) error {
	f(args)
	return nil
}

// serveServers empties the inbox. It lives while there is something in it.
func (n *Namespace) serveServers() {
	box := &n.inbox
	for {
		box.mu.Lock()
		if len(box.waiting) == 0 {
			box.waiting, box.working = nil, false
			box.mu.Unlock()
			return
		}
		e := box.waiting[0]
		box.waiting = box.waiting[1:]
		f := box.handlers[e.Name]
		box.mu.Unlock()
		n.io.call(f, e)
	}
}

// call calls a function of the application's where there is no session to end for its panic.
func (io *Server) call(f func(Event), e Event) {
	defer io.survive()
	f(e)
}

// survive, deferred, counts and logs a panic.
func (io *Server) survive() {
	if v := recover(); v != nil {
		io.panicked(v)
	}
}

// panicked counts and logs a panic of the application's.
func (io *Server) panicked(v any) {
	io.metrics.panics.Inc()
	io.log.Error("panic in a handler", zap.String("panic", fmt.Sprint(v)), zap.ByteString("stack", debug.Stack()))
}
