package socketio

import (
	"strings"
	"sync"

	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/internal/sio/hub"
	"github.com/carillon-io/carillon/pkg/rooms"
)

// table holds the namespaces of a server.
type table struct {
	mu sync.RWMutex
	// mu guards the following.
	namespaces map[string]*Namespace
	parents    []*ParentNamespace // only ever appended to
	dynamic    int                // namespaces that go when their last socket does

	// opening is held while the adapter opens or closes a namespace, so that its last call has the latest state.
	opening sync.Mutex
}

// Of returns the namespace of that name, made on first use; it stays. A leading slash is added where missing. A name
// that an OfFunc matches is set up by it.
func (io *Server) Of(name string) *Namespace {
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	n := io.table.fixed(name)
	if n == nil {
		n = io.table.keep(newNamespace(io, name, io.parentOf(name)))
	}
	io.open(n)
	n.prepare()
	return n
}

// Namespaces lists the namespaces that exist on this node now, in no order.
func (io *Server) Namespaces() []*Namespace { return io.table.all() }

// lookup returns the namespace, nil when it does not exist now.
func (io *Server) lookup(name string) *Namespace {
	io.table.mu.RLock()
	defer io.table.mu.RUnlock()
	return io.table.namespaces[name]
}

// fixed returns the namespace if it exists and stays.
func (t *table) fixed(name string) *Namespace {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if n := t.namespaces[name]; n != nil && !n.dynamic {
		return n
	}
	return nil
}

// keep puts n into the table for good, unless one of that name is there: then that one is kept for good.
func (t *table) keep(n *Namespace) *Namespace {
	t.mu.Lock()
	defer t.mu.Unlock()
	if have := t.namespaces[n.name]; have != nil {
		if have.dynamic {
			have.dynamic = false
			t.dynamic--
		}
		return have
	}
	t.putLocked(n)
	return n
}

// acquire returns the namespace a client asks for, held until release, and not yet prepared. It is conn.ErrInvalidNamespace
// when there is none and conn.ErrLimit when there are too many.
func (io *Server) acquire(name string) (*Namespace, error) {
	t := &io.table
	if n := t.hold(name); n != nil {
		return n, nil
	}
	if strings.ContainsAny(name, "#,") { // which separate a namespace from a room on Redis, and from the rest of a packet
		return nil, conn.ErrInvalidNamespace
	}
	parent := io.parentOf(name)
	if parent == nil {
		return nil, conn.ErrInvalidNamespace
	}
	return t.make(newNamespace(io, name, parent), io.limits.Load().Dynamic)
}

// release ends what acquire began. A dynamic namespace ends with its last holder.
func (io *Server) release(n *Namespace) {
	t := &io.table
	t.mu.Lock()
	n.holders--
	last := n.dynamic && n.holders == 0
	if last {
		t.removeLocked(n)
	}
	t.mu.Unlock()
	if last {
		io.close(n)
	}
}

// removeLocked ends a namespace.
func (t *table) removeLocked(n *Namespace) {
	delete(t.namespaces, n.name)
	if n.dynamic {
		n.dynamic = false
		t.dynamic--
	}
	close(n.done)
}

// Close ends the namespace on this node: it disconnects the sockets, for the reason, and returns how many they were.
// Clients that ask for the namespace are refused from now on, unless an OfFunc or Of makes one of its name again.
func (n *Namespace) Close(reason Reason) (sockets int) {
	t := &n.io.table
	t.mu.Lock()
	if t.namespaces[n.name] == n {
		t.removeLocked(n)
	}
	t.mu.Unlock()
	sockets = n.hub.Each(rooms.Target{}, func(m *hub.Member) {
		if r, ok := m.Value().(*recipient); ok {
			(*Socket)(r).DisconnectWith(reason)
		}
	})
	if log := n.hub.Log(); log != nil {
		log.EndAbsent()
	}
	n.io.close(n)
	return sockets
}

// ended reports whether the namespace has ended on this node.
func (n *Namespace) ended() bool {
	select {
	case <-n.done:
		return true
	default:
		return false
	}
}

// living returns the namespace, or the one of its name that has come after its end.
func (n *Namespace) living() *Namespace {
	if n.ended() {
		if successor := n.io.lookup(n.name); successor != nil {
			return successor
		}
	}
	return n
}

// open makes the namespace one of the cluster, if it is not. It is called when its first socket joins a room or is let
// in, so that a client that is refused costs the cluster nothing.
func (io *Server) open(n *Namespace) {
	if n.open.Load() {
		return
	}
	io.table.opening.Lock()
	defer io.table.opening.Unlock()
	if !n.open.Load() && io.lookup(n.name) == n {
		io.cfg.Adapter.Open(n.name)
		n.open.Store(true)
	}
}

// close ends what open began, for a namespace that is no longer in the table. One of its name that has come since and is
// open stays so.
func (io *Server) close(n *Namespace) {
	io.table.opening.Lock()
	defer io.table.opening.Unlock()
	if !n.open.Load() {
		return
	}
	if successor := io.lookup(n.name); successor == nil || !successor.open.Load() {
		io.cfg.Adapter.Close(n.name)
	}
}

// all returns the namespaces that exist now.
func (t *table) all() []*Namespace {
	t.mu.RLock()
	defer t.mu.RUnlock()
	list := make([]*Namespace, 0, len(t.namespaces))
	for _, n := range t.namespaces {
		list = append(list, n)
	}
	return list
}

func (t *table) hasParents() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.parents) > 0
}

// hold returns the namespace with one more holder, nil when it does not exist.
func (t *table) hold(name string) *Namespace {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.namespaces[name]
	if n != nil {
		n.holders++
	}
	return n
}

// make puts n into the table as a dynamic namespace with one holder, or holds the one that came before it. It is conn.ErrLimit
// when there would be more than limit (0: any number).
func (t *table) make(n *Namespace, limit int) (*Namespace, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if have := t.namespaces[n.name]; have != nil {
		have.holders++
		return have, nil
	}
	if limit > 0 && t.dynamic >= limit {
		return nil, conn.ErrLimit
	}
	t.dynamic++
	n.dynamic, n.holders = true, 1
	t.putLocked(n)
	return n, nil
}

func (t *table) putLocked(n *Namespace) {
	if t.namespaces == nil {
		t.namespaces = make(map[string]*Namespace)
	}
	t.namespaces[n.name] = n
}
