package relay

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Peers asks nodes at their peer listeners. Its requests are signed as relayed ones are.
type Peers struct {
	Secret func() []byte // nil: not known yet
	Client *http.Client
}

// Peers asks nodes over the connections on which polls are relayed.
func (r *Relay) Peers() Peers {
	return Peers{Secret: r.config.Secret, Client: &http.Client{Transport: r.transport.http2}}
}

// Load is a node's answer at loadPath.
type Load struct {
	Node     string `json:"node"`
	Sessions int    `json:"sessions"`
}

// Load returns how many sessions the node at base has.
func (p Peers) Load(ctx context.Context, base string) (load Load, err error) {
	err = p.ask(ctx, http.MethodGet, base, loadPath, nil, &load)
	return load, err
}

// Shed asks the node at base to close the transports of n sessions, evenly over window. It returns at once.
func (p Peers) Shed(ctx context.Context, base string, n int, window time.Duration) error {
	query := url.Values{"sessions": {strconv.Itoa(n)}, "window": {window.String()}}
	return p.ask(ctx, http.MethodPost, base, shedPath, query, nil)
}

// tags returns what a node's sessions' ids begin with.
func (p Peers) tags(ctx context.Context, base string) (answer tags, err error) {
	err = p.ask(ctx, http.MethodGet, base, tagsPath, nil, &answer)
	return answer, err
}

// Move makes a call of Config.Moves to the node at base, and returns its answer, which is to be closed. The error is a StatusError
// where the answer is no success.
func (p Peers) Move(ctx context.Context, base, call string, body []byte) (io.ReadCloser, error) {
	response, err := p.send(ctx, http.MethodPost, base, movePath+call, nil, body)
	if err != nil {
		return nil, err
	}
	return response.Body, nil
}

// ask sends one signed request and decodes the answer, unless there is to be none.
func (p Peers) ask(ctx context.Context, method, base, path string, query url.Values, answer any) error {
	response, err := p.send(ctx, method, base, path, query, nil)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // read as far as it is of use
	const most = 64 << 10
	if answer == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, most)).Decode(answer); err != nil {
		return fmt.Errorf("relay: answer of %s: %w", base, err)
	}
	return nil
}

// send sends one signed request. The answer's body is to be closed.
func (p Peers) send(ctx context.Context, method, base, path string, query url.Values, body []byte) (*http.Response, error) {
	secret := p.Secret()
	if secret == nil {
		return nil, fmt.Errorf("relay: ask %s: the peers' secret is not known", base)
	}
	address, err := url.JoinPath(base, path)
	if err != nil {
		return nil, fmt.Errorf("relay: ask %s: %w", base, err)
	}
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("relay: ask %s: %w", base, err)
	}
	vouch(r.Header, client{})
	if len(body) > 0 {
		sum := sha256.Sum256(body)
		r.Header.Set(headerBody, hex.EncodeToString(sum[:]))
	}
	sign(r, secret, time.Now())
	response, err := p.Client.Do(r)
	if err != nil {
		if failed := (*url.Error)(nil); errors.As(err, &failed) {
			err = failed.Err // without the URL, which may name a session
		}
		return nil, fmt.Errorf("relay: ask %s: %w", base, err)
	}
	reason := response.Header.Get(headerRefused)
	if reason == "" && response.StatusCode < http.StatusMultipleChoices {
		return response, nil
	}
	_ = response.Body.Close() // what it says is in its headers
	if reason != "" {
		return nil, fmt.Errorf("relay: %s refuses this process's signature (%s): another secret, or clocks that are apart", base, reason)
	}
	return nil, &StatusError{base, response.StatusCode}
}

// StatusError is a node's answer that is no success.
type StatusError struct {
	Base   string
	Status int
}

// Error names the node and what it answered.
func (e *StatusError) Error() string {
	return fmt.Sprintf("relay: ask %s: %d %s", e.Base, e.Status, http.StatusText(e.Status))
}
