package adaptertest

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/adapter"
)

// recorder is an adapter.FenceNode that remembers what it was given.
type recorder struct {
	mu       sync.Mutex
	changed  chan struct{} // closed, and replaced, when a command or a query comes
	held     map[room]bool
	commands map[string][]string // as show tells them, by namespace
	known    map[string]bool     // namespace and command
	arrivals int                 // commands, of all namespaces
	untimed  int                 // broadcasts that do not say when they were received
	offsets  []string            // of broadcasts, in the order in which they came
	queries  []adapter.Query
	trail    []step                                           // what came in namespaces that are followed
	answer   func(q adapter.Query, reply func(adapter.Reply)) // nil: silence
	entered  func(command string)                             // called as Deliver begins; nil: nothing is
}

func newRecorder() *recorder {
	return &recorder{
		changed:  make(chan struct{}),
		held:     make(map[room]bool),
		commands: make(map[string][]string),
		known:    make(map[string]bool),
	}
}

// Deliver implements adapter.Node.
func (r *recorder) Deliver(c adapter.Command) (sockets int) {
	nsp := adapter.NamespaceOf(c)
	s := show(c)
	r.mu.Lock()
	entered := r.entered
	r.mu.Unlock()
	if entered != nil {
		entered(s)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.commands[nsp] = append(r.commands[nsp], s)
	r.known[nsp+" "+s] = true
	r.arrivals++
	if b, ok := c.(adapter.Broadcast); ok {
		r.offsets = append(r.offsets, b.Offset)
		if b.Received.IsZero() {
			r.untimed++
		}
	}
	r.changedLocked()
	return 0
}

// step is a command or a fence that came in a namespace that is followed.
type step struct {
	nsp     string
	lane    adapter.Lane
	own     bool
	command string        // as show tells it; empty: it is a fence
	fence   adapter.Fence // likewise
}

// DeliverAt implements adapter.FenceNode.
func (r *recorder) DeliverAt(c adapter.Command, at adapter.Arrival) (sockets int) {
	b, ok := c.(adapter.Broadcast)
	r.add(step{nsp: adapter.NamespaceOf(c), lane: at.Lane, own: at.Own, command: show(c)}, at.Own && ok && b.Received.IsZero())
	if !at.Own {
		r.Deliver(c)
	}
	return 0
}

// Fenced implements adapter.FenceNode.
func (r *recorder) Fenced(nsp string, f adapter.Fence, lane adapter.Lane) {
	r.add(step{nsp: nsp, lane: lane, fence: f}, false)
}

func (r *recorder) add(s step, untimed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trail = append(r.trail, s)
	if untimed {
		r.untimed++
	}
	r.changedLocked()
}

// followed returns what came so far in a namespace while it was followed.
func (r *recorder) followed(nsp string) []step {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.trail), func(s step) bool { return s.nsp != nsp })
}

// Answer implements adapter.Node.
func (r *recorder) Answer(q adapter.Query, reply func(adapter.Reply)) {
	r.mu.Lock()
	r.queries = append(r.queries, q)
	answer := r.answer
	r.changedLocked()
	r.mu.Unlock()
	if answer != nil {
		answer(q, reply)
	}
}

// Holds implements adapter.Node.
func (r *recorder) Holds(nsp, name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held[room{nsp, name}]
}

func (r *recorder) changedLocked() {
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *recorder) hold(nsp string, held bool, names ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range names {
		r.held[room{nsp, name}] = held
	}
}

// answers sets what answers queries from now on.
func (r *recorder) answers(f func(q adapter.Query, reply func(adapter.Reply))) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

// onDeliver has Deliver call f first with each command, as show prints it.
func (r *recorder) onDeliver(f func(command string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entered = f
}

// asked returns the queries so far.
func (r *recorder) asked() []adapter.Query {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.queries)
}

// heard returns the commands so far, without those of flush.
func (r *recorder) heard(nsp string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.commands[nsp]), func(c string) bool { return strings.Contains(c, flushEvent) })
}

// heardOffsets returns the offsets of all broadcasts so far.
func (r *recorder) heardOffsets() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.offsets)
}

// await waits for a command.
func (r *recorder) await(t *testing.T, nsp, command string) {
	t.Helper()
	r.awaitThat(t, command, func() bool { return r.known[nsp+" "+command] })
}

// awaitCommands waits for as many commands, of all namespaces.
func (r *recorder) awaitCommands(t *testing.T, n int) {
	t.Helper()
	r.awaitThat(t, "commands", func() bool { return r.arrivals >= n })
}

// awaitThat waits for a condition, which is looked at under the lock when something came.
func (r *recorder) awaitThat(t *testing.T, what string, condition func() bool) {
	t.Helper()
	late := time.After(deadline)
	for {
		r.mu.Lock()
		ok, changed, arrivals := condition(), r.changed, r.arrivals
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("waited for %s; %d commands came", what, arrivals)
		}
	}
}
