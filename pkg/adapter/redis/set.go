package redis

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/carillon-io/carillon/internal/redisserver"
	"github.com/carillon-io/carillon/internal/redissub"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// set is one way of taking part in the cluster: a dialect, and where its channels are. A node that speaks on sharded
// channels and listens to classic emitters has two.
type set struct {
	dialect
	redisserver.Placement

	inbox *inbox
	ready atomic.Bool // all servers were proven, once at the same time
}

// all reports whether there are servers and f holds for each.
func (s *set) all(f func(*redisserver.Server) bool) bool {
	servers := s.Servers()
	return len(servers) > 0 && !slices.ContainsFunc(servers, func(server *redisserver.Server) bool { return !f(server) })
}

// state is that of the worst server.
func (s *set) state() adapter.State {
	if !s.ready.Load() && s.all((*redisserver.Server).Ready) {
		s.ready.Store(true)
	}
	return adapter.State{
		Ready:     s.ready.Load(),
		Connected: s.all((*redisserver.Server).Connected),
		Deaf:      !s.all(func(server *redisserver.Server) bool { return !server.Deaf() || !server.Connected() }),
	}
}

// listen waits until this node receives answers in nsp; it does until release is called.
func (s *set) listen(ctx context.Context, nsp string) (release func(), err error) {
	interests := s.listening(nsp)
	change := func(by int) {
		s.inbox.namespaces.setAsking(nsp, by)
		s.Touch(interests)
	}
	change(1)
	err = wait(ctx, func(done func(error)) {
		wishes := []redisserver.Wish{{Placement: s.Placement, Interests: interests}}
		redisserver.Confirm(wishes, s.inbox.config.RequestTimeout, done)
	})
	if err != nil {
		change(-1)
		return nil, err
	}
	return func() { change(-1) }, nil
}

// probes are the channels that show peers that this node receives messages, of the servers where it did.
func (s *set) probes() []string {
	var channels []string
	for _, server := range s.Servers() {
		if server.Ready() {
			channels = append(channels, server.ProbeChannel())
		}
	}
	slices.Sort(channels)
	return channels
}

// sameServer reports whether one server serves both channels.
func (s *set) sameServer(channel, other string) bool {
	return s.Owner(s.slot(channel)) == s.Owner(s.slot(other))
}

// isOn reports whether this node has subscribed.
func (s *set) isOn(in redissub.Interest) bool {
	server := s.Owner(in.Slot)
	return server != nil && server.IsOn(in)
}

// wait turns a callback into a call. When ctx ends first, the callback's result is of no interest any more.
func wait(ctx context.Context, start func(done func(error))) error {
	result := make(chan error, 1)
	start(func(err error) { result <- err })
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return errors.Join(adapter.ErrAway, ctx.Err())
	}
}
