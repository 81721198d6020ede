package backend_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/backend"
)

// childArgument makes the test binary a consumer: process, kind of handler, address of Redis.
const childArgument = "-child-consumer"

// child consumes until SIGTERM. It writes a line for each entry that it begins, and goes on with an entry of the event
// "stop" only when a line comes in.
func child(address string) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	client := goredis.NewClient(&goredis.Options{Addr: address})
	input := bufio.NewReader(os.Stdin)
	c, err := backend.New(client, backend.Config{
		Route: "orders", Lease: time.Second,
		Handler: backend.HandlerFunc(func(_ context.Context, e *backend.Entry) backend.Verdict {
			fmt.Println("begin", e.Event, e.Seq)
			switch e.Event {
			case "stop":
				_, _ = input.ReadString('\n')
				fmt.Println("end", e.Event)
			case "exit":
				os.Exit(3)
			}
			answer := backend.Done().Refuse("child", "answered")
			if e.Event == "stop" && e.Args.Len() > 0 {
				return backend.Dead(fmt.Errorf("child")).Refuse("child", "answered")
			}
			return answer
		}),
	})
	if err != nil {
		panic(err)
	}
	fmt.Println("ready")
	_ = c.Run(ctx)
}

// process is a consumer in a process of its own.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
	input *os.File
}

func startChild(t *testing.T, address string) *process {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, childArgument, address)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = read
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: cmd, lines: make(chan string, 100), input: write}
	scanned := make(chan struct{})
	go func() {
		defer close(scanned)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		p.signal(syscall.SIGKILL)
		<-scanned
		_ = cmd.Wait()
		_, _ = read.Close(), write.Close()
	})
	p.expect("ready")
	return p
}

func (p *process) expect(line string) {
	p.t.Helper()
	if got := receive(p.t, p.lines); got != line {
		p.t.Fatalf("the child says %q, want %q", got, line)
	}
}

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// A process is frozen in the middle of an entry. Another one takes over and finishes the entry. The frozen one wakes up and
// finishes it too: it must not acknowledge, answer or bury over its successor.
func TestConsumer_FrozenProcessHasNoEffectAfterTakeOver(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{"done": "[]", "dead": "[1]"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			r := newRoute(t, s.NewClient(), 1)
			answers := r.answers()
			frozen := startChild(t, s.Address)
			r.event("s", "stop", data, "ack", "tok", "dl", "1700000000000")
			r.event("s", "next", "[]")
			frozen.expect("begin stop 1")
			frozen.signal(syscall.SIGSTOP)

			begun, finish := make(chan *backend.Entry, 10), make(chan struct{})
			r.consume(backend.Config{Handler: backend.HandlerFunc(func(_ context.Context, e *backend.Entry) backend.Verdict {
				begun <- e
				<-finish
				return backend.Done().Refuse("successor", "answered")
			})})
			e := receive(t, begun)
			if e.Event != "stop" || e.Attempt != 2 || e.Fence != 2 {
				t.Errorf("taken over: %s, attempt %d, fence %d", e.Event, e.Attempt, e.Fence)
			}
			// It wakes up while its successor handles the entry, and ends its own handling.
			frozen.signal(syscall.SIGCONT)
			if _, err := frozen.input.WriteString("\n"); err != nil {
				t.Fatal(err)
			}
			frozen.expect("end stop")
			frozen.signal(syscall.SIGTERM) // so that it has tried all that it may try
			if _, err := frozen.cmd.Process.Wait(); err != nil {
				t.Fatal(err)
			}
			if n := r.client.XPending(t.Context(), r.stream(0), "backend").Val().Count; n != 2 {
				t.Errorf("%d entries are pending, want both", n)
			}
			if n := len(answers()); n != 0 {
				t.Errorf("%d answers of the process that lost its lease", n)
			}
			close(finish)
			r.settled()
			if list := answers(); len(list) != 1 || list[0].Values["data"] != `[{"ok":false,"error":{"code":"successor","message":"answered"}}]` {
				t.Errorf("answers: %v", list)
			}
			if dead := r.dead(); len(dead) != 0 {
				t.Errorf("dead letters: %v", dead)
			}
		})
	}
}

func TestConsumer_KilledProcessIsTakenOver(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	r := newRoute(t, s.NewClient(), 1)
	killed := startChild(t, s.Address)
	r.event("s", "stop", "[]")
	r.event("s", "next", "[]")
	killed.expect("begin stop 1")
	killed.signal(syscall.SIGKILL)
	handled := make(chan *backend.Entry, 10)
	r.consume(backend.Config{Handler: backend.HandlerFunc(func(_ context.Context, e *backend.Entry) backend.Verdict {
		handled <- e
		return backend.Done()
	})})
	if e := receive(t, handled); e.Event != "stop" || e.Attempt != 2 {
		t.Errorf("first %s, attempt %d", e.Event, e.Attempt)
	}
	if e := receive(t, handled); e.Event != "next" {
		t.Errorf("second %s", e.Event)
	}
}

// An entry that ends its process is given up after some attempts, and takes no other entry along.
func TestConsumer_EntryThatKillsItsProcessBecomesADeadLetter(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	r := newRoute(t, s.NewClient(), 1)
	r.event("a", "exit", "[]")
	for i := range 20 {
		r.event(fmt.Sprint("s", i), "fine", "[]")
	}
	for range 15 {
		if len(r.dead()) > 0 {
			break
		}
		c := startChild(t, s.Address)
		over := make(chan struct{})
		go func() {
			defer close(over)
			_, _ = c.cmd.Process.Wait()
		}()
		eventually(t, "the child ends or gives the entry up", func() bool {
			select {
			case <-over:
				return true
			default:
				return len(r.dead()) > 0
			}
		})
		c.signal(syscall.SIGKILL)
		<-over
	}
	dead := r.dead()
	if len(dead) != 1 || dead[0].Values["ev"] != "exit" || dead[0].Values["dead.attempts"] != "10" {
		t.Fatalf("dead letters: %v", dead)
	}
}
