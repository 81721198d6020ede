package redis

import (
	"slices"
	"sync/atomic"

	"github.com/carillon-io/carillon/internal/redispeers"
	"github.com/carillon-io/carillon/internal/rediswire"
)

// NewTag draws a tag, of URL-safe characters that mean nothing in a pattern.
func NewTag() string { return redispeers.NewTag() }

// tags are what the ids of this node's sockets begin with. One that turned out to belong to another node stays, for
// there are ids that begin with it.
type tags struct {
	key  string // static
	list atomic.Pointer[[]string]
}

func newTags(key, first string) *tags {
	t := &tags{key: key}
	list := []string{}
	if first != "" {
		list = append(list, first)
	}
	t.list.Store(&list)
	return t
}

func (t *tags) all() []string { return *t.list.Load() }

// add is for one goroutine at a time.
func (t *tags) add(tag string) {
	list := append(slices.Clone(t.all()), tag)
	t.list.Store(&list)
}

// covers finds the tag whose pattern covers a channel; empty: there is none.
func (t *tags) covers(channel string) string {
	for _, tag := range t.all() {
		if rediswire.MatchesNode(t.key, tag, channel) {
			return tag
		}
	}
	return ""
}

// addTag leaves the rooms that begin with another tag to its pattern, which is to be subscribed. It declines where there
// are too many, or where the pattern would cover a room that is subscribed by name: its messages would come twice.
func (a *Adapter) addTag(tag string) bool {
	if len(a.tags.all()) >= redispeers.MaxTags {
		return false
	}
	_, classic := a.classic()
	if classic == nil {
		a.tags.add(tag)
		return true
	}
	added := false
	for _, s := range classic.servers() {
		s.update(func(t *table) {
			for key := range t.rows {
				if rediswire.MatchesNode(a.config.Key, tag, key.name) {
					return
				}
			}
			a.tags.add(tag)
			added = true
		})
	}
	return added
}

// classic is the set that has patterns, if any.
func (a *Adapter) classic() (*classic, *set) {
	for _, s := range a.sets {
		if d, ok := s.dialect.(*classic); ok && !d.wide {
			return d, s
		}
	}
	return nil, nil
}

// Tag is what the ids of new sockets are to begin with: Config.Tag until it turns out to belong to another node, then
// another one. It never waits.
func (a *Adapter) Tag() string { return *a.tag.Load() }

// adopt makes tag the one for new ids, once what is published for them is received. It declines a tag that cannot be used.
func (a *Adapter) adopt(tag string) bool {
	if !a.addTag(tag) {
		return false
	}
	d, s := a.classic()
	if s == nil {
		a.tag.Store(&tag)
		return true
	}
	// Where Redis is away meanwhile, the pattern is subscribed with everything else when it is back.
	wishes := []wish{{s.placement, []interest{d.pattern(tag)}}}
	confirm(wishes, a.config.RequestTimeout, func(error) { a.tag.Store(&tag) })
	return true
}
