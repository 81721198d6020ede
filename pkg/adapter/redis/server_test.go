package redis_test

import (
	"context"
	"strconv"
	"syscall"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/test/await"
	"github.com/carillon-io/carillon/test/redistest"
)

const patience = await.Limit

// server is a redis-server of the test's own, without persistence: after a restart it is empty.
type server struct {
	*redistest.Server

	t       testing.TB
	address string
}

// newServer reserves an address; nothing listens there until start.
func newServer(t testing.TB) *server {
	t.Helper()
	return wrap(t, redistest.New(t))
}

func startServer(t testing.TB) *server {
	t.Helper()
	return wrap(t, redistest.Start(t))
}

func wrap(t testing.TB, s *redistest.Server) *server {
	return &server{Server: s, t: t, address: s.Address}
}

func (s *server) start(options ...string) {
	s.t.Helper()
	s.Start(options...)
}

// stop kills the server: its clients see the connection end.
func (s *server) stop() { s.Kill() }

func (s *server) signal(signal syscall.Signal) {
	s.t.Helper()
	s.Signal(signal)
}

// client returns a client that is closed with the test.
func (s *server) client() *goredis.Client { return s.NewClient() }

// command runs a command that must succeed.
func (s *server) command(args ...any) *goredis.Cmd {
	s.t.Helper()
	cmd := s.Client.Do(context.Background(), args...)
	if err := cmd.Err(); err != nil {
		s.t.Fatalf("%v: %v", args, err)
	}
	return cmd
}

func (s *server) port() string { return s.Port() }
func (s *server) id() string   { return s.ID() }

func (s *server) subscribers(channel string) int {
	s.t.Helper()
	counts := s.command("PUBSUB", "NUMSUB", channel).Val().([]any)
	return int(counts[1].(int64))
}

// eventually polls a condition.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	await.True(t, what, condition)
}

func numbered(name string, i int) string { return `["` + name + `",` + strconv.Itoa(i) + `]` }
