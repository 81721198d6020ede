package upstream_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/upstream"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is for what must happen; nothing waits for it to pass unless a test fails.
const patience = 30 * time.Second

// server is a redis-server of the test's own that keeps what it has stored when it is killed: with another appendfsync than
// always it would answer up to two seconds before it writes.
type server struct {
	t       testing.TB
	address string
	dir     string
	process *os.Process
	client  *goredis.Client // the test's own
}

func startServer(t testing.TB) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, address: listener.Addr().String(), dir: t.TempDir()}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	s.client = goredis.NewClient(&goredis.Options{Addr: s.address})
	s.start()
	t.Cleanup(func() {
		s.kill()
		_ = s.client.Close()
	})
	return s
}

func (s *server) start() {
	s.t.Helper()
	_, port, _ := net.SplitHostPort(s.address)
	cmd := exec.Command("redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--dir", s.dir,
		"--appendonly", "yes", "--appendfsync", "always")
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.process = cmd.Process
	eventually(s.t, "redis-server answers", func() bool { return s.client.Ping(context.Background()).Err() == nil })
}

// kill ends the server between two system calls. Redis 7.0.15 does not survive the other case: after a torn write of a
// transaction it truncates its file behind the last whole command instead of before MULTI, and one more restart then runs
// the half transaction and refuses the next.
func (s *server) kill() {
	if s.process == nil {
		return
	}
	_ = s.process.Signal(syscall.SIGSTOP) // a write to a file is finished first, which it is not for SIGKILL
	eventually(s.t, "redis-server stands still", func() bool {
		state, err := os.ReadFile("/proc/" + strconv.Itoa(s.process.Pid) + "/stat")
		return err != nil || strings.Contains(string(state), ") T ")
	})
	_ = s.process.Kill()
	_, _ = s.process.Wait()
	s.process = nil
}

func (s *server) signal(signal syscall.Signal) {
	s.t.Helper()
	if err := s.process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}

// entries are those of a stream, in order.
func (s *server) entries(stream string) []goredis.XMessage {
	s.t.Helper()
	entries, err := s.client.XRange(s.t.Context(), stream, "-", "+").Result()
	if err != nil {
		s.t.Fatal(err)
	}
	return entries
}

// await returns the entries of the route once there are so many.
func (s *server) await(n int64) []goredis.XMessage {
	s.t.Helper()
	eventually(s.t, strconv.FormatInt(n, 10)+" entries", func() bool { return s.client.XLen(s.t.Context(), orders).Val() >= n })
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
		Addr: s.address, Protocol: 2, MaxRetries: -1, DialTimeout: time.Second, ReadTimeout: time.Second,
	}), routes)
}

func startWith(t testing.TB, client goredis.UniversalClient, routes map[string]config.Route) *node {
	t.Helper()
	n := &node{t: t, registry: prometheus.NewRegistry(), ended: make(chan struct{})}
	var err error
	n.up, err = upstream.New(upstream.Config{
		Client: client, Prefix: "carillon", Routes: routes, MaxAnswer: 1 << 20, MaxDepth: 16, MaxAttachments: 10,
		Registry: n.registry, Times: fast,
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
	select {
	case value := <-from:
		return value
	case <-time.After(patience):
		t.Fatalf("%s: nothing came", what)
		panic("unreachable")
	}
}

func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for late := time.After(patience); !condition(); {
		select {
		case <-late:
			t.Fatal("not ", what)
		case <-time.After(2 * time.Millisecond):
		}
	}
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
