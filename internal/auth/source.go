package auth

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/config"
)

const (
	// refreshInterval is how long a key set is believed, so how long a key counts that its issuer has withdrawn.
	refreshInterval = 5 * time.Minute
	// retryInterval is how long after a failure the next fetch follows, and how far apart fetches are that tokens with
	// unknown keys cause.
	retryInterval = 10 * time.Second
	// maxKeyID bounds a kid, maxWanted how many unknown ones are remembered.
	maxKeyID  = 256
	maxWanted = 1000
)

// source is the key set at one URL.
type source struct {
	// Static after construction.
	url     config.URL
	client  *http.Client
	metrics *metrics
	logger  *zap.Logger
	wake    chan struct{} // one element; tells run that somebody waits; never closed

	keys atomic.Pointer[keySet] // fetched last; nil until the first

	mu sync.Mutex
	// mu guards the following.
	running  bool // else nothing is fetched
	fetching bool
	demanded time.Time // when a token last caused a fetch
	failed   time.Time // when the last fetch failed; zero when it succeeded
	fetched  time.Time // when the last successful fetch was over
	begun    uint64    // fetches so far
	got      uint64    // which of them was the last successful one
	// wanted holds, for each key asked for that the set does not hold, the first fetch that began afterwards.
	wanted  map[string]uint64
	waiting []func() // called when the fetch under way, or demanded, is over
}

func newSource(url config.URL, transport http.RoundTripper, m *metrics, logger *zap.Logger) *source {
	return &source{
		url: url, client: newClient(transport), metrics: m, logger: logger,
		wake: make(chan struct{}, 1), wanted: make(map[string]uint64),
	}
}

// seek calls then once, when no fetch that is possible now would tell more about a key that the set does not hold: after
// a fetch, or at once.
func (s *source) seek(id string, then func()) {
	s.mu.Lock()
	if !s.running || s.judgedLocked(id) {
		s.mu.Unlock()
		then()
		return
	}
	now := time.Now()
	if _, known := s.wanted[id]; !known {
		if len(s.wanted) >= maxWanted {
			clear(s.wanted)
		}
		s.wanted[id] = s.begun + 1
	}
	wait := s.fetching
	if !wait && now.Sub(s.demanded) >= retryInterval && now.Sub(s.failed) >= retryInterval {
		s.demanded = now
		wait = true
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	if wait {
		s.waiting = append(s.waiting, then)
	}
	s.mu.Unlock()
	if !wait {
		then()
	}
}

// judged reports whether a key is known not to exist: a recent fetch, begun after it was first asked for, did not bring it.
func (s *source) judged(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.judgedLocked(id)
}

func (s *source) judgedLocked(id string) bool {
	first, known := s.wanted[id]
	return known && first <= s.got && time.Since(s.fetched) < retryInterval
}

// run keeps the set fresh until ctx ends.
func (s *source) run(ctx context.Context) {
	s.mu.Lock()
	s.running = true
	s.mu.Unlock()
	defer s.stop()
	for {
		s.refresh(ctx)
		next := time.NewTimer(s.pause())
		select {
		case <-ctx.Done():
			next.Stop()
			return
		case <-s.wake:
			next.Stop()
		case <-next.C:
		}
	}
}

func (s *source) pause() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed.IsZero() {
		return refreshInterval
	}
	return retryInterval
}

// refresh fetches the set once. After a failure the keys known go on.
func (s *source) refresh(ctx context.Context) {
	s.mu.Lock()
	s.fetching = true
	select {
	case <-s.wake: // this fetch is for them too
	default:
	}
	s.begun++
	this := s.begun
	s.mu.Unlock()
	set, err := fetch(ctx, s.client, string(s.url))
	if ctx.Err() != nil {
		return // stop releases those who wait
	}
	s.report(set, err)
	s.mu.Lock()
	if err == nil {
		s.keys.Store(set)
		s.failed, s.fetched, s.got = time.Time{}, time.Now(), this
		for id := range s.wanted {
			if len(set.byID[id]) > 0 {
				delete(s.wanted, id)
			}
		}
	} else {
		s.failed = time.Now()
	}
	s.releaseLocked()
}

// stop releases those who wait for a fetch that will not come.
func (s *source) stop() {
	s.mu.Lock()
	s.running = false
	s.releaseLocked()
}

// releaseLocked unlocks mu and calls those who wait.
func (s *source) releaseLocked() {
	waiting := s.waiting
	s.waiting, s.fetching = nil, false
	s.mu.Unlock()
	for _, then := range waiting {
		then()
	}
}

// report counts a fetch, and logs when fetching begins or ceases to fail.
func (s *source) report(set *keySet, err error) {
	s.mu.Lock()
	failing := !s.failed.IsZero()
	first := s.fetched.IsZero()
	s.mu.Unlock()
	var failure *fetchError
	switch {
	case errors.As(err, &failure):
		s.metrics.fetches[failure.result].Inc()
		if !failing {
			s.logger.Warn("the key set cannot be fetched, the keys known go on",
				zap.Stringer("url", s.url), zap.String("result", failure.result), zap.Error(err))
		}
	default:
		s.metrics.fetches[fetchOK].Inc()
		s.metrics.keys.Set(float64(len(set.all)))
		if failing || first {
			s.logger.Info("key set fetched", zap.Stringer("url", s.url), zap.Int("keys", len(set.all)))
		}
	}
}
