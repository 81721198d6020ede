package upstream_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/upstream"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"github.com/carillon-io/carillon/test/await"
	"github.com/carillon-io/carillon/test/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = await.Limit

// server is a redis-server of the test's own that keeps what it has stored when it is killed.
type server struct {
	*redistest.Server

	t testing.TB
}

func startServer(t testing.TB) *server {
	t.Helper()
	return &server{Server: redistest.Start(t, redistest.Durable...), t: t}
}

// entries are those of a stream, in order.
func (s *server) entries(stream string) []goredis.XMessage {
	s.t.Helper()
	entries, err := s.Client.XRange(s.t.Context(), stream, "-", "+").Result()
	if err != nil {
		s.t.Fatal(err)
	}
	return entries
}

// await returns the entries of the route once there are so many.
func (s *server) await(n int64) []goredis.XMessage {
	s.t.Helper()
	eventually(s.t, strconv.FormatInt(n, 10)+" entries", func() bool { return s.Client.XLen(s.t.Context(), orders).Val() >= n })
	return s.entries(orders)
}

// fast are times for tests in which nodes die.
var fast = upstream.Times{Beat: 20 * time.Millisecond, Period: time.Second, Keep: 50 * time.Millisecond, Unclaimed: 50 * time.Millisecond}

// node is an Upstream that runs.
type node struct {
	t        testing.TB
	up       *upstream.Upstream
	registry *prometheus.Registry
	cancel   context.CancelFunc
	ended    chan struct{}
	once     sync.Once
}

func startNode(t testing.TB, s *server, routes map[string]config.Route) *node {
	t.Helper()
	return startWith(t, goredis.NewClient(&goredis.Options{
		Addr: s.Address, Protocol: 2, MaxRetries: -1, DialTimeout: time.Second, ReadTimeout: time.Second,
	}), routes)
}

func startWith(t testing.TB, client goredis.UniversalClient, routes map[string]config.Route) *node {
	t.Helper()
	return startAt(t, client, fast, routes)
}

// startAt starts a node with other times.
func startAt(t testing.TB, client goredis.UniversalClient, times upstream.Times, routes map[string]config.Route) *node {
	t.Helper()
	n := &node{t: t, registry: prometheus.NewRegistry(), ended: make(chan struct{})}
	var err error
	n.up, err = upstream.New(upstream.Config{
		Client: client, Prefix: "carillon", Routes: routes, MaxAnswer: 1 << 20, MaxDepth: 16, MaxAttachments: 10,
		Registry: n.registry, Times: times,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	go func() {
		defer close(n.ended)
		n.up.Run(ctx)
	}()
	t.Cleanup(func() { n.leave(patience) })
	return n
}

// leave ends the node as a gateway that drains does.
func (n *node) leave(within time.Duration) {
	n.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		if err := n.up.Close(ctx); err != nil {
			n.t.Error(err)
		}
		n.cancel()
		<-n.ended
	})
}

// die ends the node without a word, as far as Redis can tell.
func (n *node) die() {
	n.once.Do(func() {
		n.cancel()
		_ = n.up.Abandon()
		<-n.ended
	})
}

// client is a socket of a node.
type client struct {
	*upstream.Socket
	connection

	t      testing.TB
	cancel context.CancelFunc
}

// connection is one of a client.
type connection struct {
	ctx    context.Context //nolint:containedctx // as a socket has
	closed chan struct{}   // when the node sends the client away
	once   *sync.Once
}

func (c connection) Context() context.Context { return c.ctx }
func (c connection) Closed() <-chan struct{}  { return nil }
func (c connection) SendAway()                { c.once.Do(func() { close(c.closed) }) }

func newConnection(t testing.TB) (connection, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	return connection{ctx, make(chan struct{}), new(sync.Once)}, cancel
}

func (n *node) open(c upstream.Client) *client {
	opened := &client{t: n.t}
	opened.connection, opened.cancel = newConnection(n.t)
	c.Connection = opened.connection
	if c.Namespace == "" {
		c.Namespace = "/"
	}
	if c.Auth == nil {
		c.Auth = []byte("{}")
	}
	opened.Socket = n.up.Open(c)
	return opened
}

func (c *client) leave(reason string) {
	c.cancel()
	c.Leave(reason)
}

// resumes reports whether the socket goes on over another connection.
func (c *client) resumes(other connection) bool {
	c.t.Helper()
	ok, err := c.Resume(c.t.Context(), other)
	if err != nil {
		c.t.Fatal(err)
	}
	return ok
}

// outcome is what became of an event.
type outcome struct {
	id  string
	err error
}

// send forwards an event without waiting for its outcome.
func (c *client) send(route, name, args string) <-chan outcome {
	stored := make(chan outcome, 1)
	err := c.Forward(&upstream.Event{
		Route: route, Name: name, Args: packet.Args{JSON: []byte(args)},
		Stored: func(id string, err error) { stored <- outcome{id, err} },
	})
	if err != nil {
		stored <- outcome{"", err}
	}
	return stored
}

// answer is what a backend said.
type answer struct {
	args packet.Args
	err  error
}

// ask forwards an event and returns where its answer comes, or why it is not stored.
func (c *client) ask(args string) <-chan answer {
	answered := make(chan answer, 2)
	err := c.Forward(&upstream.Event{
		Route: "orders", Name: "e", Args: packet.Args{JSON: []byte(args)},
		Stored: func(_ string, err error) {
			if err != nil {
				answered <- answer{err: err}
			}
		},
		Answered: func(args packet.Args, err error) { answered <- answer{args, err} },
	})
	if err != nil {
		answered <- answer{err: err}
	}
	return answered
}

func receive[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	return await.Value(t, what, from)
}

func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	await.True(t, what, condition)
}

// route is a configured route with a change.
func route(change func(*config.Route)) map[string]config.Route {
	r := config.DefaultRoute()
	if change != nil {
		change(&r)
	}
	return map[string]config.Route{"orders": r}
}

const orders = "carillon:up:{orders.0}"
