package redis

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// A disconnect that nodes are asked to perform goes two ways: as a question, which each node answers with how many of its sockets
// it has disconnected, and as an entry of the stream, which ends the sessions of nodes that were killed wherever their clients
// claim them. Either may come to a node first.
//
//	asker ── question ── Pub/Sub ──► node: disconnects, counts ──► answer
//	      └─ entry ───── stream ───► node: disconnects the sockets whose sessions it has taken from other nodes

// end appends the entry of a disconnect that the nodes are asked to perform by the question with this id. It waits until the
// stream has it.
func (s *sessions) end(ctx context.Context, request string, c adapter.Disconnect) error {
	e, err := rediswire.NewStreamEnded(s.d.cluster.config.NodeID, request, c)
	if err != nil {
		return fmt.Errorf("redis: encode command: %w", err)
	}
	if err := wait(ctx, func(done func(error)) { s.d.append(&e, done, nil) }); err != nil {
		return fmt.Errorf("redis: end stored sessions: %w", err)
	}
	return nil
}

// endFor appends the entry of a disconnect that an emitter has published on a channel: there it reaches neither nodes that were
// killed nor the stored sessions of their sockets. Every node that receives the disconnect appends it, since any of them may be
// killed before it does.
func (s *sessions) endFor(c adapter.Disconnect) {
	if !s.on {
		return
	}
	if e, err := rediswire.NewStreamEnded(s.d.cluster.config.NodeID, "", c); err == nil { // it has been read a moment ago
		s.d.append(&e, nil, nil)
	}
}

// endedBy is the disconnect in an entry of type StreamEnded, whether it stands in a question or alone; nil: there is none.
func endedBy(m *rediswire.ClusterMessage) adapter.Command {
	if asked, ok := m.Query.(adapter.Perform); ok {
		return asked.Command
	}
	return m.Command
}

// endings are how many sockets this node has disconnected because of entries whose questions have not come yet. The answer to
// the question counts them; otherwise a socket would be missing from the sum whenever the entry is faster.
type endings struct {
	mu   sync.Mutex
	list []ending // mu guards it; the oldest first
}

type ending struct {
	asker, request string
	sockets        int
	at             time.Time
}

// mostEndings bounds the entries that wait for their questions. Older ones are forgotten, and their sockets are not counted.
const mostEndings = 1024

// add notes that an entry has disconnected sockets.
func (e *endings) add(asker, request string, sockets int, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.list) == mostEndings {
		e.list = append(e.list[:0], e.list[1:]...)
	}
	e.list = append(e.list, ending{asker, request, sockets, now})
}

// take returns how many sockets the entry of a question has disconnected already. It forgets entries that came before oldest, as
// their questions have timed out.
func (e *endings) take(asker, request string, oldest time.Time) (sockets int) {
	if e == nil {
		return 0
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	kept := e.list[:0]
	for _, other := range e.list {
		switch {
		case other.asker == asker && other.request == request:
			sockets += other.sockets
		case other.at.After(oldest):
			kept = append(kept, other)
		}
	}
	clear(e.list[len(kept):])
	e.list = kept
	return sockets
}
