package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carillon-io/carillon/test/await"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

const (
	hang   = await.Limit
	sid    = "AAAA0123456789abcdef"
	secret = "a shared secret"
)

// directory has the owners of one tag.
type directory struct {
	tag    string
	owners []string
	err    error
}

func (d *directory) Owners(_ context.Context, tag string) ([]string, error) {
	if tag != d.tag {
		return nil, d.err
	}
	return d.owners, d.err
}

// sessions serves relayed requests as serve does, and notes which polls are released.
type sessions struct {
	serve    http.HandlerFunc
	released chan string
	away     chan string
	shed     chan string
}

func (s *sessions) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.serve(w, r) }
func (s *sessions) Sessions() int                                    { return 12 }
func (s *sessions) Shed(n int, window time.Duration)                 { s.shed <- fmt.Sprint(n, window) }
func (s *sessions) Release(sid string)                               { s.released <- sid }
func (s *sessions) SendAway(sid string)                              { s.away <- sid }

// node is a gateway as far as the relay sees it: a listener for clients, and one for peers.
type node struct {
	relay    *Relay
	registry *prometheus.Registry
	clients  *httptest.Server
	peers    *httptest.Server
	released chan string
	away     chan string
	shed     chan string
	misses   atomic.Int64
	limited  atomic.Bool
}

// newNode makes a node that relays by directory and serves relayed requests by serve.
func newNode(t *testing.T, d Directory, serve http.HandlerFunc, change func(*Config)) *node {
	t.Helper()
	n := &node{registry: prometheus.NewRegistry(), released: make(chan string, 8), away: make(chan string, 8), shed: make(chan string, 8)}
	cfg := Config{
		Directory: d,
		Unknown:   http.HandlerFunc(unknownHere),
		Node:      "node", Tags: func() []string { return []string{"AAAA"} },
		Secret:   func() []byte { return []byte(secret) },
		Client:   func(r *http.Request) (string, bool) { return r.Header.Get("Test-Client"), true },
		Allow:    func(string) bool { return !n.limited.Load() },
		Miss:     func(string) { n.misses.Add(1) },
		Registry: n.registry,
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if n.relay, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	n.clients = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*") // as the engine does before it knows that it lacks the session
		n.relay.ServeHTTP(w, r)
	}))
	n.peers = httptest.NewUnstartedServer(n.relay.Owner(&sessions{serve, n.released, n.away, n.shed}))
	n.peers.Config.Protocols = new(http.Protocols)
	n.peers.Config.Protocols.SetHTTP1(true)
	n.peers.Config.Protocols.SetUnencryptedHTTP2(true)
	n.peers.Start()
	t.Cleanup(func() {
		n.relay.Close()
		n.clients.Close()
		n.peers.Close()
	})
	return n
}

// pair makes a relaying node and the owner of sid.
func pair(t *testing.T, serve http.HandlerFunc) (relaying, owner *node) {
	t.Helper()
	owner = newNode(t, &directory{}, serve, nil)
	return newNode(t, &directory{tag: "AAAA", owners: []string{owner.peers.URL}}, nil, nil), owner
}

func (n *node) count(t *testing.T, r result) {
	t.Helper()
	if got := testutil.ToFloat64(n.relay.metrics.requests[r]); got != 1 {
		t.Errorf("%v requests with result %s; want 1", got, r)
	}
}

func (n *node) request(t *testing.T, method, query, body string) (*http.Response, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, n.clients.URL+"/socket.io/?"+query, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Test-Client", "192.0.2.7")
	response, err := n.clients.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(text)
}

func unknownHere(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusBadRequest)
	fmt.Fprint(w, unknown)
}

const unknown = `{"code":1,"message":"Session ID unknown"}`

func TestRelay_PassesPollAndPostToTheOwner(t *testing.T) {
	relaying, _ := pair(t, func(w http.ResponseWriter, r *http.Request) {
		address, secure, relayed := ClientOf(r)
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
		fmt.Fprintf(w, "%s %s %s %v %v %s%s", r.Method, r.URL.RawQuery, address, secure, relayed, body, r.Header.Get(headerSignature))
	})
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		body := ""
		if method == http.MethodPost {
			body = "4hello"
		}
		response, got := relaying.request(t, method, "a=;&b=%zz&sid="+sid, body)
		if want := method + " a=;&b=%zz&sid=" + sid + " 192.0.2.7 true true " + body; got != want || response.StatusCode != http.StatusOK {
			t.Errorf("%d %q; want 200 %q", response.StatusCode, got, want)
		}
		if origins := response.Header.Values("Access-Control-Allow-Origin"); len(origins) != 1 {
			t.Errorf("%s: header given twice: %q", method, origins)
		}
	}
}

func TestRelay_RefusesWhatNoNodeCanHave(t *testing.T) {
	ownerless := &directory{tag: "AAAA"}
	tests := []struct {
		name, sid string
		directory Directory
		limited   bool
		status    int
		result    result
		misses    int64
	}{
		{"no live node has the tag", sid, ownerless, false, http.StatusBadRequest, resultNoOwner, 1},
		{"too short", "AAAA0123456789abcde", ownerless, false, http.StatusBadRequest, resultMalformed, 1},
		{"too long", sid + "0", ownerless, false, http.StatusBadRequest, resultMalformed, 1},
		{"other characters", "AAAA0123456789abcd%2B%2F", ownerless, false, http.StatusBadRequest, resultMalformed, 1},
		{"last one counts", sid + "&sid=x", ownerless, false, http.StatusBadRequest, resultMalformed, 1},
		{"peers cannot be looked up", sid, &directory{err: errors.New("away")}, false, http.StatusServiceUnavailable, resultUnready, 0},
		{"an address that guesses", sid, ownerless, true, http.StatusServiceUnavailable, resultLimited, 0},
		{"an address that is none", sid, &directory{tag: "AAAA", owners: []string{"node-1:9091"}}, false, http.StatusServiceUnavailable, resultUnready, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := newNode(t, tt.directory, nil, nil)
			n.limited.Store(tt.limited)
			response, body := n.request(t, http.MethodGet, "sid="+tt.sid, "")
			if response.StatusCode != tt.status {
				t.Errorf("status %d; want %d", response.StatusCode, tt.status)
			}
			if tt.status == http.StatusBadRequest && body != unknown {
				t.Errorf("body %q; want %q", body, unknown)
			}
			if tt.status == http.StatusServiceUnavailable && response.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			n.count(t, tt.result)
			if got := n.misses.Load(); got != tt.misses {
				t.Errorf("%d misses; want %d", got, tt.misses)
			}
		})
	}
}

func TestRelay_AsksBothNodesThatShareATag(t *testing.T) {
	lacks := newNode(t, &directory{}, unknownHere, nil)
	has := newNode(t, &directory{}, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }, nil)
	relaying := newNode(t, &directory{tag: "AAAA", owners: []string{lacks.peers.URL, has.peers.URL}}, nil, nil)
	if response, body := relaying.request(t, http.MethodPost, "sid="+sid, "4x"); response.StatusCode != http.StatusOK || body != "4x" {
		t.Errorf("%d %q; want the second node's answer", response.StatusCode, body)
	}
	relaying.count(t, resultOK)
	neither := newNode(t, &directory{tag: "AAAA", owners: []string{lacks.peers.URL, lacks.peers.URL}}, nil, nil)
	if response, body := neither.request(t, http.MethodPost, "sid="+sid, "4x"); response.StatusCode != http.StatusBadRequest || body != unknown {
		t.Errorf("%d %q; want 400 %q", response.StatusCode, body, unknown)
	}
	neither.count(t, resultUnknown)
	if neither.misses.Load() != 1 {
		t.Errorf("%d misses; want 1", neither.misses.Load())
	}
}

// closedAddress is where nothing listens.
func closedAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func TestRelay_TellsADeadOwnerFromASlowOne(t *testing.T) {
	dead := newNode(t, &directory{tag: "AAAA", owners: []string{closedAddress(t)}}, nil, nil)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, as a frozen process does, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	slow := newNode(t, &directory{tag: "AAAA", owners: []string{"http://" + silent.Addr().String()}}, nil, func(c *Config) {
		c.PollTimeout, c.PostTimeout = 50*time.Millisecond, 50*time.Millisecond
	})
	for _, tt := range []struct {
		name   string
		node   *node
		status int
		result result
	}{{"dead", dead, http.StatusBadRequest, resultDead}, {"slow", slow, http.StatusServiceUnavailable, resultSlow}} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if response, body := tt.node.request(t, method, "sid="+sid, ""); response.StatusCode != tt.status {
				t.Errorf("%s, %s: %d %s; want %d", tt.name, method, response.StatusCode, body, tt.status)
			}
		}
		if _, _, response := upgrade(t, tt.node, nil); response.StatusCode != tt.status {
			t.Errorf("%s, upgrade: %d; want %d", tt.name, response.StatusCode, tt.status)
		}
		if got := testutil.ToFloat64(tt.node.relay.metrics.requests[tt.result]); got != 3 {
			t.Errorf("%s: %v requests with result %s; want 3", tt.name, got, tt.result)
		}
	}
}

func TestRelay_AClientThatLeavesIsGoneForTheOwnerToo(t *testing.T) {
	arrived, ended := make(chan struct{}), make(chan struct{})
	relaying, _ := pair(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		close(ended)
	})
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, relaying.clients.URL+"/socket.io/?sid="+sid, nil)
	if err != nil {
		t.Fatal(err)
	}
	var asking sync.WaitGroup
	asking.Go(func() {
		if response, err := relaying.clients.Client().Do(r); err == nil {
			t.Errorf("answered with %d", response.StatusCode)
			response.Body.Close()
		}
	})
	await.Value(t, "poll at the owner", arrived)
	leave()
	await.Value(t, "end of the owner's request", ended)
	asking.Wait()
}

func TestRelay_APollThatTheOwnerCutsIsCutForTheClient(t *testing.T) {
	relaying, _ := pair(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if response, err := relaying.clients.Client().Get(relaying.clients.URL + "/socket.io/?sid=" + sid); err == nil {
		response.Body.Close()
		t.Errorf("answered with %d; want the connection cut", response.StatusCode)
	}
}

func TestRelay_BoundsBodies(t *testing.T) {
	relaying, _ := pair(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	relaying.relay.config.MaxBody = 10
	if response, _ := relaying.request(t, http.MethodPost, "sid="+sid, "12345678901"); response.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("11 of 10 bytes: %d; want 413", response.StatusCode)
	}
	if response, body := relaying.request(t, http.MethodPost, "sid="+sid, "1234567890"); body != "1234567890" {
		t.Errorf("10 of 10 bytes: %d %q", response.StatusCode, body)
	}
	relaying.relay.bodies.most = 9
	if response, _ := relaying.request(t, http.MethodPost, "sid="+sid, "1234567890"); response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("10 bytes where 9 fit: %d; want 503", response.StatusCode)
	}
	if used := relaying.relay.bodies.used.Load(); used != 0 {
		t.Errorf("%d bytes are held for good", used)
	}
}

func TestOwner_BoundsCallsAboutMovesByThemselves(t *testing.T) {
	got := make(chan int, 1)
	owner := newNode(t, &directory{}, nil, func(c *Config) {
		c.MaxBody = 10
		c.Moves = func(_ http.ResponseWriter, _ *http.Request, _ string, body []byte) { got <- len(body) }
	})
	for size, fits := range map[int]bool{11: true, mostMove: true, mostMove + 1: false} {
		answer, err := owner.relay.Peers().Move(t.Context(), owner.peers.URL, "cut", make([]byte, size))
		if (err == nil) != fits {
			t.Errorf("%d bytes: %v", size, err)
		}
		if err == nil {
			_ = answer.Close()
			if n := <-got; n != size {
				t.Errorf("%d of %d bytes arrived", n, size)
			}
		}
	}
}

func TestOwner_RefusesWhatNoPeerSigned(t *testing.T) {
	served := false
	owner := newNode(t, &directory{}, func(http.ResponseWriter, *http.Request) { served = true }, nil)
	post := func(change func(*http.Request)) int {
		r, err := http.NewRequest(http.MethodPost, owner.peers.URL+"/socket.io/?sid="+sid, strings.NewReader("4forged"))
		if err != nil {
			t.Fatal(err)
		}
		vouch(r.Header, client{address: "192.0.2.7", scheme: "http"})
		r.Header.Set(headerBody, "cd") // of another body
		change(r)
		response, err := owner.peers.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	for name, change := range map[string]func(*http.Request){
		"unsigned":       func(*http.Request) {},
		"another secret": func(r *http.Request) { sign(r, []byte("guess"), time.Now()) },
		"another body":   func(r *http.Request) { sign(r, []byte(secret), time.Now()) },
		"without its length": func(r *http.Request) {
			sign(r, []byte(secret), time.Now())
			r.ContentLength = -1
		},
		"a release": func(r *http.Request) { r.URL.Path = releasePath },
		"an order":  func(r *http.Request) { r.URL.Path = awayPath },
		"tags":      func(r *http.Request) { r.URL.Path = tagsPath },
		"load":      func(r *http.Request) { r.URL.Path = loadPath },
		"shedding":  func(r *http.Request) { r.URL.Path = shedPath },
	} {
		if status := post(change); status != http.StatusForbidden {
			t.Errorf("%s: %d; want 403", name, status)
		}
	}
	if served || len(owner.released)+len(owner.away) > 0 {
		t.Error("the session saw the request")
	}
	if got := testutil.ToFloat64(owner.relay.metrics.refused[errBody]); got != 2 {
		t.Errorf("%v refused for their bodies; want 2", got)
	}
	other := newNode(t, &directory{tag: "AAAA", owners: []string{owner.peers.URL}}, nil, func(c *Config) {
		c.Secret = func() []byte { return []byte("another") }
	})
	if response, _ := other.request(t, http.MethodGet, "sid="+sid, ""); response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a node with another secret answers %d; want 503", response.StatusCode)
	}
	other.count(t, resultRefused)
}

func TestStatic_FindsTheOwnerByAskingEachNode(t *testing.T) {
	node := func(name string, tags ...string) *url.URL {
		n := newNode(t, &directory{}, nil, func(c *Config) { c.Node, c.Tags = name, func() []string { return tags } })
		u, err := url.Parse(n.peers.URL)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	a, b, self := node("a", "AAAA", "AAAB"), node("b", "BBBB", "AAAA"), node("self", "SELF")
	gone, _ := url.Parse(closedAddress(t))
	s := NewStatic("self", []*url.URL{a, b, self, gone}, func() []byte { return []byte(secret) })
	defer s.Close()
	for tag, want := range map[string]int{"AAAA": 2, "AAAB": 1, "BBBB": 1, "SELF": 0, "none": 0} {
		owners, err := s.Owners(t.Context(), tag)
		if err != nil || len(owners) != want {
			t.Errorf("%s: %q, %v; want %d owners", tag, owners, err, want)
		}
	}
}

// awaitParked waits until neither half has a goroutine, where connections can be parked.
func awaitParked(t *testing.T, halves ...*half) {
	t.Helper()
	if runtime.GOOS != "linux" {
		return
	}
	for _, h := range halves {
		await.True(t, "parked", func() bool {
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.parked
		})
	}
}

func TestPeers_AskForTheLoadAndHaveItShed(t *testing.T) {
	n := newNode(t, &directory{}, nil, nil)
	peers := Peers{Secret: func() []byte { return []byte(secret) }, Client: &http.Client{Transport: &http.Transport{}}}
	defer peers.Client.CloseIdleConnections()
	if load, err := peers.Load(t.Context(), n.peers.URL); err != nil || load != (Load{"node", 12}) {
		t.Errorf("load %v, %v", load, err)
	}
	if err := peers.Shed(t.Context(), n.peers.URL, 7, time.Minute); err != nil {
		t.Fatal(err)
	}
	if got := <-n.shed; got != "7 1m0s" {
		t.Errorf("sheds %s; want 7 1m0s", got)
	}
	if err := peers.Shed(t.Context(), n.peers.URL, -1, time.Minute); err == nil {
		t.Error("sheds -1")
	}
	peers.Secret = func() []byte { return []byte("another") }
	if _, err := peers.Load(t.Context(), n.peers.URL); err == nil || !strings.Contains(err.Error(), "forged") {
		t.Errorf("with another secret: %v", err)
	}
}

// serverFrame is a text frame as a server sends it.
func serverFrame(length int) []byte {
	head := []byte{0x81, byte(length)}
	if length > 125 {
		head = []byte{0x81, 126, byte(length >> 8), byte(length)}
	}
	return append(head, bytes.Repeat([]byte{'x'}, length)...)
}

func TestPeers_AnErrorNamesNoSession(t *testing.T) {
	n := newNode(t, &directory{}, nil, nil)
	gone, _ := url.Parse(closedAddress(t))
	if err := n.relay.order(t.Context(), gone, awayPath, sid); err == nil || strings.Contains(err.Error(), sid) {
		t.Errorf("%v", err)
	}
}

// TestPeers_ABurstOfCallsTakesFewConnections, also of more calls than one connection carries at a time.
func TestPeers_ABurstOfCallsTakesFewConnections(t *testing.T) {
	const calls = 600
	var waiting sync.WaitGroup
	waiting.Add(calls)
	owner := newNode(t, &directory{}, nil, func(c *Config) {
		c.Moves = func(http.ResponseWriter, *http.Request, string, []byte) {
			waiting.Done()
			waiting.Wait()
		}
	})
	var connections atomic.Int32
	dial := owner.relay.transport.http2.DialContext
	owner.relay.transport.http2.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		connections.Add(1)
		return dial(ctx, network, address)
	}
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	var calling sync.WaitGroup
	for range calls {
		calling.Go(func() {
			answer, err := owner.relay.Peers().Move(ctx, owner.peers.URL, "reserve", []byte("{}"))
			if err != nil {
				t.Error(err)
				return
			}
			_ = answer.Close()
		})
	}
	calling.Wait()
	if n := connections.Load(); n > calls/20 {
		t.Errorf("%d calls at a time took %d connections", calls, n)
	}
}

// TestDialer_CallsOfASilentNodeDoNotWaitForEachOther: those behind the first one fail with it, and a moment later it is tried again.
func TestDialer_CallsOfASilentNodeDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dials := 0
		d := newDialer(time.Second)
		d.open = func(context.Context, string, string) (net.Conn, error) {
			dials++
			time.Sleep(time.Second)
			return nil, &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}
		}
		for i, c := range []struct{ wait, took time.Duration }{{0, time.Second}, {0, 0}, {999 * time.Millisecond, 0}, {time.Millisecond, time.Second}} {
			time.Sleep(c.wait)
			began := time.Now()
			if _, err := d.dial(t.Context(), "tcp", "silent:1"); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("dial %d: %v", i, err)
			}
			if took := time.Since(began); took != c.took {
				t.Errorf("dial %d took %v, want %v", i, took, c.took)
			}
		}
		d.open = func(context.Context, string, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED }
		if _, err := d.dial(t.Context(), "tcp", "other:1"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("another address: %v", err)
		}
		if dials != 2 {
			t.Errorf("%d dials", dials)
		}
	})
}
