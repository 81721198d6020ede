package engine

import (
	"crypto/rand"
	"hash/maphash"
	"sync"
)

// table finds sessions by id. It is sharded so that handshakes, polls and ends on many cores seldom meet. Its locks are
// leaves: a session may be locked while the table is called, never the other way round.
type table[V any] struct {
	seed   maphash.Seed
	shards [64]shard[V]
}

type shard[V any] struct {
	mu       sync.RWMutex
	sessions map[string]V
	closed   bool
}

func newTable[V any]() *table[V] {
	t := &table[V]{seed: maphash.MakeSeed()}
	for i := range t.shards {
		t.shards[i].sessions = map[string]V{}
	}
	return t
}

func (t *table[V]) shard(id string) *shard[V] {
	return &t.shards[maphash.String(t.seed, id)%uint64(len(t.shards))]
}

// get returns the session with an id, or nil.
func (t *table[V]) get(id string) V {
	sh := t.shard(id)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.sessions[id]
}

// put adds a session and calls added, both before close can return; it refuses once close was called.
func (t *table[V]) put(id string, session V, added func()) bool {
	sh := t.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.closed {
		return false
	}
	sh.sessions[id] = session
	added()
	return true
}

func (t *table[V]) remove(id string) {
	sh := t.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	delete(sh.sessions, id)
}

// close refuses what would be put from now on.
func (t *table[V]) close() {
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.Lock()
		sh.closed = true
		sh.mu.Unlock()
	}
}

// all returns the sessions of one moment, shard by shard.
func (t *table[V]) all() []V {
	var sessions []V
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.RLock()
		for _, s := range sh.sessions {
			sessions = append(sessions, s)
		}
		sh.mu.RUnlock()
	}
	return sessions
}

const (
	idAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	tagLength  = 4
	idLength   = 20
)

// newID draws a session id: the node's tag, then 96 random bits.
func newID(tag string) string { return tag + randomText(idLength-len(tag)) }

// randomText returns n URL-safe characters of six random bits each.
func randomText(n int) string {
	text := make([]byte, n)
	rand.Read(text) // never fails
	for i, b := range text {
		text[i] = idAlphabet[b&63]
	}
	return string(text)
}
