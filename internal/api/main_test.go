package api_test

import (
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/carillon-io/carillon/internal/api"
	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/pkg/adapter/adaptertest"
	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/carillon-io/carillon/pkg/socketio/socketiotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const key = "correct-horse-battery"

// node is one gateway of a cluster in memory.
type node struct {
	t        *testing.T
	socketio *socketio.Server
	api      *api.Server
	url      string // of the API
	clients  string // where clients connect
	cluster  *adaptertest.Cluster
}

// start starts nodes; change may alter the configuration of each API.
func start(t *testing.T, n int, change func(*api.Config)) []*node {
	t.Helper()
	cluster := adaptertest.NewCluster(n)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	nodes := make([]*node, n)
	for i := range nodes {
		io, err := socketio.New(socketio.Config{Adapter: cluster.Adapter(i), MaxRooms: 5})
		if err != nil {
			t.Fatal(err)
		}
		running.Go(func() { _ = io.Run(ctx) })
		t.Cleanup(io.Close)
		for !cluster.Adapter(i).State().Ready {
			time.Sleep(time.Millisecond)
		}
		nodes[i] = &node{t: t, socketio: io, cluster: cluster, clients: serve(t, io)}
		nodes[i].api, nodes[i].url = startAPI(t, io, change)
	}
	return nodes
}

func startAPI(t *testing.T, io *socketio.Server, change func(*api.Config)) (*api.Server, string) {
	t.Helper()
	s := newAPI(t, io, change)
	return s, serve(t, s)
}

// newAPI makes an API of a server without a listener.
func newAPI(t *testing.T, io *socketio.Server, change func(*api.Config)) *api.Server {
	t.Helper()
	keys, err := api.NewKeys([]config.Secret{key})
	if err != nil {
		t.Fatal(err)
	}
	cfg := api.Config{Server: io, Keys: keys}
	if change != nil {
		change(&cfg)
	}
	s, err := api.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// client connects to the node and makes it join rooms.
func (n *node) client(rooms ...string) *socketiotest.Client {
	n.t.Helper()
	c := socketiotest.Dial(n.t, n.clients, socketiotest.Options{})
	n.join(c, rooms...)
	return c
}

func (n *node) join(c *socketiotest.Client, rooms ...string) {
	n.t.Helper()
	s := n.socketio.Of("/").Socket(c.ID())
	done := make(chan error, 1)
	s.JoinThen(func(err error) { done <- err }, append(rooms, c.ID())...)
	if err := <-done; err != nil {
		n.t.Fatal(err)
	}
}

// reply is an answer of the API.
type reply struct {
	status int
	header http.Header
	body   string
}

// call asks the API; further are headers, and replace those that are usual.
func (n *node) call(method, path, body string, further http.Header) reply {
	n.t.Helper()
	return call(n.t, n.url, method, path, body, further)
}

func call(t *testing.T, url, method, path, body string, further http.Header) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	maps.Copy(r.Header, further)
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	checkAnswer(t, method, path, answer, text)
	return reply{answer.StatusCode, answer.Header, string(text)}
}

var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{}).DialContext}}

func (n *node) post(path, body string) reply {
	n.t.Helper()
	return n.call(http.MethodPost, path, body, nil)
}

// expect sees that an answer is as it should be; a problem by its code.
func (r reply) expect(t *testing.T, status int, holds string) {
	t.Helper()
	if r.status != status || !strings.Contains(r.body, holds) {
		t.Errorf("answered %d %s, want %d with %s", r.status, r.body, status, holds)
	}
}
