package redis

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/carillon-io/carillon/pkg/adapter"
)

// set is one way of taking part in the cluster: a dialect, and where its channels are. A node that speaks on sharded
// channels and listens to classic emitters has two.
type set struct {
	dialect
	placement

	env   *env
	ready atomic.Bool // all servers were proven, once at the same time
}

// all reports whether there are servers and f holds for each.
func (s *set) all(f func(*server) bool) bool {
	servers := s.servers()
	return len(servers) > 0 && !slices.ContainsFunc(servers, func(server *server) bool { return !f(server) })
}

// state is that of the worst server.
func (s *set) state() adapter.State {
	if !s.ready.Load() && s.all(func(server *server) bool { return server.ready.Load() }) {
		s.ready.Store(true)
	}
	return adapter.State{
		Ready:     s.ready.Load(),
		Connected: s.all(func(server *server) bool { return server.connected.Load() }),
		Deaf:      !s.all(func(server *server) bool { return !server.deaf.Load() || !server.connected.Load() }),
	}
}

// listen waits until this node receives answers in nsp; it does until release is called.
func (s *set) listen(ctx context.Context, nsp string) (release func(), err error) {
	interests := s.listening(nsp)
	change := func(by int) {
		s.env.namespaces.setAsking(nsp, by)
		s.touch(interests)
	}
	change(1)
	err = wait(ctx, func(done func(error)) {
		confirm([]wish{{s.placement, interests}}, s.env.config.RequestTimeout, done)
	})
	if err != nil {
		change(-1)
		return nil, err
	}
	return func() { change(-1) }, nil
}

// probes are the channels that tell peers that this node receives messages, of the servers where it did.
func (s *set) probes() []string {
	var channels []string
	for _, server := range s.servers() {
		if server.ready.Load() {
			channels = append(channels, server.currentProbe().channel)
		}
	}
	slices.Sort(channels)
	return channels
}

// sameServer reports whether one server serves both channels.
func (s *set) sameServer(channel, other string) bool {
	return s.owner(s.slot(channel)) == s.owner(s.slot(other))
}

// isOn reports whether this node has subscribed.
func (s *set) isOn(in interest) bool {
	server := s.owner(in.slot)
	return server != nil && server.isOn(in)
}
