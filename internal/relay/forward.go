package relay

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"
)

// request is a poll or a POST on its way to its owner.
type request struct {
	client client
	owners []*url.URL
	body   []byte // of a POST
}

type requestKey struct{}

// newForwarder makes the handler for polls and POSTs. Each carries its request in its context.
func (r *Relay) newForwarder() http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.Host = p.In.Host
			p.Out.URL.RawQuery = p.In.URL.RawQuery // as it came: the proxy drops what it cannot parse
		},
		Transport:    r.transport,
		BufferPool:   &buffers,
		ErrorLog:     log.New(io.Discard, "", 0), // reports aborted copies, which the metrics count
		ErrorHandler: r.failed,
	}
}

// relayRequest relays a poll or a POST and writes the owner's answer.
func (r *Relay) relayRequest(w http.ResponseWriter, req *http.Request, c client, owners []*url.URL) {
	clear(w.Header()) // the owner's answer has all of them
	if r.live.draining.Load() {
		w.Header().Set("Connection", "close") // the next request goes to another node
	}
	out := &request{client: c, owners: owners}
	timeout := r.config.PollTimeout
	if req.Method == http.MethodPost {
		timeout = r.config.PostTimeout
		body, release, refused := r.readBody(w, req)
		if refused {
			return
		}
		defer release()
		out.body = body
	}
	ctx, cancel := context.WithTimeout(context.WithValue(req.Context(), requestKey{}, out), timeout)
	defer cancel()
	r.polls.ServeHTTP(w, req.WithContext(ctx))
}

// readBody reads the body of a POST, which has to be signed as a whole. release gives its memory back.
func (r *Relay) readBody(w http.ResponseWriter, req *http.Request) (body []byte, release func(), refused bool) {
	size := req.ContentLength
	if size < 0 {
		size = int64(r.config.MaxBody)
	}
	if size > int64(r.config.MaxBody) {
		r.metrics.count(resultTooLarge)
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return nil, nil, true
	}
	if !r.bodies.take(size) {
		r.metrics.count(resultOverload)
		refuse(w, "Too much is being relayed")
		return nil, nil, true
	}
	release = func() { r.bodies.give(size) }
	body, err := r.readInTime(w, req, r.config.MaxBody)
	if err == nil {
		return body, release, false
	}
	release()
	r.metrics.count(resultCancelled)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return nil, nil, true
	}
	panic(http.ErrAbortHandler) // the client left in the middle of its body
}

// transport asks a request's owners in turn, until one knows the session.
type transport struct {
	relay *Relay
	http2 *http.Transport
}

func (r *Relay) newTransport() *transport {
	// HTTP/2 repeats a request by itself only when the owner has not looked at it. Over HTTP/1.1 a poll sent on a
	// connection that just closed would be repeated although it may have been answered.
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	return &transport{relay: r, http2: &http.Transport{
		Protocols:          &protocols,
		DialContext:        newDialer(r.config.DialTimeout).dial,
		MaxConnsPerHost:    mostDials, // beside those whose streams are all in use: over HTTP/2 these do not count
		DisableCompression: true,      // the client's own Accept-Encoding goes to the owner
		IdleConnTimeout:    90 * time.Second,
		// An owner that is frozen keeps its connections open; only a ping shows it.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 5 * time.Second, PingTimeout: 5 * time.Second},
	}}
}

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	out := req.Context().Value(requestKey{}).(*request)
	for i, owner := range out.owners {
		attempt := t.attempt(req, out, owner)
		waiting := t.relay.live.add(attempt, owner)
		response, err := t.http2.RoundTrip(attempt)
		t.relay.live.remove(waiting)
		if err != nil {
			return nil, err
		}
		if i < len(out.owners)-1 && unknownSession(response) {
			_ = response.Body.Close() // read whole already
			continue
		}
		return response, t.relay.answered(response, out.client)
	}
	return nil, errNoOwner
}

var (
	errNoOwner = errors.New("relay: no owner")
	errRefused = errors.New("relay: the owner does not accept this node's signature")
)

// attempt is the request for one owner, signed.
func (t *transport) attempt(req *http.Request, out *request, owner *url.URL) *http.Request {
	attempt := req.Clone(req.Context())
	attempt.URL.Scheme, attempt.URL.Host = "http", owner.Host
	attempt.Body, attempt.ContentLength = http.NoBody, 0
	vouch(attempt.Header, out.client)
	if out.body != nil {
		attempt.Body, attempt.ContentLength = io.NopCloser(bytes.NewReader(out.body)), int64(len(out.body))
		sum := sha256.Sum256(out.body)
		attempt.Header.Set(headerBody, hex.EncodeToString(sum[:]))
	}
	sign(attempt, out.client.secret, time.Now())
	return attempt
}

// vouch replaces what a client may have sent under our headers' names.
func vouch(h http.Header, c client) {
	for _, name := range []string{headerSignature, headerBody, headerRefused} {
		h.Del(name)
	}
	h.Set(headerClient, c.address)
	h.Set(headerScheme, c.scheme)
}

// answered counts an owner's answer. The error says that it is not meant for the client.
func (r *Relay) answered(response *http.Response, c client) error {
	switch {
	case response.Header.Get(headerRefused) != "":
		r.log.Warn("a peer does not accept this node's requests",
			zapPeer(response.Request.URL.Host), zapReason(response.Header.Get(headerRefused)))
		_ = response.Body.Close() // empty
		return errRefused
	case unknownSession(response):
		r.miss(c.address, resultUnknown)
	default:
		r.metrics.count(resultOK)
	}
	return nil
}

// unknownSession reports whether an owner answered that it does not hold the session. It leaves the body as it was.
func unknownSession(response *http.Response) bool {
	if response.StatusCode != http.StatusBadRequest {
		return false
	}
	const most = 256 // the protocol's errors are short
	head, err := io.ReadAll(io.LimitReader(response.Body, most))
	rest := response.Body
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), rest), rest}
	// As JSON over HTTP and as text on an upgrade: the protocol has both.
	return err == nil && bytes.Contains(head, []byte("Session ID unknown"))
}

// failed answers a request whose owner did not.
func (r *Relay) failed(w http.ResponseWriter, req *http.Request, err error) {
	result := resultOf(req.Context(), err)
	r.metrics.count(result)
	r.log.Debug("request was not relayed", zapReason(string(result)), zapError(err))
	switch result {
	case resultDead:
		r.config.Unknown.ServeHTTP(w, req)
	case resultSlow, resultRefused:
		refuse(w, "The session's node does not answer")
	default:
		// The owner cut the request, as it does with a poll that comes too late, or the client is gone.
		panic(http.ErrAbortHandler)
	}
}

// resultOf tells an owner that died from one that is slow and from a client that left.
func resultOf(ctx context.Context, err error) result {
	var dial *net.OpError
	switch {
	case errors.Is(err, errRefused):
		return resultRefused
	case errors.Is(ctx.Err(), context.Canceled):
		return resultCancelled
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ECONNRESET),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return resultDead
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &dial) && dial.Op == "dial" && dial.Timeout(),
		strings.Contains(err.Error(), "client connection lost"): // net/http's word for a ping that was not answered
		return resultSlow
	}
	return resultFailed
}

// pool lends the buffers of both kinds of copies.
type pool struct{ free sync.Pool }

const bufferSize = 16 << 10

var buffers = pool{sync.Pool{New: func() any { return new([bufferSize]byte) }}}

func (p *pool) Get() []byte  { return p.free.Get().(*[bufferSize]byte)[:] }
func (p *pool) Put(b []byte) { p.free.Put((*[bufferSize]byte)(b)) }
