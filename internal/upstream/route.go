package upstream

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/carillon-io/carillon/internal/config"
)

// routes are those of one configuration. Immutable.
type routes struct {
	byName    map[string]*route
	lifecycle []*route // those with connected and disconnected entries
}

// route is a destination of events. It outlives a configuration without it for as long as sockets have a stay there.
type route struct {
	// Static after construction.
	name    string
	up      *Upstream
	metrics *routeMetrics

	config atomic.Pointer[config.Route]

	mu sync.Mutex
	// mu guards the following.
	all []*partition // also those that a configuration has taken away
}

// Replace puts other routes in force. Sockets keep their partitions: what they have sent would be read out of order.
func (u *Upstream) Replace(configured map[string]config.Route) {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := &routes{byName: make(map[string]*route, len(configured))}
	for name, cfg := range configured {
		r := u.known[name]
		if r == nil {
			r = &route{name: name, up: u, metrics: u.metrics.route(name)}
			u.known[name] = r
		}
		r.config.Store(&cfg)
		r.metrics.expect(cfg.Groups)
		now.byName[name] = r
		if cfg.Lifecycle {
			now.lifecycle = append(now.lifecycle, r)
		}
	}
	for name, r := range u.known {
		if now.byName[name] == nil {
			r.metrics.setLag(nil)
		}
	}
	slices.SortFunc(now.lifecycle, func(a, b *route) int { return strings.Compare(a.name, b.name) })
	u.routes.Store(now)
	u.changed()
}

// everyRoute are all that a configuration has had so far.
func (u *Upstream) everyRoute() []*route {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Collect(maps.Values(u.known))
}

// route is a route by its name. One that this node's configuration does not have, but that of a node did which has handed a
// socket over, is there for what that socket has to end.
func (u *Upstream) route(name string) *route {
	u.mu.Lock()
	defer u.mu.Unlock()
	r := u.known[name]
	if r == nil {
		cfg := config.DefaultRoute()
		r = &route{name: name, up: u, metrics: u.metrics.route(name)}
		r.config.Store(&cfg)
		u.known[name] = r
	}
	return r
}

// partition is that with an index.
func (r *route) partition(index int) *partition {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.all) <= index {
		r.all = append(r.all, newPartition(r, len(r.all)))
	}
	return r.all[index]
}

// Lifecycle reports whether any route wants entries of sockets that connect and leave.
func (u *Upstream) Lifecycle() bool { return len(u.routes.Load().lifecycle) > 0 }

// maxPartitions is how many partitions of a route are looked at, whatever Redis says.
const maxPartitions = 1024

// partitions are those that new sockets are spread over.
func (r *route) partitions() []*partition {
	wanted := r.config.Load().Partitions
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.all) < wanted {
		r.all = append(r.all, newPartition(r, len(r.all)))
	}
	return r.all[:wanted:wanted]
}

// everyPartition are all that ever had entries of this process.
func (r *route) everyPartition() []*partition {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}
