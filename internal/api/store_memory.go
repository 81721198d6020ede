package api

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// memoryStore keeps keys in this process, for a node without a Redis.
type memoryStore struct {
	mu sync.Mutex
	// mu guards the following.
	byKey map[string]*list.Element
	order list.List // of kept, the oldest claim first
	bytes int
}

// kept is one key.
type kept struct {
	key, text string
	claimed   time.Time
}

// maxKept bounds the memory of a memoryStore, keys and texts.
const maxKept = 64 << 20

// keptCost is about what a key costs beside its texts.
const keptCost = 300

func (k *kept) size() int { return len(k.key) + len(k.text) + keptCost }

func newMemoryStore() *memoryStore { return &memoryStore{byKey: make(map[string]*list.Element)} }

func (s *memoryStore) claim(_ context.Context, key, text string) (string, time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for e := s.order.Front(); e != nil && now.Sub(e.Value.(*kept).claimed) >= keyTime; e = s.order.Front() {
		s.removeLocked(e)
	}
	if e := s.byKey[key]; e != nil {
		k := e.Value.(*kept)
		return k.text, now.Sub(k.claimed), nil
	}
	k := &kept{key: key, text: text, claimed: now}
	if s.bytes+k.size() > maxKept {
		return "", 0, errStoreFull
	}
	s.bytes += k.size()
	s.byKey[key] = s.order.PushBack(k)
	return "", 0, nil
}

func (s *memoryStore) replace(_ context.Context, key, old, text string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byKey[key]
	if e == nil || e.Value.(*kept).text != old {
		return false, nil
	}
	if text == "" {
		s.removeLocked(e)
		return true, nil
	}
	k := e.Value.(*kept)
	s.bytes += len(text) - len(k.text)
	k.text = text
	return true, nil
}

func (s *memoryStore) removeLocked(e *list.Element) {
	k := s.order.Remove(e).(*kept)
	s.bytes -= k.size()
	delete(s.byKey, k.key)
}
