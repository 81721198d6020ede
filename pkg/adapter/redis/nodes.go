package redis

import (
	"context"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/redispeers"
	"github.com/carillon-io/carillon/internal/redisserver"
	"github.com/carillon-io/carillon/internal/redissub"
	"github.com/carillon-io/carillon/internal/rediswire"
)

// NodeID is the name of this node in the cluster.
func (a *Adapter) NodeID() string { return a.config.NodeID }

// NewTag draws a tag, of URL-safe characters that mean nothing in a pattern.
func NewTag() string { return redispeers.NewTag() }

// Tag is what the ids of new sockets are to begin with: Config.Tag until it turns out to belong to another node, then
// another one. It never waits.
func (a *Adapter) Tag() string { return *a.tag.Load() }

// Tags are what the ids of this node's sockets begin with: the one for new ids and those that it has given up.
func (a *Adapter) Tags() []string { return a.peers.ClaimedFirst(a.tags.all()) }

// Owners are the addresses of the other nodes whose sockets' ids begin with tag: those that are alive and have one. Two
// nodes may share a tag for as long as the sockets live that one of them made before it gave the tag up. A tag of no node
// that is known is looked up once: its node may have joined a moment ago.
func (a *Adapter) Owners(ctx context.Context, tag string) ([]string, error) {
	return a.peers.Owners(ctx, tag)
}

// Others returns a tag of each other node that is alive and has an address.
func (a *Adapter) Others() (tags []string) {
	for _, r := range a.peers.Alive() {
		if r.Address != "" && len(r.Tags) > 0 {
			tags = append(tags, r.Tags[0])
		}
	}
	return tags
}

// Nodes returns the addresses of all nodes of a cluster that are alive and have one, by their ids: for a process that is
// none of them. prefix is Config.Prefix.
func Nodes(ctx context.Context, client goredis.UniversalClient, prefix string) (map[string]string, error) {
	return redispeers.Nodes(ctx, client, prefix)
}

// Trouble is why Redis did not accept this node's last heartbeat; nil when it did.
func (a *Adapter) Trouble() error { return a.peers.Trouble() }

func (a *Adapter) joinCluster() *redispeers.Membership {
	return redispeers.New(redispeers.Config{
		Client:       a.client,
		Prefix:       a.config.Prefix,
		ID:           a.config.NodeID,
		Tag:          a.config.Tag,
		Describe:     a.describe,
		Adopt:        a.adopt,
		Gone:         a.questions.Leave,
		Logger:       a.log,
		Refusals:     a.refusals,
		Nodes:        a.metrics.nodes,
		TagConflicts: a.metrics.tagConflicts,
	})
}

// describe is what this node writes about itself.
func (a *Adapter) describe() redispeers.Record {
	state, address := a.State(), ""
	if a.config.PeerAddress != nil {
		address = a.config.PeerAddress()
	}
	streams := ""
	if a.streams != nil {
		streams = a.config.Streams.streamsName()
	}
	return redispeers.Record{
		ID:      a.config.NodeID,
		Streams: streams,
		Tags:    a.tags.all(),
		Address: address,
		Version: a.config.Version,
		Probes:  a.dialect.probes(),
		Deaf:    state.Ready && state.Deaf,
	}
}

// adopt makes tag the one for new ids, once what is published for them is received. It declines a tag that cannot be used.
func (a *Adapter) adopt(tag string) bool {
	if len(a.tags.all()) >= redispeers.MaxTags || !a.addTag(tag) {
		return false
	}
	var wishes []redisserver.Wish
	for _, s := range a.sets {
		if in, ok := s.pattern(tag); ok {
			wishes = append(wishes, redisserver.Wish{Placement: s.Placement, Interests: []redissub.Interest{in}})
		}
	}
	// Where Redis is away meanwhile, the pattern is subscribed with everything else when it is back.
	redisserver.Confirm(wishes, a.config.RequestTimeout, func(error) { a.tag.Store(&tag) })
	return true
}

// addTag leaves the rooms that begin with another tag to its pattern, which is to be subscribed. It declines where the
// pattern would cover a room that is subscribed by name: its messages would come twice.
func (a *Adapter) addTag(tag string) (added bool) {
	covered := func(channel string) bool { return rediswire.MatchesNode(a.config.Key, tag, channel) }
	for _, s := range a.sets {
		if _, ok := s.pattern(tag); !ok {
			continue
		}
		for _, server := range s.Servers() { // patterns are of no slot: there is one
			server.Exclude(covered, func() {
				a.tags.add(tag)
				added = true
			})
		}
		return added
	}
	a.tags.add(tag)
	return true
}
