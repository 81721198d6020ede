package redistest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/test/await"
	"github.com/carillon-io/carillon/test/program"
)

// Durable are options of a server that stores what it acknowledges before it does. With another appendfsync than always a
// server answers up to two seconds before it writes.
var Durable = []string{"--appendonly", "yes", "--appendfsync", "always"}

// Server is a redis-server of a test. Its methods are for the goroutine of the test, those of Client for all.
type Server struct {
	Address string          // host:port
	Client  *goredis.Client // the test's own, closed with the test

	t       testing.TB
	dir     string
	options []string
	process *program.Program // nil while the server is down
}

// Start starts a server with options of redis-server's command line, and waits until it answers.
func Start(t testing.TB, options ...string) *Server {
	t.Helper()
	s := New(t, options...)
	s.Start()
	return s
}

// New reserves the address of a server. Nothing listens there until its Start.
func New(t testing.TB, options ...string) *Server {
	t.Helper()
	s := &Server{Address: program.FreeAddress(t), t: t, dir: t.TempDir(), options: options}
	s.Client = s.NewClient()
	return s
}

// Start starts the server with its options and these, and waits until it answers.
func (s *Server) Start(options ...string) {
	s.t.Helper()
	arguments := append([]string{"--bind", s.Host(), "--port", s.Port(), "--save", "", "--dir", s.dir, "--loglevel", "warning"}, s.options...)
	s.run(append(arguments, options...)...)
}

func (s *Server) run(arguments ...string) {
	s.t.Helper()
	s.process = program.Start(s.t, "redis-server "+s.Address, nil, "redis-server", arguments...)
	s.t.Cleanup(s.Kill) // before the program is asked to leave, which a frozen one does not
	s.process.Await(s.answers)
}

// answers asks over a connection of its own: go-redis would pause between its attempts for longer than a server takes to start.
func (s *Server) answers() bool {
	c, err := net.DialTimeout("tcp", s.Address, time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second)) // an error is one of the next calls, too
	_, _ = c.Write([]byte("PING\r\n"))
	answer, _ := bufio.NewReader(c).ReadString('\n')
	return strings.HasPrefix(answer, "+PONG") || strings.HasPrefix(answer, "-NOAUTH")
}

// Kill ends the server between two system calls, if it runs: its clients see the end of their connections. Redis 7.0.15
// does not survive the other case: after a torn write of a transaction it truncates its file behind the last whole command
// instead of before MULTI, and one more restart then runs the half transaction and refuses the next.
func (s *Server) Kill() {
	if s.process == nil {
		return
	}
	pid := s.process.Cmd.Process.Pid
	_ = s.process.Cmd.Process.Signal(syscall.SIGSTOP) // lets a write to a file end, unlike SIGKILL
	eventually(s.t, "redis-server stands still", func() bool {
		state, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		return err != nil || strings.Contains(string(state), ") T ") || strings.Contains(string(state), ") Z ")
	})
	s.process.Kill()
	s.process = nil
}

// Signal sends the server a signal, such as SIGSTOP to freeze it.
func (s *Server) Signal(signal syscall.Signal) {
	s.t.Helper()
	if err := s.process.Cmd.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}

// Host is the host of the address.
func (s *Server) Host() string {
	host, _, _ := net.SplitHostPort(s.Address)
	return host
}

// Port is the port of the address.
func (s *Server) Port() string {
	_, port, _ := net.SplitHostPort(s.Address)
	return port
}

// URL is the address as a configuration has it.
func (s *Server) URL() string { return "redis://" + s.Address }

// NewClient returns one more client, which is closed with the test.
func (s *Server) NewClient() *goredis.Client {
	client := goredis.NewClient(&goredis.Options{Addr: s.Address})
	s.t.Cleanup(func() { _ = client.Close() })
	return client
}

// Do runs a command that must succeed. A reply of nil is nil.
func (s *Server) Do(command ...any) any {
	s.t.Helper()
	value, err := s.Client.Do(context.Background(), command...).Result()
	if err != nil && !errors.Is(err, goredis.Nil) {
		s.t.Fatalf("%v: %v", command, err)
	}
	return value
}

// StartReplica starts a replica of a server and waits until it has all of its data.
func StartReplica(t testing.TB, master *Server, options ...string) *Server {
	t.Helper()
	s := Start(t, append([]string{"--replicaof", master.Host() + " " + master.Port(), "--repl-diskless-sync-delay", "0"}, options...)...)
	s.awaitMaster()
	return s
}

func (s *Server) awaitMaster() {
	s.t.Helper()
	eventually(s.t, "a replica is in step", func() bool {
		return strings.Contains(s.Do("INFO", "replication").(string), "master_link_status:up")
	})
}

// StartSentinel starts a Sentinel that watches a master with one replica under the name main, and waits until it has found
// the replica.
func StartSentinel(t testing.TB, master *Server) *Server {
	t.Helper()
	s := New(t)
	s.run(program.WriteFile(t, "sentinel.conf", fmt.Sprintf("bind %s\nport %s\nloglevel warning\nsentinel monitor main %s %s 1\n"+
		"sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 5000\n",
		s.Host(), s.Port(), master.Host(), master.Port())), "--sentinel")
	eventually(t, "the Sentinel knows the replica", func() bool { return len(s.Do("SENTINEL", "REPLICAS", "main").([]any)) == 1 })
	return s
}

func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	await.True(t, what, condition)
}
