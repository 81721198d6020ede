package socketio

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/internal/sio/tally"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"go.uber.org/zap"
)

// Event is an event as it came in.
type Event = conn.Event

// Ack acknowledges one event.
type Ack = conn.Ack

// Args is a list of arguments as it travels: one JSON array and the attachments its placeholders number.
type Args = packet.Args

// Errors that Config.OnError is called with.
var (
	// ErrArguments: no handler of the event takes the arguments that came with it.
	ErrArguments = errors.New("socketio: arguments do not fit")
	// ErrUnhandled: the event has no handler.
	ErrUnhandled = errors.New("socketio: event without a handler")
)

// handlers are what an application has set for one socket. The slices are replaced, never changed.
type handlers struct {
	named         map[string][]*handler
	any           []*listener
	middlewares   []func(Event) error
	disconnecting []func(Reason)
	disconnected  []func(Reason)
}

// handler calls a function with an event.
type handler struct{ call func(Event) error }

// listener is a function that sees every event.
type listener struct{ f func(Event) }

func (s *Socket) setHandlers(set func(*handlers)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set(&s.extrasLocked().handlers)
}

// On adds a handler of one event, and returns a function that removes it; all handlers of an event are called, in the
// order they were added. f is a func whose parameters are decoded from the arguments as encoding/json does, optionally
// with an Ack as the last one; or a func(Event). Whole numbers may be spelled 1.0 or 1e3. Arguments the client left out are
// zero values, further ones are passed over. An event whose arguments fit no handler is dropped: Config.OnError is called,
// and where the client asked for an acknowledgement it gets {"ok":false,"error":{"code":"invalid","message":…}}. A wrong
// f, or a reserved event such as "disconnect", panics at once, a programming error. Handlers of one connection run one at a
// time, in order, on a goroutine of that connection, never on the one that reads: they may block.
func (s *Socket) On(event string, f any) (off func()) {
	h := newHandler(event, f)
	s.setHandlers(func(have *handlers) {
		if have.named == nil {
			have.named = make(map[string][]*handler)
		}
		have.named[event] = append(slices.Clip(have.named[event]), h)
	})
	return func() {
		s.setHandlers(func(have *handlers) {
			if have.named[event] = without(have.named[event], h); len(have.named[event]) == 0 {
				delete(have.named, event)
			}
		})
	}
}

// Off removes all handlers of events.
func (s *Socket) Off(events ...string) {
	s.setHandlers(func(have *handlers) {
		for _, event := range events {
			delete(have.named, event)
		}
	})
}

// OnAny adds a listener for every event, called before its middlewares and its handlers, and returns a function that
// removes it. An event that has no handler is dropped only when there is no listener either.
func (s *Socket) OnAny(f func(e Event)) (off func()) {
	l := &listener{f}
	s.setHandlers(func(have *handlers) { have.any = append(slices.Clip(have.any), l) })
	return func() {
		s.setHandlers(func(have *handlers) { have.any = without(have.any, l) })
	}
}

// OnAnyOutgoing adds a listener for every event queued for this client, broadcasts included, acknowledgements not, and
// returns a function that removes it. It is called on the goroutine that sends, which may be the cluster's: it must not
// block, and the event is shared.
func (s *Socket) OnAnyOutgoing(f func(e Event)) (off func()) {
	l := &listener{f}
	s.setOutgoing(func(have []*listener) []*listener { return append(slices.Clip(have), l) })
	return func() {
		s.setOutgoing(func(have []*listener) []*listener { return without(have, l) })
	}
}

func (s *Socket) setOutgoing(change func([]*listener) []*listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*listener
	if have := s.outgoing.Load(); have != nil {
		list = *have
	}
	if list = change(list); len(list) == 0 {
		s.outgoing.Store(nil)
		return
	}
	s.outgoing.Store(&list)
}

// without returns the list without one element.
func without[T comparable](list []T, one T) []T {
	return slices.DeleteFunc(slices.Clone(list), func(x T) bool { return x == one })
}

// Use adds a middleware that each event passes before its handlers. An error drops the event; the middleware may have
// acknowledged it with e.Ack before.
func (s *Socket) Use(m func(e Event) error) {
	s.setHandlers(func(have *handlers) { have.middlewares = append(slices.Clip(have.middlewares), m) })
}

// OnDisconnecting adds a handler that runs when the socket has gone. Rooms and In still say which rooms it was in,
// but it is no longer a member. Handlers added once it has gone are not called.
func (s *Socket) OnDisconnecting(f func(reason Reason)) {
	s.setHandlers(func(h *handlers) { h.disconnecting = append(slices.Clip(h.disconnecting), f) })
}

// OnDisconnect adds a handler that runs after those of OnDisconnecting, when the rooms are forgotten.
func (s *Socket) OnDisconnect(f func(reason Reason)) {
	s.setHandlers(func(h *handlers) { h.disconnected = append(slices.Clip(h.disconnected), f) })
}

// leaveHandlers returns the disconnecting and disconnected handlers.
func (s *Socket) leaveHandlers() (disconnecting, disconnected []func(Reason)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.extras == nil {
		return nil, nil
	}
	return s.extras.handlers.disconnecting, s.extras.handlers.disconnected
}

var typeAck = reflect.TypeFor[Ack]()

// newHandler looks at a func once, so that an event costs only its decoding.
func newHandler(event string, f any) *handler {
	if packet.ReservedEvent(event) {
		panic(fmt.Sprintf("socketio: no client sends %q, a reserved name; for the end of a socket see OnDisconnect", event))
	}
	if whole, ok := f.(func(Event)); ok {
		return &handler{func(e Event) error {
			whole(e)
			return nil
		}}
	}
	fn := reflect.ValueOf(f)
	if fn.Kind() != reflect.Func || fn.IsNil() || fn.Type().IsVariadic() || fn.Type().NumOut() > 0 {
		panic(fmt.Sprintf("socketio: handler of %q must be a func without results or variadics, not %T", event, f))
	}
	t := fn.Type()
	params := make([]reflect.Type, t.NumIn())
	for i := range params {
		params[i] = t.In(i)
	}
	wantsAck := len(params) > 0 && params[len(params)-1] == typeAck
	if wantsAck {
		params = params[:len(params)-1]
	}
	for _, p := range params {
		switch {
		case p == typeAck:
			panic(fmt.Sprintf("socketio: handler of %q must take its Ack as the last parameter", event))
		case p == reflect.TypeFor[Event]():
			panic(fmt.Sprintf("socketio: handler of %q must be a func(Event), or take no Event", event))
		case p.Kind() == reflect.Func, p.Kind() == reflect.Chan:
			panic(fmt.Sprintf("socketio: handler of %q must not have a parameter of type %s, which no argument fits", event, p))
		}
	}
	return &handler{func(e Event) error {
		texts := e.Args.Split(make([][]byte, 0, 8))
		in := make([]reflect.Value, len(params), len(params)+1)
		for i, p := range params {
			v := reflect.New(p)
			if i < len(texts) {
				if err := packet.Unmarshal(texts[i], e.Args.Attachments, v.Interface()); err != nil {
					return fmt.Errorf("%w: argument %d: %w", ErrArguments, i, err)
				}
			}
			in[i] = v.Elem()
		}
		if wantsAck {
			in = append(in, reflect.ValueOf(e.Ack))
		}
		fn.Call(in)
		return nil
	}}
}

// handle calls the handlers of an event.
func (s *Socket) handle(e Event) {
	var have handlers
	s.mu.Lock()
	if s.extras != nil {
		have = s.extras.handlers
	}
	named := have.named[e.Name]
	s.mu.Unlock()

	for _, l := range have.any {
		l.f(e)
	}
	for _, m := range have.middlewares {
		if err := m(e); err != nil {
			s.drop(tally.Refused, e, err)
			return
		}
	}
	if len(named) == 0 {
		if len(have.any) == 0 {
			s.drop(tally.Unhandled, e, ErrUnhandled)
			s.report(e, ErrUnhandled)
		}
		return
	}
	handled := false
	var misfit error
	for _, h := range named {
		if err := h.call(e); err != nil {
			misfit = err
		} else {
			handled = true
		}
	}
	if misfit == nil {
		return
	}
	s.drop(tally.Arguments, e, misfit)
	s.report(e, misfit)
	if !handled {
		_ = e.Ack.SendArgs(misfitAck) // a client that has gone needs none
	}
}

// misfitAck is the acknowledgement of an event whose arguments fit no handler, in the form of the gateway's.
var misfitAck = Args{JSON: []byte(`[{"ok":false,"error":{"code":"invalid","message":"the arguments do not fit"}}]`)}

// drop counts an event that a handler was not called with.
func (s *Socket) drop(reason tally.Drop, e Event, cause error) {
	s.io.dropped(reason)
	if entry := s.io.log.Check(zap.DebugLevel, "event dropped"); entry != nil {
		entry.Write(zap.String("address", s.Handshake().Address), zap.String("event", e.Name), zap.Error(cause)) // the id of a 2.x client is a secret
	}
}

// report calls the application's hook.
func (s *Socket) report(e Event, err error) {
	if s.io.cfg.OnError != nil {
		s.io.cfg.OnError(s, e, err)
	}
}
