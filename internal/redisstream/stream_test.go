package redisstream_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/internal/redisqueue"
	"github.com/carillon-io/carillon/internal/redisstream"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/test/await"
	"github.com/carillon-io/carillon/test/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const name = "events"

// bounds are those of a stream and of its queue.
type bounds struct {
	length int
	age    time.Duration
}

// wide bounds trim and drop nothing.
var wide = bounds{length: 100_000, age: time.Minute}

// startServer starts a server that ends with the test.
func startServer(t *testing.T) *server {
	t.Helper()
	s := redistest.Start(t)
	client := goredis.NewClient(&goredis.Options{Addr: s.Address, Protocol: 2})
	t.Cleanup(func() { _ = client.Close() })
	return &server{Client: client, redis: s}
}

// server is a redis-server and a client of it that speaks RESP2.
type server struct {
	*goredis.Client

	redis *redistest.Server
}

func (s *server) signal(signal syscall.Signal) { s.redis.Signal(signal) }

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	await.True(t, what, condition)
}

func do(t *testing.T, c *server, command ...any) {
	t.Helper()
	if err := c.Do(t.Context(), command...).Err(); err != nil && !errors.Is(err, goredis.Nil) {
		t.Fatalf("%v: %v", command, err)
	}
}

// world is one stream of a node and what it received.
type world struct {
	*redisstream.Stream

	metrics redisstream.Metrics
	missed  atomic.Int64 // how often it said that entries may have been missed
	stop    func()       // ends the stream and waits for it

	mu      sync.Mutex
	texts   []string
	cut     int
	dropped map[redisqueue.Drop]int
}

// start runs a stream until the test ends. receive, which may be nil, is called first for each entry.
func start(t *testing.T, options goredis.Options, limits bounds, receive func(text string)) *world {
	t.Helper()
	client := goredis.NewClient(&options)
	t.Cleanup(func() { _ = client.Close() })
	source, err := redisconn.NewSource(client, name)
	if err != nil {
		t.Fatal(err)
	}
	counter := func() prometheus.Counter { return prometheus.NewCounter(prometheus.CounterOpts{Name: "n"}) }
	w := &world{dropped: map[redisqueue.Drop]int{}}
	w.metrics = redisstream.Metrics{
		Queue: redisqueue.Metrics{
			Waiting: prometheus.NewGauge(prometheus.GaugeOpts{Name: "n"}),
			Dropped: func(why redisqueue.Drop) {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.dropped[why]++
			},
		},
		In: counter(), Out: counter(), Reopened: counter(), Trimmed: counter(),
	}
	w.Stream = redisstream.New(&redisstream.Config{
		Name: name, Node: "node", Source: source, MaxLength: limits.length, MaxValue: 1 << 20, Fields: []string{"text"},
		Queue: redisqueue.Limits{Messages: 10_000, Bytes: 16 << 20, Age: limits.age},
		Receive: func(e redisconn.Entry, _ any) {
			if receive != nil {
				receive(string(e.Values[0]))
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			w.texts = append(w.texts, string(e.Values[0]))
			if e.Cut {
				w.cut++
			}
		},
		Logger: zap.NewNop(), Refusals: redisconn.NewRefusals(zap.NewNop(), func(string) {}),
		Metrics: w.metrics, Changed: func() {}, Missed: func() { w.missed.Add(1) },
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.Run(ctx)
	}()
	w.stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(w.stop)
	eventually(t, "ready", func() bool { return w.Positioned() && w.Connected() })
	return w
}

func (w *world) received() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.texts)
}

// append appends n entries, 0 to n-1, and returns what became of each, once all are known.
func (w *world) append(n int) (outcomes func() []error) {
	all := make([]error, n)
	var known sync.WaitGroup
	for i := range n {
		known.Add(1)
		w.Append(func(err error) {
			all[i] = err
			known.Done()
		}, nil, []byte("text"), fmt.Append(nil, i))
	}
	return func() []error {
		known.Wait()
		return all
	}
}

// begunWith is how many entries there are that an empty stream was given to begin with.
func begunWith(t *testing.T, server *server) (n int64) {
	t.Helper()
	for _, e := range server.XRangeN(t.Context(), name, "-", "+", 10).Val() {
		if e.Values["id"] == "begun" {
			n++
		}
	}
	return n
}

func numbers(n int) (texts []string) {
	for i := range n {
		texts = append(texts, fmt.Sprint(i))
	}
	return texts
}

// TestReader_AHoleIsCounted: entries that were trimmed between two reads are missed, whether or not the connection was lost and
// however few are left.
func TestReader_AHoleIsCounted(t *testing.T) {
	t.Parallel()
	for left, length := range map[int]int{1: 100, 50: 200, 150: wide.length} {
		t.Run(fmt.Sprint(left), func(t *testing.T) {
			t.Parallel()
			server := startServer(t)
			stuck, free := make(chan struct{}), make(chan struct{})
			w := start(t, *server.Options(), bounds{length, time.Minute}, func(text string) {
				if text == "first" {
					close(stuck)
					<-free
				}
			})
			do(t, server, "XADD", name, "*", "text", "first")
			<-stuck
			for i := range 300 {
				do(t, server, "XADD", name, "*", "text", i)
			}
			do(t, server, "XTRIM", name, "MAXLEN", left)
			do(t, server, "XADD", name, "*", "text", "last")
			close(free)
			eventually(t, "the last came", func() bool { return slices.Contains(w.received(), "last") })
			eventually(t, "counted", func() bool { return testutil.ToFloat64(w.metrics.Trimmed) == 1 })
		})
	}
}

// TestReader_AStreamThatKeepsUpHasNoHole: trimming behind the reader is what MAXLEN is for.
func TestReader_AStreamThatKeepsUpHasNoHole(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	w := start(t, *server.Options(), wide, nil)
	for i := range 1000 {
		do(t, server, "XADD", name, "MAXLEN", 300, "*", "text", i)
		if i%100 == 0 {
			eventually(t, "all came", func() bool { return len(w.received()) == i+1 })
		}
	}
	eventually(t, "all came", func() bool { return slices.Equal(w.received(), numbers(1000)) })
	if n := testutil.ToFloat64(w.metrics.Trimmed); n != 0 {
		t.Errorf("%v holes", n)
	}
}

// TestReader_ReadTimeoutBelowTheWait: the wait for entries ends before the connection is given up.
func TestReader_ReadTimeoutBelowTheWait(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	options := *server.Options()
	options.ReadTimeout = 400 * time.Millisecond
	w := start(t, options, wide, nil)
	for round := range 4 {
		before := connected(t, server)
		do(t, server, "XADD", name, "*", "text", round)
		eventually(t, "it came", func() bool { return len(w.received()) == round+1 })
		time.Sleep(500 * time.Millisecond) // longer than the time-out, which is what is tested
		if after := connected(t, server); after != before {
			t.Fatalf("the connection that reads was %s, is %s", before, after)
		}
	}
}

// connected is the id of the connection that reads.
func connected(t *testing.T, server *server) (id string) {
	t.Helper()
	eventually(t, "there is a connection", func() bool {
		for line := range strings.Lines(server.ClientList(t.Context()).Val()) {
			if strings.Contains(line, ":stream-in ") {
				id, _, _ = strings.Cut(line, " ")
				return true
			}
		}
		return false
	})
	return id
}

// TestReader_AStreamThatIsEmptiedGoesOn: also where what is appended next has ids below those that were read, as after a clock
// that was ahead. What was appended before that was noticed may be missed, and is counted.
func TestReader_AStreamThatIsEmptiedGoesOn(t *testing.T) {
	t.Parallel()
	for _, command := range [][]any{{"FLUSHALL"}, {"DEL", name}} {
		t.Run(fmt.Sprint(command[0]), func(t *testing.T) {
			t.Parallel()
			server := startServer(t)
			w := start(t, *server.Options(), wide, nil)
			do(t, server, "XADD", name, "9999999999999-0", "text", "of the future")
			eventually(t, "it came", func() bool { return len(w.received()) == 1 })
			do(t, server, command...)
			eventually(t, "noticed", func() bool { return testutil.ToFloat64(w.metrics.Trimmed) == 1 })
			w.append(10)()
			eventually(t, "all came", func() bool { return slices.Equal(w.received()[1:], numbers(10)) })
			if n := testutil.ToFloat64(w.metrics.Reopened); n != 0 {
				t.Errorf("%v connections", n)
			}
		})
	}
}

// TestKeyOfAnotherType: nothing is promised while the key is no stream, and the stream works once it is gone.
func TestKeyOfAnotherType(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	w := start(t, *server.Options(), wide, nil)
	w.append(1)()
	eventually(t, "it came", func() bool { return len(w.received()) == 1 })
	do(t, server, "SET", name, "text")
	for _, err := range w.append(5)() {
		if err == nil {
			t.Error("appended to a string")
		}
	}
	eventually(t, "it is not read", func() bool { return w.Deaf() })
	do(t, server, "DEL", name)
	eventually(t, "it is read again", func() bool { return !w.Deaf() })
	w.append(3)()
	eventually(t, "all came", func() bool { return slices.Equal(w.received(), append(numbers(1), numbers(3)...)) })
}

// TestWriter_WhatRedisRefusesForNowWaits: for memory, for replicas.
func TestWriter_WhatRedisRefusesForNowWaits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ setting, refuses, takes string }{
		{"maxmemory", "1", "0"},
		{"min-replicas-to-write", "1", "0"},
	} {
		t.Run(c.setting, func(t *testing.T) {
			t.Parallel()
			server := startServer(t)
			w := start(t, *server.Options(), wide, nil)
			do(t, server, "CONFIG", "SET", c.setting, c.refuses)
			outcomes := w.append(100)
			eventually(t, "noticed", func() bool { return !w.Connected() })
			do(t, server, "CONFIG", "SET", c.setting, c.takes)
			if i := slices.IndexFunc(outcomes(), func(err error) bool { return err != nil }); i >= 0 {
				t.Errorf("%d: %v", i, outcomes()[i])
			}
			eventually(t, "all came in order", func() bool { return slices.Equal(w.received(), numbers(100)) })
		})
	}
}

// TestReader_ALargeEntryIsCut, and the connection lives on.
func TestReader_ALargeEntryIsCut(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	w := start(t, *server.Options(), wide, nil)
	do(t, server, "XADD", name, "*", "noise", strings.Repeat("n", 2<<20), "text", strings.Repeat("x", 2<<20))
	do(t, server, "XADD", name, "*", strings.Repeat("f", 100<<10), "v", "", "", "text", "behind")
	eventually(t, "both came", func() bool { return slices.Equal(w.received(), []string{"", "behind"}) })
	if w.cut != 1 || testutil.ToFloat64(w.metrics.Reopened) != 0 {
		t.Errorf("%d were cut, %v connections", w.cut, testutil.ToFloat64(w.metrics.Reopened))
	}
}

// TestShutdownUnderLoad: each outcome is reported once, and Redis holds exactly the entries that were reported as stored.
func TestShutdownUnderLoad(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	w := start(t, *server.Options(), wide, nil)
	var mu sync.Mutex
	told, taken := map[int]int{}, 0
	var appenders sync.WaitGroup
	const each = 2000 // all of them fit in the stream and in the queue
	for a := range 4 {
		appenders.Go(func() {
			for i := range each {
				w.Append(func(err error) {
					mu.Lock()
					defer mu.Unlock()
					told[a*each+i]++
					if err == nil {
						taken++
					}
				}, nil, []byte("text"), []byte("x"))
			}
		})
	}
	eventually(t, "some are on their way", func() bool { return testutil.ToFloat64(w.metrics.Out) > 100 })
	w.stop()
	appenders.Wait()
	mu.Lock()
	defer mu.Unlock()
	for i := range 4 * each {
		if told[i] != 1 {
			t.Fatalf("%d was told %d times", i, told[i])
		}
	}
	if n := server.XLen(t.Context(), name).Val() - begunWith(t, server); n != int64(taken) {
		t.Errorf("%d are in the stream, %d were said to be", n, taken)
	}
}

// TestWriter_RedisAwayForLongerThanTheAge: everything gets its outcome meanwhile, and the stream goes on afterwards.
func TestWriter_RedisAwayForLongerThanTheAge(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	w := start(t, *server.Options(), bounds{wide.length, 5 * time.Second}, nil)
	server.signal(syscall.SIGSTOP)
	onTheWay := w.append(10)
	eventually(t, "noticed", func() bool { return !w.Connected() })
	waiting := w.append(10)
	for _, err := range onTheWay() { // some may have waited behind a batch, or behind a question for the role
		if !errors.Is(err, adapter.ErrUnknown) && !errors.Is(err, adapter.ErrAway) {
			t.Fatalf("on its way: %v", err)
		}
	}
	for _, err := range waiting() {
		if !errors.Is(err, adapter.ErrAway) {
			t.Fatalf("waiting: %v", err)
		}
	}
	server.signal(syscall.SIGCONT)
	eventually(t, "connected again", w.Connected)
	for _, err := range w.append(10)() {
		if err != nil {
			t.Error(err)
		}
	}
}

// TestShutdown_WhileRedisIsFrozen ends soon, and leaves nothing without an outcome.
func TestShutdown_WhileRedisIsFrozen(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	w := start(t, *server.Options(), wide, nil)
	server.signal(syscall.SIGSTOP)
	outcomes := w.append(10)
	w.stop()
	later := w.append(10)
	for _, err := range append(outcomes(), later()...) {
		if err == nil {
			t.Error("taken by a server that is frozen")
		}
	}
	positioned := make(chan error, 1)
	w.WhenPositioned(time.Hour, func(err error) { positioned <- err })
	if err := <-positioned; !errors.Is(err, adapter.ErrAway) {
		t.Errorf("positioned after the end: %v", err)
	}
}

// TestQueue_IsBounded: what is over the bound is refused at once, the oldest first.
func TestQueue_IsBounded(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	w := start(t, *server.Options(), wide, nil)
	server.signal(syscall.SIGSTOP)
	w.append(1)
	eventually(t, "noticed", func() bool { return !w.Connected() })
	outcomes := w.append(10_010)
	server.signal(syscall.SIGCONT)
	for i, err := range outcomes() {
		if i < 10 && !errors.Is(err, adapter.ErrFull) || i > 1100 && err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
}
