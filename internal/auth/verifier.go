package auth

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/config"
)

// Options are what a Verifier stands in. The zero value works.
type Options struct {
	Logger    *zap.Logger           // nil: none
	Registry  prometheus.Registerer // nil: metrics are kept, not registered
	Transport http.RoundTripper     // what key sets are fetched through; nil: connections of its own
}

// Token is a token found valid. It is not to be changed.
type Token struct {
	Subject string
	Expires time.Time // when it is over, leeway included; zero: never
	Claims  []byte    // its payload, a JSON object
}

// Verifier tells whether tokens are valid. Safe for concurrent use.
type Verifier struct {
	// Static after construction.
	leeway    time.Duration
	transport http.RoundTripper
	metrics   *metrics
	logger    *zap.Logger

	current  atomic.Pointer[keyring]
	replaced chan struct{} // one element; tells Run that the source may be another; never closed
}

// New makes a verifier of the keys that cfg names.
func New(cfg config.Auth, o Options) (*Verifier, error) {
	v := &Verifier{
		leeway: cfg.Leeway, transport: o.Transport, logger: o.Logger,
		replaced: make(chan struct{}, 1),
	}
	if v.logger == nil {
		v.logger = zap.NewNop()
	}
	if v.transport == nil {
		v.transport = newTransport()
	}
	var err error
	if v.metrics, err = newMetrics(o.Registry); err != nil {
		return nil, err
	}
	replace, err := v.Prepare(cfg.JWT)
	if err != nil {
		return nil, err
	}
	replace()
	return v, nil
}

// Prepare reads the keys that cfg names and returns how to put them in force. Tokens judged before stay judged. A key set
// that is fetched from the same URL as before keeps its keys.
func (v *Verifier) Prepare(cfg config.JWT) (replace func(), err error) {
	next, err := newKeyring(cfg, v.leeway)
	if err != nil {
		return nil, err
	}
	return func() {
		if now := v.current.Load(); now != nil && now.source != nil && now.source.url == cfg.JWKS {
			next.source = now.source
		} else if cfg.JWKS != "" {
			next.source = newSource(cfg.JWKS, v.transport, v.metrics, v.logger)
		}
		v.current.Store(next)
		select {
		case v.replaced <- struct{}{}:
		default:
		}
	}, nil
}

// Looks reports whether there is a key, so whether tokens are looked at.
func (v *Verifier) Looks() bool { return v.current.Load().looks }

// Run fetches the key set, where one is configured, until ctx ends. It is called once.
func (v *Verifier) Run(ctx context.Context) {
	for ctx.Err() == nil {
		s := v.current.Load().source
		running, stop := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			if s != nil {
				s.run(running)
			}
		}()
		for another := false; !another; {
			select {
			case <-ctx.Done():
				another = true
			case <-v.replaced:
				another = v.current.Load().source != s
			}
		}
		stop()
		<-done
	}
}

// Verify judges a token and calls done once: with the token, or with an *Error or ErrUnavailable. It never waits; done is
// called before it returns, unless a key must be fetched first. done must not block.
func (v *Verifier) Verify(token string, done func(*Token, error)) {
	r := v.current.Load()
	t, unknown, err := r.verify(token)
	if unknown == nil {
		done(t, err)
		return
	}
	r.source.seek(*unknown, func() {
		t, unknown, err := r.verify(token)
		if unknown != nil && !r.source.judged(*unknown) {
			err = ErrUnavailable
		}
		done(t, err)
	})
}

// Files are those that cfg names: their change calls for Prepare.
func Files(cfg config.JWT) []string {
	if cfg.PublicKey == "" || isPEM(string(cfg.PublicKey)) {
		return nil
	}
	return []string{string(cfg.PublicKey)}
}

func isPEM(text string) bool { return strings.Contains(text, "-----BEGIN") }

// readPEM reads public keys from text, or from the file that the text names.
func readPEM(text string) ([]key, error) {
	if text == "" {
		return nil, nil
	}
	content := []byte(text)
	if !isPEM(text) {
		var err error
		if content, err = os.ReadFile(text); err != nil {
			return nil, fmt.Errorf("auth.jwt.public_key: %w", config.FileError(text, err))
		}
	}
	keys, err := parsePEM(content)
	if err != nil {
		return nil, fmt.Errorf("auth.jwt.public_key: %w", err)
	}
	return keys, nil
}
