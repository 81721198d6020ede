package socketio

// ParentNamespace makes namespaces of one kind, and addresses them together. It has no sockets of its own.
type ParentNamespace struct {
	// Static after construction.
	io    *Server
	match func(nsp string) bool
	setup func(*Namespace)
}

// OfFunc makes every namespace for which match reports true exist on first demand, set up by setup before its first
// socket, until its last socket leaves. For a pattern, match is the MatchString of a regexp, which wants its ^ and $.
// Fixed namespaces win; parents are asked in the order they were made, from several goroutines. Whether a client may enter is for
// middlewares that setup adds. setup must not ask Of for the namespace it is given.
func (io *Server) OfFunc(match func(nsp string) bool, setup func(*Namespace)) *ParentNamespace {
	p := &ParentNamespace{io: io, match: match, setup: setup}
	io.table.mu.Lock()
	defer io.table.mu.Unlock()
	io.table.parents = append(io.table.parents, p)
	return p
}

// Namespaces lists those of its namespaces that exist on this node now, in no order.
func (p *ParentNamespace) Namespaces() []*Namespace {
	var list []*Namespace
	for _, n := range p.io.table.all() {
		if n.parent == p {
			list = append(list, n)
		}
	}
	return list
}

// Emit sends the event to everyone, on all nodes, in each of its namespaces that exists on this node now. For rooms, or
// another operator, emit to each of Namespaces.
func (p *ParentNamespace) Emit(event string, args ...any) error {
	list, err := encodeEvent(event, args)
	if err != nil {
		return err
	}
	for _, n := range p.Namespaces() {
		n.emit(list)
	}
	return nil
}

// parentOf returns the first parent that takes the name; nil when none does.
func (io *Server) parentOf(name string) *ParentNamespace {
	io.table.mu.RLock()
	parents := io.table.parents
	io.table.mu.RUnlock()
	for _, p := range parents {
		if p.match(name) {
			return p
		}
	}
	return nil
}
