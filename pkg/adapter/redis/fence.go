package redis

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/internal/redisserver"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// fences are the adapter's adapter.Fencer: the fences that this node has published, by their numbers.
type fences struct {
	adapter *Adapter // static

	mu sync.Mutex
	// mu guards the following.
	last   uint64
	out    map[uint64]*redisserver.Fence
	closed bool
}

var _ adapter.Fencer = (*fences)(nil)

// Fencer returns the node's fences, with Config.Fences; else nil.
func (a *Adapter) Fencer() adapter.Fencer {
	if a.fences == nil {
		return nil
	}
	return a.fences
}

// mark is a fence on the wire, as JSON.
type mark struct {
	Node      string `json:"node"`
	Number    uint64 `json:"number"`
	Namespace string `json:"nsp"`
	// Server is the id of the server that it is published at, where messages spread from one to others: what is subscribed at
	// another one receives in an order of its own.
	Server string `json:"server,omitempty"`
}

// errMark is for what is not a mark.
var errMark = errors.New("redis: not a fence")

func readMark(payload []byte) (m mark, err error) {
	if json.Unmarshal(payload, &m) != nil || m.Node == "" || m.Number == 0 || m.Namespace == "" {
		return mark{}, errMark
	}
	return m, nil
}

// Fence implements [adapter.Fencer].
func (f *fences) Fence(nsp string, rooms []string, done func(error)) (adapter.Fence, []adapter.Lane) {
	a := f.adapter
	name, out := f.begin(done)
	if out == nil {
		done(adapter.ErrAway)
		return name, nil
	}
	wishes := make([]redisserver.Wish, len(a.sets))
	for i, s := range a.sets {
		wishes[i] = redisserver.Wish{Placement: s.Placement, Lanes: s.order(nsp, rooms)}
	}
	lanes := out.Publish(wishes, func(server string) []byte {
		text, err := json.Marshal(mark{Node: name.Node, Number: name.Number, Namespace: nsp, Server: server})
		if err != nil {
			panic(err) // strings and a number alone
		}
		return text
	})
	return name, named(lanes)
}

// begin names a fence; out is nil while the node does not run.
func (f *fences) begin(done func(error)) (name adapter.Fence, out *redisserver.Fence) {
	a := f.adapter
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last++
	number := f.last
	name = adapter.Fence{Node: a.config.NodeID, Number: number}
	if f.closed || !a.running.Load() {
		return name, nil
	}
	late := time.AfterFunc(a.config.RequestTimeout, func() { f.end(number) })
	out = redisserver.NewFence(func(err error) {
		late.Stop()
		f.mu.Lock()
		delete(f.out, number)
		f.mu.Unlock()
		done(err)
	})
	f.out[number] = out
	return name, out
}

// find is nil for a fence that has ended.
func (f *fences) find(number uint64) *redisserver.Fence {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.out[number]
}

func (f *fences) end(number uint64) {
	if out := f.find(number); out != nil {
		out.End(adapter.ErrAway)
	}
}

// close ends all fences, and those to come.
func (f *fences) close() {
	f.mu.Lock()
	f.closed = true
	numbers := slices.Collect(maps.Keys(f.out))
	f.mu.Unlock()
	for _, number := range numbers {
		f.end(number)
	}
}

// receive takes a fence of any node in its place.
func (f *fences) receive(server string, p *redisconn.Push) redisserver.Drop {
	a := f.adapter
	m, err := readMark(p.Payload)
	if err != nil {
		return a.refuse("", err)
	}
	lane := p.Lane
	if m.Server != "" && m.Server != server {
		lane = 0
	}
	a.delivering.Lock()
	if a.follows(m.Namespace) {
		a.follower.Fenced(m.Namespace, adapter.Fence{Node: m.Node, Number: m.Number}, adapter.Lane(lane))
	}
	a.delivering.Unlock()
	if m.Node == a.config.NodeID {
		if out := f.find(m.Number); out != nil {
			out.Returned(lane)
		}
	}
	return redisserver.Accepted
}

// ConfirmLanes implements [adapter.Fencer].
func (f *fences) ConfirmLanes(nsp string, rooms []string, done func([]adapter.Lane, error)) {
	a := f.adapter
	a.whenRunning(func() {
		redisserver.ConfirmLanes(a.wishes(nsp, rooms, true), a.config.RequestTimeout, func(lanes []uint64, err error) {
			done(named(lanes), err)
		})
	})
}

// Whole implements [adapter.Fencer].
func (f *fences) Whole(lanes []adapter.Lane) bool {
	current := make(map[adapter.Lane]bool)
	for _, s := range f.adapter.sets {
		for _, server := range s.Servers() {
			current[adapter.Lane(server.Lane())] = true
		}
	}
	return !slices.ContainsFunc(lanes, func(lane adapter.Lane) bool { return !current[lane] })
}

// Follow implements [adapter.Fencer].
func (f *fences) Follow(nsp string) (stop func()) {
	a := f.adapter
	a.delivering.Lock()
	a.namespaces.setFollowed(nsp, 1)
	a.delivering.Unlock()
	return sync.OnceFunc(func() { a.namespaces.setFollowed(nsp, -1) })
}

func named(lanes []uint64) []adapter.Lane {
	list := make([]adapter.Lane, len(lanes))
	for i, lane := range lanes {
		list[i] = adapter.Lane(lane)
	}
	return list
}
