package adaptertest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// node is an adapter under test with a recorder above it.
type node struct {
	adapter.Adapter
	*recorder

	name      string
	perTarget bool         // OrderPerTarget
	end       func() error // ends Run and returns its error; may be called again

	mu       sync.Mutex
	outcomes []*outcome // of every publish and confirmation
}

// outcome counts the calls of a done function.
type outcome struct {
	calls atomic.Int32
	first chan error // receives the first; never closed
}

func (o *outcome) done(err error) {
	if o.calls.Add(1) == 1 {
		o.first <- err
	}
}

// wait returns what done was called with.
func (o *outcome) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-o.first:
		return err
	case <-time.After(deadline):
		t.Fatal("done was not called")
		return nil
	}
}

// newNodes returns nodes that run and are ready, with both namespaces open. At the end of the test each has to end
// well, and each done function must have been called exactly once.
func newNodes(t *testing.T, factory Factory, n int) []*node {
	t.Helper()
	nodes := make([]*node, n)
	for i, a := range factory(t, n) {
		nodes[i] = newNode(t, fmt.Sprintf("node %d", i), a)
	}
	for _, n := range nodes {
		n.awaitReady(t)
	}
	return nodes
}

func newNode(t *testing.T, name string, a adapter.Adapter) *node {
	n := &node{Adapter: a, recorder: newRecorder(), name: name}
	n.Open(mainNsp)
	n.Open(chatNsp)
	n.Open(chatNsp)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx, n.recorder) }()
	n.end = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(deadline):
			return fmt.Errorf("run goes on %s after its context ended", deadline)
		}
	})
	t.Cleanup(func() { n.check(t) })
	return n
}

func (n *node) awaitReady(t *testing.T) {
	t.Helper()
	eventually(t, n.name+" ready", func() bool {
		s := n.State()
		return s.Ready && s.Connected && !s.Deaf
	})
}

// check ends the node and settles its accounts.
func (n *node) check(t *testing.T) {
	if err := n.end(); err != nil {
		t.Errorf("%s: Run: %v", n.name, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, o := range n.outcomes {
		if calls := o.calls.Load(); calls != 1 {
			t.Errorf("%s: done function %d was called %d times", n.name, i, calls)
		}
	}
}

func (n *node) newOutcome() *outcome {
	o := &outcome{first: make(chan error, 1)}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.outcomes = append(n.outcomes, o)
	return o
}

// publish publishes without waiting for the outcome.
func (n *node) publish(c adapter.Command) *outcome {
	o := n.newOutcome()
	n.Publish(c, o.done)
	return o
}

// mustPublish publishes and waits until the cluster took the command.
func (n *node) mustPublish(t *testing.T, c adapter.Command) {
	t.Helper()
	if err := n.publish(c).wait(t); err != nil {
		t.Fatalf("%s: Publish %s: %v", n.name, show(c), err)
	}
}

// join makes the node hold rooms, and waits until the cluster knows.
func (n *node) join(t *testing.T, nsp string, rooms ...string) {
	t.Helper()
	n.hold(nsp, true, rooms...)
	n.Touch(nsp, rooms...)
	o := n.newOutcome()
	n.Confirm(nsp, rooms, o.done)
	if err := o.wait(t); err != nil {
		t.Fatalf("%s: Confirm %q: %v", n.name, rooms, err)
	}
}

// event returns the arguments of an event that carries n.
func event(name string, n int) packet.Args {
	return packet.Args{JSON: fmt.Appendf(nil, `[%q,%d]`, name, n)}
}

// flush publishes something from every node and waits until every other has it, and so all that was published before.
func flush(t *testing.T, nodes []*node) {
	t.Helper()
	for i, n := range nodes {
		n.mustPublish(t, adapter.Broadcast{Namespace: mainNsp, Args: event(flushEvent, i)})
	}
	for i, n := range nodes {
		for k := range nodes {
			if k != i {
				n.await(t, mainNsp, show(adapter.Broadcast{Namespace: mainNsp, Args: event(flushEvent, k)}))
			}
		}
	}
}

// flushEvent is told apart from what the tests publish; a test flushes once.
const flushEvent = "flush"

// to is a target without exceptions.
func to(names ...string) rooms.Target { return rooms.Target{Rooms: names} }
