package socketio

import (
	"fmt"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// encodeEvent makes the list of an event of the application's.
func encodeEvent(event string, args []any) (Args, error) {
	if packet.ReservedEvent(event) {
		return Args{}, fmt.Errorf("%w: %q", ErrReservedEvent, event)
	}
	var b packet.Builder
	b.Literal("[")
	b.String(event)
	for i, arg := range args {
		b.Literal(",")
		if err := b.Value(arg); err != nil {
			return Args{}, fmt.Errorf("socketio: encode argument %d of %q: %w", i, event, err)
		}
	}
	b.Literal("]")
	list, err := b.Args()
	if err != nil {
		return Args{}, fmt.Errorf("socketio: encode arguments of %q: %w", event, err)
	}
	return list, nil
}

// checkEvent refuses a list that no client would take for an event.
func checkEvent(args Args) error {
	name, ok := args.Name()
	if !ok {
		return fmt.Errorf("socketio: first argument is not an event name: %.40q", args.JSON)
	}
	if packet.ReservedEvent(name) {
		return fmt.Errorf("%w: %q", ErrReservedEvent, name)
	}
	return nil
}
