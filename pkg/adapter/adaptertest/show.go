package adaptertest

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// show writes a command so that commands that mean the same read the same: an adapter may spell JSON its own way and
// list rooms in any order.
func show(c adapter.Command) string {
	switch c := c.(type) {
	case adapter.Broadcast:
		return fmt.Sprintf("broadcast %s %s volatile=%t nocompress=%t",
			showArgs(c.Args), showTarget(c.Target), c.Volatile, c.NoCompress)
	case adapter.Join:
		return fmt.Sprintf("join %q %s", sorted(c.Rooms), showTarget(c.Target))
	case adapter.Leave:
		return fmt.Sprintf("leave %q %s", sorted(c.Rooms), showTarget(c.Target))
	case adapter.Disconnect:
		return fmt.Sprintf("disconnect close=%t %s", c.Close, showTarget(c.Target))
	case adapter.ServerEmit:
		return fmt.Sprintf("server-emit %s", showArgs(c.Args))
	}
	return fmt.Sprintf("unknown command %T", c)
}

func showTarget(t rooms.Target) string {
	return fmt.Sprintf("to %q except %q", sorted(t.Rooms), sorted(t.Except))
}

func showArgs(a packet.Args) string { return fmt.Sprintf("%s %x", canonical(a.JSON), a.Attachments) }

// canonical spells a JSON text the way encoding/json does.
func canonical(text []byte) string {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return fmt.Sprintf("bad JSON %q", text)
	}
	out, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("bad JSON %q", text)
	}
	return string(out)
}

func sorted(names []string) []string { return slices.Sorted(slices.Values(names)) }
