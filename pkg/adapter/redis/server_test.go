package redis_test

import (
	"context"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// patience is for what must happen; nothing waits for it to pass unless a test fails.
const patience = 20 * time.Second

// server is a redis-server of the test's own, without persistence: after a restart it is empty.
type server struct {
	t       testing.TB
	address string
	process *os.Process
}

// newServer reserves an address; nothing listens there until start.
func newServer(t testing.TB) *server {
	t.Helper()
	s := &server{t: t, address: net.JoinHostPort("127.0.0.1", strconv.Itoa(reservePort(t)))}
	t.Cleanup(s.stop)
	return s
}

var reserved sync.Map // ports

// reservePort finds a port that nothing uses. It is below those that systems give to outgoing connections, of which one
// could take it before a server does, and no other test of this process gets it.
func reservePort(t testing.TB) int {
	t.Helper()
	const first, last = 10_000, 32_000
	for range 1000 {
		port := first + rand.IntN(last-first)
		if _, taken := reserved.LoadOrStore(port, true); taken {
			continue
		}
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		return port
	}
	t.Fatal("no free port")
	return 0
}

func startServer(t testing.TB) *server {
	t.Helper()
	s := newServer(t)
	s.start()
	return s
}

func (s *server) start(options ...string) {
	s.t.Helper()
	_, port, _ := net.SplitHostPort(s.address)
	s.run(append([]string{"--bind", "127.0.0.1", "--port", port, "--save", "", "--dir", s.t.TempDir()}, options...)...)
}

// run starts redis-server with arguments that make it listen at the reserved address.
func (s *server) run(arguments ...string) {
	s.t.Helper()
	cmd := exec.Command("redis-server", arguments...)
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.process = cmd.Process
	client := s.client()
	eventually(s.t, "redis-server answers", func() bool { return client.Ping(context.Background()).Err() == nil })
}

// stop kills the server: its clients see the connection end.
func (s *server) stop() {
	if s.process == nil {
		return
	}
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

// client returns a client that is closed with the test.
func (s *server) client() *goredis.Client {
	client := goredis.NewClient(&goredis.Options{Addr: s.address})
	s.t.Cleanup(func() { _ = client.Close() })
	return client
}

// command runs a command that must succeed.
func (s *server) command(args ...any) *goredis.Cmd {
	s.t.Helper()
	cmd := s.client().Do(context.Background(), args...)
	if err := cmd.Err(); err != nil {
		s.t.Fatalf("%v: %v", args, err)
	}
	return cmd
}

func (s *server) subscribers(channel string) int {
	s.t.Helper()
	counts := s.command("PUBSUB", "NUMSUB", channel).Val().([]any)
	return int(counts[1].(int64))
}

// eventually waits for a condition that tells nobody when it becomes true.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for !condition() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("after %s: not %s", patience, what)
		}
	}
}

func numbered(name string, i int) string { return `["` + name + `",` + strconv.Itoa(i) + `]` }
