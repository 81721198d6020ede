package redis

import (
	"encoding/json"
	"errors"
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
	out    map[uint64]*fence
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
	name, out := f.begin(done)
	var cuts []redisserver.Cut
	for _, s := range f.adapter.sets {
		slots := s.order(nsp, rooms)
		if out == nil || len(slots) == 0 {
			continue
		}
		more, ok := redisserver.Fence(s.Placement, slots, func(server string) []byte {
			text, err := json.Marshal(mark{Node: name.Node, Number: name.Number, Namespace: nsp, Server: server})
			if err != nil {
				panic(err) // strings and numbers alone
			}
			return text
		}, out.answered)
		if !ok {
			out.finish(adapter.ErrAway)
		}
		cuts = append(cuts, more...)
	}
	if out == nil {
		done(adapter.ErrAway)
		return name, nil
	}
	out.sent(cuts)
	lanes := make([]adapter.Lane, len(cuts))
	for i := range cuts {
		lanes[i] = adapter.Lane(cuts[i].Lane)
	}
	return name, lanes
}

// begin names a fence; out is nil while the node does not run.
func (f *fences) begin(done func(error)) (name adapter.Fence, out *fence) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last++
	name = adapter.Fence{Node: f.adapter.config.NodeID, Number: f.last}
	if f.closed || !f.adapter.running.Load() {
		return name, nil
	}
	out = &fence{done: done, back: make(map[uint64]bool)}
	number := f.last
	out.forget = func() { f.forget(number) }
	out.timer = time.AfterFunc(f.adapter.config.RequestTimeout, func() { out.finish(adapter.ErrAway) })
	f.out[number] = out
	return name, out
}

func (f *fences) forget(number uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.out, number)
}

// close ends all fences, and those to come.
func (f *fences) close() {
	f.mu.Lock()
	f.closed = true
	var out []*fence
	for _, one := range f.out {
		out = append(out, one)
	}
	f.mu.Unlock()
	for _, one := range out {
		one.finish(adapter.ErrAway)
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
		f.mu.Lock()
		out := f.out[m.Number]
		f.mu.Unlock()
		if out != nil {
			out.returned(lane)
		}
	}
	return redisserver.Accepted
}

// ConfirmLanes implements [adapter.Fencer].
func (f *fences) ConfirmLanes(nsp string, rooms []string, done func([]adapter.Lane, error)) {
	a := f.adapter
	a.whenRunning(func() {
		redisserver.ConfirmLanes(a.wishes(nsp, rooms, true), a.config.RequestTimeout, func(lanes []uint64, err error) {
			named := make([]adapter.Lane, len(lanes))
			for i, lane := range lanes {
				named[i] = adapter.Lane(lane)
			}
			done(named, err)
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
	n := f.adapter.namespaces
	n.setFollowed(nsp, 1)
	return sync.OnceFunc(func() { n.setFollowed(nsp, -1) })
}

// fence is one of this node's until its outcome is known.
type fence struct {
	// Static after construction.
	timer  *time.Timer
	forget func()

	mu sync.Mutex
	// mu guards the following.
	done  func(error)       // nil once it has been called
	cuts  []redisserver.Cut // nil until it was sent everywhere
	taken int               // by as many servers
	back  map[uint64]bool   // lanes in which it came back
}

func (f *fence) sent(cuts []redisserver.Cut) {
	f.change(func() error {
		f.cuts = cuts
		return nil
	})
}

// answered records that a server took the fence or did not.
func (f *fence) answered(err error) {
	f.change(func() error {
		f.taken++
		return err
	})
}

// returned records that the fence came back.
func (f *fence) returned(lane uint64) {
	f.change(func() error {
		f.back[lane] = true
		return nil
	})
}

// change finishes the fence where what step tells, or changes, decides it.
func (f *fence) change(step func() error) {
	f.mu.Lock()
	err := step()
	if err == nil {
		var decided bool
		if decided, err = f.judgeLocked(); !decided {
			f.mu.Unlock()
			return
		}
	}
	f.mu.Unlock()
	f.finish(err)
}

// judgeLocked tells the outcome, if it is known by now.
func (f *fence) judgeLocked() (decided bool, err error) {
	if f.cuts == nil || f.taken < len(f.cuts) || len(f.back) < len(f.cuts) {
		return false, nil
	}
	for i := range f.cuts {
		if !f.back[f.cuts[i].Lane] || !f.cuts[i].Holds() {
			return true, adapter.ErrAway
		}
	}
	return true, nil
}

func (f *fence) finish(err error) {
	f.mu.Lock()
	done := f.done
	f.done = nil
	f.mu.Unlock()
	if done == nil {
		return
	}
	f.timer.Stop()
	f.forget()
	done(err)
}
