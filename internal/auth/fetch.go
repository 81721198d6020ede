package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Bounds of one fetch.
const (
	fetchTimeout   = 5 * time.Second
	maxKeySetBytes = 1 << 20
	maxHeaderBytes = 64 << 10
	maxRedirects   = 3
)

// The results of a fetch: a closed set, they are metric labels.
const (
	fetchOK          = "ok"
	fetchTimedOut    = "timeout"
	fetchUnreachable = "unreachable"
	fetchStatus      = "status"
	fetchRedirect    = "redirect"
	fetchTooLarge    = "too_large"
	fetchMalformed   = "malformed"
)

var fetchResults = []string{
	fetchOK, fetchTimedOut, fetchUnreachable, fetchStatus, fetchRedirect, fetchTooLarge, fetchMalformed,
}

// fetchError is a failed fetch and what it counts as.
type fetchError struct {
	result string
	err    error
}

func (e *fetchError) Error() string { return e.err.Error() }

func (e *fetchError) Unwrap() error { return e.err }

var errRedirect = errors.New("a redirect to another host")

// newTransport makes connections for one fetch each: a fetch every few minutes is not worth an idle connection. It asks
// no proxy and unpacks nothing, so that a small body stays small.
func newTransport() http.RoundTripper {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: fetchTimeout}).DialContext,
		TLSHandshakeTimeout:    fetchTimeout,
		ForceAttemptHTTP2:      true,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
}

// newClient follows redirects on one host only: what a key set says decides who gets in.
func newClient(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport: transport,
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if from := via[0].URL; r.URL.Scheme != from.Scheme || r.URL.Host != from.Host || len(via) > maxRedirects {
				return errRedirect
			}
			return nil
		},
	}
}

// fetch gets a key set. Its errors hold no part of the URL, which may hold a password.
func fetch(ctx context.Context, client *http.Client, address string) (*keySet, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, &fetchError{fetchUnreachable, errors.New("the URL cannot be asked")}
	}
	r.Header.Set("Accept", "application/jwk-set+json, application/json")
	answer, err := client.Do(r)
	if err != nil {
		return nil, failedFetch(ctx, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, &fetchError{fetchStatus, fmt.Errorf("answered with status %d", answer.StatusCode)}
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxKeySetBytes+1))
	switch {
	case err != nil:
		return nil, failedFetch(ctx, err)
	case len(text) > maxKeySetBytes:
		return nil, &fetchError{fetchTooLarge, fmt.Errorf("larger than %d bytes", maxKeySetBytes)}
	}
	set, err := parseKeySet(text)
	if err != nil {
		return nil, &fetchError{fetchMalformed, err}
	}
	return set, nil
}

// failedFetch says why a request came to nothing.
func failedFetch(ctx context.Context, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	switch {
	case errors.Is(err, errRedirect):
		return &fetchError{fetchRedirect, err}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &fetchError{fetchTimedOut, fmt.Errorf("no answer within %v", fetchTimeout)}
	}
	return &fetchError{fetchUnreachable, err}
}
