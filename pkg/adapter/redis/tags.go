package redis

import (
	"slices"
	"sync/atomic"

	"github.com/carillon-io/carillon/internal/rediswire"
)

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
