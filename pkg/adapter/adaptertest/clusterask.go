package adaptertest

import (
	"context"
	"maps"
	"slices"

	"github.com/carillon-io/carillon/pkg/adapter"
)

// question is an Ask under way. The cluster's lock guards it.
type question struct {
	left    map[string]int  // replies still to come, by node; uncounted until the count of a BroadcastAsk is there
	lost    []string        // nodes that ended before they had answered
	replies []adapter.Reply // not handed on yet
	woken   chan struct{}   // holds one token when replies, left or lost changed; never closed
}

// uncounted is what a node owes before its Count has come.
const uncounted = -1

// Ask implements adapter.Adapter. A node that ends is missing at once.
func (a *Adapter) Ask(ctx context.Context, q adapter.Query, reply func(adapter.Reply)) (missing []string, err error) {
	limit := defaultLimit
	if b, ok := q.(adapter.BroadcastAsk); ok {
		limit = b.Timeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	ask, err := a.put(q)
	if err != nil {
		return nil, err
	}
	for ended := false; ; {
		replies, missing, open := a.take(ask, ended)
		for _, r := range replies {
			reply(r)
		}
		if ended || !open {
			return missing, nil
		}
		select {
		case <-ask.woken:
		case <-ctx.Done():
			ended = true
		}
	}
}

// put hands the question to the other nodes.
func (a *Adapter) put(q adapter.Query) (*question, error) {
	a.cluster.mu.Lock()
	defer a.cluster.mu.Unlock()
	if !a.running {
		return nil, adapter.ErrAway
	}
	peers := a.cluster.peersLocked(a, adapter.NamespaceOfQuery(q))
	ask := &question{left: make(map[string]int), woken: make(chan struct{}, 1)}
	if list, ok := q.(adapter.ListSockets); ok {
		peers = slices.DeleteFunc(peers, func(p *Adapter) bool { return p.name != list.Node })
		if len(peers) == 0 && list.Node != "" {
			ask.lost = []string{list.Node}
		}
	}
	for _, p := range peers {
		if len(p.inbox) >= maxInbox {
			return nil, adapter.ErrFull
		}
	}
	for _, p := range peers {
		ask.left[p.name] = 1
		if _, ok := q.(adapter.BroadcastAsk); ok {
			ask.left[p.name] = uncounted
		}
		p.inbox = append(p.inbox, func(n adapter.Node) {
			n.Answer(q, func(r adapter.Reply) { a.answered(ask, p.name, r) })
		})
	}
	a.asking[ask] = true
	a.cluster.changed.Broadcast()
	return ask, nil
}

// answered takes a reply of the named node; those beyond what it owes are dropped.
func (a *Adapter) answered(ask *question, node string, r adapter.Reply) {
	a.cluster.mu.Lock()
	defer a.cluster.mu.Unlock()
	left, owes := ask.left[node]
	if !owes || !a.asking[ask] {
		return
	}
	if counted, ok := r.(adapter.Counted); ok {
		counted.Node = node
		r = counted
	}
	if count, ok := r.(adapter.Count); ok && left == uncounted {
		left = int(count)
	} else {
		left--
	}
	ask.left[node] = left
	if left == 0 {
		delete(ask.left, node)
	}
	ask.replies = append(ask.replies, r)
	ask.wake()
}

// lose gives up on a node that ended.
func (q *question) lose(node string) {
	if _, owes := q.left[node]; owes {
		delete(q.left, node)
		q.lost = append(q.lost, node)
		q.wake()
	}
}

func (q *question) wake() {
	select {
	case q.woken <- struct{}{}:
	default:
	}
}

// take returns the replies that wait, the nodes that have not answered in full, and whether they still can. It closes
// the question when they cannot, or when the caller ends it.
func (a *Adapter) take(ask *question, end bool) (replies []adapter.Reply, missing []string, open bool) {
	a.cluster.mu.Lock()
	defer a.cluster.mu.Unlock()
	replies, ask.replies = ask.replies, nil
	open = len(ask.left) > 0
	if end || !open {
		delete(a.asking, ask)
	}
	missing = slices.Concat(ask.lost, slices.Collect(maps.Keys(ask.left)))
	slices.Sort(missing)
	return replies, missing, open
}
