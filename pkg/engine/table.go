package engine

import (
	"crypto/rand"
	"hash/maphash"
	"sync"
)

// table finds sessions by id. It is sharded so that handshakes, polls and ends on many cores seldom meet. Its locks are
// leaves: a session may be locked while the table is called, never the other way round.
type table struct {
	seed   maphash.Seed
	shards [64]shard
}

type shard struct {
	mu       sync.RWMutex
	sessions map[string]*Session
	closed   bool
}

func newTable() *table {
	t := &table{seed: maphash.MakeSeed()}
	for i := range t.shards {
		t.shards[i].sessions = map[string]*Session{}
	}
	return t
}

func (t *table) shard(id string) *shard {
	return &t.shards[maphash.String(t.seed, id)%uint64(len(t.shards))]
}

func (t *table) get(id string) *Session {
	sh := t.shard(id)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.sessions[id]
}

// put adds a session and calls added, both before close can return; it refuses once close was called.
func (t *table) put(s *Session, added func()) bool {
	sh := t.shard(s.id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.closed {
		return false
	}
	sh.sessions[s.id] = s
	added()
	return true
}

func (t *table) remove(id string) {
	sh := t.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	delete(sh.sessions, id)
}

// close refuses what would be put from now on.
func (t *table) close() {
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.Lock()
		sh.closed = true
		sh.mu.Unlock()
	}
}

// all returns the sessions of one moment, shard by shard.
func (t *table) all() []*Session {
	var sessions []*Session
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
