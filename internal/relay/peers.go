package relay

import (
	"context"
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

// ask sends one signed request and decodes the answer, unless there is to be none.
func (p Peers) ask(ctx context.Context, method, base, path string, query url.Values, answer any) error {
	secret := p.Secret()
	if secret == nil {
		return fmt.Errorf("relay: ask %s: the peers' secret is not known", base)
	}
	address, err := url.JoinPath(base, path)
	if err != nil {
		return fmt.Errorf("relay: ask %s: %w", base, err)
	}
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return fmt.Errorf("relay: ask %s: %w", base, err)
	}
	vouch(r.Header, client{})
	sign(r, secret, time.Now())
	response, err := p.Client.Do(r)
	if err != nil {
		if failed := (*url.Error)(nil); errors.As(err, &failed) {
			err = failed.Err // without the URL, which may name a session
		}
		return fmt.Errorf("relay: ask %s: %w", base, err)
	}
	defer func() { _ = response.Body.Close() }() // read as far as it is of use
	const most = 64 << 10
	switch reason := response.Header.Get(headerRefused); {
	case reason != "":
		return fmt.Errorf("relay: %s refuses this process's signature (%s): another secret, or clocks that are apart", base, reason)
	case response.StatusCode >= http.StatusMultipleChoices:
		return fmt.Errorf("relay: ask %s: %s", base, response.Status)
	case answer == nil:
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, most)).Decode(answer); err != nil {
		return fmt.Errorf("relay: answer of %s: %w", base, err)
	}
	return nil
}
