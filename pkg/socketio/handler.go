package socketio

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"go.uber.org/zap"
)

// Event is an event as it came in.
type Event = conn.Event

// handlers are what an application has set for one socket. The slices are only ever appended to.
type handlers struct {
	named         map[string]handler
	any           []func(Event)
	middlewares   []func(Event) error
	disconnecting []func(string)
	disconnected  []func(string)
}

func (s *Socket) setHandlers(set func(*handlers)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.handlers == nil {
		s.handlers = new(handlers)
	}
	set(s.handlers)
}

// On sets the handler of one event. f is a func whose parameters are decoded from the arguments as encoding/json does,
// optionally with an Ack as the last one; or a func(Event). Arguments the client left out are zero values, further ones
// are passed over, and an event whose arguments do not fit is dropped. A wrong f panics at once, a programming error.
// Handlers of one connection run one at a time, in order, on a goroutine of that connection, never on the one that
// reads: they may block.
func (s *Socket) On(event string, f any) {
	h := newHandler(event, f)
	s.setHandlers(func(have *handlers) {
		if have.named == nil {
			have.named = make(map[string]handler)
		}
		have.named[event] = h
	})
}

// Off takes away the handlers of events.
func (s *Socket) Off(events ...string) {
	s.setHandlers(func(have *handlers) {
		for _, event := range events {
			delete(have.named, event)
		}
	})
}

// OnAny adds a listener for every event, called before its middlewares and its handler. An event that has no handler is
// dropped only when nobody listens here.
func (s *Socket) OnAny(f func(e Event)) {
	s.setHandlers(func(have *handlers) { have.any = append(have.any, f) })
}

// Use adds a middleware that each event passes before its handler. An error drops the event; the middleware may have
// answered it with e.Ack before.
func (s *Socket) Use(m func(e Event) error) {
	s.setHandlers(func(have *handlers) { have.middlewares = append(have.middlewares, m) })
}

// handler calls a function with an event.
type handler func(Event) error

var (
	errArguments = errors.New("arguments do not fit")
	typeAck      = reflect.TypeFor[Ack]()
)

// newHandler looks at a func once, so that an event costs only its decoding.
func newHandler(event string, f any) handler {
	if whole, ok := f.(func(Event)); ok {
		return func(e Event) error {
			whole(e)
			return nil
		}
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
	return func(e Event) error {
		texts := e.Args.Split(make([][]byte, 0, 8))
		in := make([]reflect.Value, len(params), len(params)+1)
		for i, p := range params {
			v := reflect.New(p)
			if i < len(texts) {
				if err := packet.Unmarshal(texts[i], e.Args.Attachments, v.Interface()); err != nil {
					return fmt.Errorf("%w: argument %d: %w", errArguments, i, err)
				}
			}
			in[i] = v.Elem()
		}
		if wantsAck {
			in = append(in, reflect.ValueOf(e.Ack))
		}
		fn.Call(in)
		return nil
	}
}

// handle calls the handlers of an event. A socket that was thrown out hears no more of what its client had sent before.
func (s *Socket) handle(it *item) {
	if s.state.Load() == stateEnded || !s.entered {
		s.client.io.metrics.dropped(dropDisconnected)
		return
	}
	var e Event
	e.Name, e.Args, _ = it.args.CutName()
	if it.hasID {
		e.Ack = conn.NewAck(asker{s}, it.id)
	}
	if s.logic != nil {
		s.logic.Handle(e)
		return
	}
	var have handlers
	s.mu.Lock()
	if s.handlers != nil {
		have = *s.handlers
	}
	h := have.named[e.Name]
	s.mu.Unlock()

	for _, f := range have.any {
		f(e)
	}
	for _, m := range have.middlewares {
		if err := m(e); err != nil {
			s.drop(dropRefused, err)
			return
		}
	}
	if h == nil {
		if len(have.any) == 0 {
			s.client.io.metrics.dropped(dropUnhandled)
		}
		return
	}
	if err := h(e); err != nil {
		s.drop(dropArguments, err)
	}
}

// drop counts an event that no handler was called with.
func (s *Socket) drop(reason dropReason, cause error) {
	s.client.io.metrics.dropped(reason)
	s.client.io.log.Debug("event dropped", zap.String("socket", s.id), zap.Error(cause))
}
