package socketio

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"go.uber.org/zap"
)

// Event is an event as it came in.
type Event struct {
	Name string
	Args packet.Args // without the name; owned by the receiver of the event
	Ack  Ack         // zero when the client asked for none
}

// On sets the handler of one event. f is a func whose parameters are decoded from the arguments as encoding/json does,
// optionally with an Ack as the last one; or a func(Event). Arguments the client left out are zero values, further ones
// are passed over, and an event whose arguments do not fit is dropped. A wrong f panics at once, a programming error.
// Handlers of one connection run one at a time, in order, on a goroutine of that connection, never on the one that
// reads: they may block.
func (s *Socket) On(event string, f any) {
	h := newHandler(event, f)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.handlers == nil {
		s.handlers = make(map[string]handler)
	}
	s.handlers[event] = h
}

// OnAny sets the handler of every event that has no handler of its own.
func (s *Socket) OnAny(f func(e Event)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.others = f
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

// handle calls the handler of an event. A socket that was thrown out hears no more of what its client had sent before.
func (s *Socket) handle(it *item) {
	metrics := s.client.io.metrics
	if s.state.Load() == stateEnded || !s.entered {
		metrics.dropped(dropDisconnected)
		return
	}
	name, _ := it.args.Name()
	s.mu.Lock()
	h, ok := s.handlers[name]
	others := s.others
	s.mu.Unlock()
	if !ok && others == nil {
		metrics.dropped(dropUnhandled)
		return
	}
	e := Event{Name: name, Args: it.args.Tail()}
	if it.hasID {
		e.Ack = Ack{&answer{socket: s, id: it.id}}
	}
	if !ok {
		others(e)
		return
	}
	if err := h(e); err != nil {
		metrics.dropped(dropArguments)
		s.client.io.log.Debug("event dropped", zap.String("socket", s.id), zap.Error(err))
	}
}
