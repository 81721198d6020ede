package outbound

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Bounds of a connection.
const (
	dialTimeout    = 5 * time.Second
	idleTimeout    = 90 * time.Second
	maxHeaderBytes = 64 << 10
)

// Errors of Post, beside those of the network.
var (
	// ErrTimeout: the answer was not there in time.
	ErrTimeout = errors.New("no answer in time")
	// ErrTooLarge: the answer is longer than its caller reads.
	ErrTooLarge = errors.New("the answer is too large")
)

// SignatureHeader is the header of signatures.
const SignatureHeader = "X-Carillon-Signature"

// Sign returns the signature of a body sent at a time: t=<seconds>,v1=<hex HMAC-SHA256 of "t.body">.
func Sign(secret string, body []byte, at time.Time) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// Target is a URL that is posted to. It is safe for concurrent use.
type Target struct {
	url    string
	secret string
	client *http.Client
}

// New makes a target. It dials nothing. connections is how many stay open to the host.
func New(address, secret string, allowPrivate bool, connections int) *Target {
	return &Target{url: address, secret: secret, client: &http.Client{
		Transport: &http.Transport{
			DialContext:            dialer(allowPrivate).DialContext, // and no Proxy
			TLSHandshakeTimeout:    dialTimeout,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true, // a small body stays small
			MaxResponseHeaderBytes: maxHeaderBytes,
			MaxIdleConnsPerHost:    connections,
			IdleConnTimeout:        idleTimeout,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close closes connections that are not in use.
func (t *Target) Close() { t.client.CloseIdleConnections() }

// Answer is what a target answered.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Post sends a body, which must not change until it returns, and reads the answer, of most bytes at most; with ErrTooLarge
// the Answer has no Body. header is added to the request; nil: nothing is. The errors hold no part of the URL, which may
// hold a password.
func (t *Target) Post(ctx context.Context, kind string, body []byte, header http.Header, most int) (Answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(body))
	if err != nil {
		return Answer{}, errors.New("outbound: the URL cannot be asked")
	}
	maps.Copy(r.Header, header)
	r.Header.Set("Content-Type", kind)
	r.Header.Set("User-Agent", "Carillon")
	r.Header.Set(SignatureHeader, Sign(t.secret, body, time.Now()))
	answer, err := t.client.Do(r)
	if err != nil {
		return Answer{}, failure(ctx, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, int64(most)+1))
	switch {
	case err != nil:
		return Answer{}, failure(ctx, err)
	case len(text) > most:
		return Answer{Status: answer.StatusCode, Header: answer.Header}, ErrTooLarge
	}
	return Answer{answer.StatusCode, answer.Header, text}, nil
}

func failure(ctx context.Context, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ErrTimeout
	}
	return fmt.Errorf("outbound: %w", err)
}
