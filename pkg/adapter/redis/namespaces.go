package redis

import (
	"sync"
	"sync/atomic"
)

// namespaces are those that this node is a member of, or asks in. All subscriptions of the node share them.
type namespaces struct {
	followed atomic.Int64 // calls of Fencer.Follow, so that looking costs nothing while there are none

	mu sync.Mutex
	// mu guards the following.
	known map[string]*namespace
}

type namespace struct {
	open   bool
	asking int // open queries: while there are any, the shared response channel is wanted

	following int // calls of Fencer.Follow
}

func newNamespaces() *namespaces { return &namespaces{known: make(map[string]*namespace)} }

func (n *namespaces) setOpen(nsp string, open bool) {
	n.change(nsp, func(n *namespace) { n.open = open })
}

func (n *namespaces) setAsking(nsp string, change int) {
	n.change(nsp, func(n *namespace) { n.asking += change })
}

func (n *namespaces) change(nsp string, change func(*namespace)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	known := n.known[nsp]
	if known == nil {
		known = &namespace{}
		n.known[nsp] = known
	}
	change(known)
	if *known == (namespace{}) {
		delete(n.known, nsp)
	}
}

func (n *namespaces) setFollowed(nsp string, change int) {
	n.followed.Add(int64(change))
	n.change(nsp, func(n *namespace) { n.following += change })
}

func (n *namespaces) isFollowed(nsp string) bool {
	if n.followed.Load() == 0 {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	known := n.known[nsp]
	return known != nil && known.following > 0
}

func (n *namespaces) isOpen(nsp string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	known := n.known[nsp]
	return known != nil && known.open
}

// opened are the namespaces that this node is a member of.
func (n *namespaces) opened() (names []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for name, known := range n.known {
		if known.open {
			names = append(names, name)
		}
	}
	return names
}

func (n *namespaces) isAsking(nsp string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	known := n.known[nsp]
	return known != nil && known.asking > 0
}
