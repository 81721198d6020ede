//go:build linux

package load

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a server that does what the scenarios ask of one.
func serve(t *testing.T, secure bool) (url string, stop func()) {
	t.Helper()
	server, err := socketio.New(socketio.Config{Engine: engine.Config{EIO3: true, CompressWebSocket: true}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	io := server.Of("/")
	io.OnConnect(func(s *socketio.Socket) {
		s.On("join", func(room string, ack socketio.Ack) { _ = s.Join(room); _ = ack.Send("ok") })
		s.On("echo", func(payload string, ack socketio.Ack) { _ = ack.Send(payload) })
		s.On("publish", func(room, payload string) { _ = io.To(room).Emit("msg", payload) })
		s.On("publishAll", func(payload string) { _ = io.Emit("msg", payload) })
	})
	web := httptest.NewUnstartedServer(http.Handler(server))
	if secure {
		web.StartTLS()
	} else {
		web.Start()
	}
	var once sync.Once
	stop = func() {
		once.Do(func() {
			server.Close()
			web.Close()
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(stop)
	return web.URL, stop
}

// short are options for a load that a busy machine bears.
func short(scenario string, urls ...string) Options {
	o := Defaults(scenario)
	o.URLs, o.Insecure, o.Workers, o.Nap = urls, true, 2, time.Millisecond
	o.Clients, o.Rooms, o.Members, o.Rate = 20, 5, 4, "100"
	o.Warmup, o.Duration, o.Settle, o.Hold = 0, 150*time.Millisecond, 10*time.Millisecond, 10*time.Millisecond
	o.HandshakeTimeout, o.Drain = time.Minute, time.Minute
	return o
}

// run runs a load: longer, when the machine was too busy for anything to come back in its time.
func run(t *testing.T, o Options) Result {
	t.Helper()
	for {
		r, err := Run(t.Context(), o)
		idle := err != nil && strings.Contains(err.Error(), "was acknowledged") || r["published_s"] == float64(0)
		if idle && o.Duration < 10*time.Second {
			o.Duration *= 8
			continue
		}
		if err != nil {
			t.Fatalf("%v\n%v", err, r)
		}
		return r
	}
}

func TestRun_EveryWayIn(t *testing.T) {
	for _, secure := range []bool{false, true} {
		url, _ := serve(t, secure)
		for _, transport := range []string{WebSocket, Polling} {
			for _, eio := range []int{3, 4} {
				for _, scenario := range []string{"connect", "echo", "fanout", "rooms", "churn"} {
					t.Run(fmt.Sprintf("tls=%v,%s,EIO=%d,%s", secure, transport, eio, scenario), func(t *testing.T) {
						o := short(scenario, url)
						o.Transport, o.EIO, o.Residents = transport, eio, 3
						r := run(t, o)
						if r["errors"] != nil {
							t.Errorf("errors: %v", r["errors"])
						}
						switch scenario {
						case "connect":
							if r["connected"] != int64(20) {
								t.Errorf("%v connected", r["connected"])
							}
						case "echo":
							if r["req_s"].(float64) <= 0 || r["bad_replies"] != int64(0) {
								t.Errorf("%v requests/s, %v bad replies", r["req_s"], r["bad_replies"])
							}
						case "churn":
							if r["failed"] != int64(0) || r["residents_gone"] != int64(0) {
								t.Errorf("%v failed, %v residents gone", r["failed"], r["residents_gone"])
							}
						default:
							if r["lost"] != int64(0) || r["gaps"] != int64(0) || r["misrouted"] != int64(0) || r["published_s"].(float64) <= 0 {
								t.Errorf("%v", r)
							}
						}
					})
				}
			}
		}
	}
}

func TestEcho_AClosedLoopAnswersEachRequest(t *testing.T) {
	url, _ := serve(t, false)
	o := short("echo", url)
	o.Rate, o.Inflight = "max", 3
	if r := run(t, o); r["bad_replies"] != int64(0) || r["disconnects"] != int64(0) || r["inflight"] != 3 {
		t.Errorf("%v", r)
	}
}

func TestFanout_DeflatedMessagesAreTheSame(t *testing.T) {
	url, _ := serve(t, false)
	for _, offered := range []bool{false, true} {
		o := short("fanout", url)
		o.Rate, o.Size, o.Deflate = "50", 4096, offered
		r := run(t, o)
		if r["lost"] != int64(0) || r["gaps"] != int64(0) || r["unknown_events"] != int64(0) || r["errors"] != nil {
			t.Errorf("offered: %v: %v", offered, r)
		}
		deflated, _ := r["deflated_messages"].(int64)
		if offered != (deflated > 0) {
			t.Errorf("offered: %v: %d messages came deflated", offered, deflated)
		}
	}
}

func TestFanout_CountsWhatTheServerAsksOfTheKernel(t *testing.T) {
	url, _ := serve(t, false)
	o := short("fanout", url)
	o.PIDs = []int{os.Getpid()}
	r := run(t, o)
	for _, field := range []string{"server_wakeups_s", "server_reads_s", "server_writes_s"} {
		if n, _ := r[field].(float64); n <= 0 {
			t.Errorf("%s is %v", field, r[field])
		}
	}
}

func TestConnect_NotesMessagesOfOthers(t *testing.T) {
	url, _ := serve(t, false)
	o := short("connect", url)
	o.Hold = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	before := time.Now()
	o.Progress = &onLine{prefix: "20 connections idle", f: func() {
		go func() {
			defer cancel()
			other := short("fanout", url)
			other.All, other.Rate, other.Clients = true, "10", 1
			if _, err := Run(t.Context(), other); err != nil {
				t.Error(err)
			}
		}()
	}}
	r, err := Run(ctx, o)
	if err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Fatal(err)
	}
	received, _ := r["received"].(int64)
	first, _ := r["first_received_unix_s"].(float64)
	last, _ := r["last_received_unix_s"].(float64)
	if received == 0 || received%20 != 0 || first < float64(before.UnixNano())/1e9 || last < first {
		t.Errorf("%d messages from %v to %v, began at %v", received, first, last, before)
	}
}

// onLine is a writer that calls f with the first line that begins with prefix.
type onLine struct {
	prefix string
	once   sync.Once
	f      func()
}

func (w *onLine) Write(line []byte) (int, error) {
	if bytes.HasPrefix(line, []byte(w.prefix)) {
		w.once.Do(w.f)
	}
	return len(line), nil
}

func TestStorm_EveryClientComesBack(t *testing.T) {
	url, _ := serve(t, false)
	o := short("storm", url)
	o.Duration = time.Minute
	r := run(t, o)
	if r["losses"] != 20 || r["not_back"] != int64(0) || r["back_percent"] != 100.0 || r["away_max_ms"].(float64) < 500 {
		t.Errorf("%v", r)
	}
}

func TestRoll_ClientsOfAServerThatStopsGoToTheOthers(t *testing.T) {
	first, stop := serve(t, false)
	second, _ := serve(t, false)
	o := short("roll", first, second)
	o.Duration, o.Rate = 4*time.Second, "50"
	stopped := make(chan struct{})
	o.Progress = &onLine{prefix: "publishing", f: func() { go func() { stop(); close(stopped) }() }}
	r := run(t, o)
	<-stopped
	if r["losses"].(int) < 10 || r["not_back"] != int64(0) || r["gaps"] != int64(0) || r["out_of_order"] != int64(0) || r["received"].(int64) == 0 {
		t.Errorf("%v", r)
	}
}

func TestJitter_WithoutRecoveryACutLosesMessages(t *testing.T) {
	for _, halfOpen := range []bool{false, true} {
		t.Run(fmt.Sprintf("half-open=%v", halfOpen), func(t *testing.T) {
			t.Parallel()
			url, _ := serve(t, false)
			o := short("jitter", url)
			o.Duration, o.Every, o.CutEvery, o.CutFor, o.HalfOpen = 3*time.Second, 50*time.Millisecond, 2*time.Second, 500*time.Millisecond, halfOpen
			r := run(t, o)
			if r["reconnects"].(int64) < 20 || r["recovered"] != int64(0) || r["twice"] != int64(0) || r["out_of_order"] != int64(0) {
				t.Errorf("%v", r)
			}
			if got := r["delivered_percent"].(float64); got >= 100 || got < 10 {
				t.Errorf("%v %% delivered", got)
			}
		})
	}
}

func TestRun_SaysWhatCannotBeRun(t *testing.T) {
	url, _ := serve(t, false)
	for want, change := range map[string]func(*Options){
		"no scenario":           func(o *Options) { o.Scenario = "dance" },
		"no URL":                func(o *Options) { o.URLs = nil },
		"not http, https":       func(o *Options) { o.URLs = []string{"ftp://127.0.0.1"} },
		"names no host":         func(o *Options) { o.URLs = []string{"http://"} },
		"transport":             func(o *Options) { o.Transport = "pigeon" },
		"EIO 5":                 func(o *Options) { o.EIO = 5 },
		"clients: 0":            func(o *Options) { o.Clients = 0 },
		`path "socket.io"`:      func(o *Options) { o.Path = "socket.io" },
		"path \"/a b\"":         func(o *Options) { o.Path = "/a b" },
		"more than a scheme":    func(o *Options) { o.URLs = []string{url + "/admin"} },
		"duration: -1s":         func(o *Options) { o.Duration = -time.Second },
		"settle: -1ns":          func(o *Options) { o.Settle = -1 },
		"retries: -1":           func(o *Options) { o.Retries = -1 },
		"no process -1":         func(o *Options) { o.Kill = []int{-1} },
		"no process 0":          func(o *Options) { o.Kill = []int{0} },
		"no process 999999999":  func(o *Options) { o.PIDs = []int{999999999} },
		`cpus "x"`:              func(o *Options) { o.CPUs = "x" },
		"at least one":          func(o *Options) { o.Scenario, o.Duration = "jitter", 100*time.Millisecond },
		"roll: rate auto":       func(o *Options) { o.Scenario, o.Rate = "roll", "auto" },
		"ulimit -n":             func(o *Options) { o.Clients = 1 << 30 },
		`rate "NaN"`:            func(o *Options) { o.Rate = "NaN" },
		"echo: rate auto":       func(o *Options) { o.Rate = "auto" },
		"connection refused":    func(o *Options) { o.URLs, o.Retries = []string{"http://127.0.0.1:1"}, 0 },
		"upgrade refused: HTTP": func(o *Options) { o.Path, o.Retries = "/elsewhere/", 0 },
	} {
		o := short("echo", url)
		change(&o)
		if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestRun_FailsWhenTheServerDies: what came before is returned.
func TestRun_FailsWhenTheServerDies(t *testing.T) {
	for _, scenario := range []string{"connect", "echo", "fanout", "rooms"} {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			url, stop := serve(t, false)
			o := short(scenario, url)
			o.Drain, o.Hold, o.Duration = time.Millisecond, 5*time.Second, 5*time.Second
			begun := 0
			o.Progress = &lines{func() {
				if begun++; begun == 2 {
					time.AfterFunc(500*time.Millisecond, stop)
				}
			}}
			r, err := Run(t.Context(), o)
			if err == nil || !strings.Contains(err.Error(), "every connection was lost") || r["connected"].(int64) == 0 {
				t.Errorf("%v\n%v", err, r)
			}
		})
	}
}

func TestEcho_FailsWhereNothingIsAcknowledged(t *testing.T) {
	url, _ := serve(t, false)
	o := short("echo", url)
	o.Event = "nosuch"
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), `no event "nosuch" was acknowledged`) {
		t.Error(err)
	}
}

// TestWebSocket_RefusedAfterTheUpgrade as Node refuses an older revision of Engine.IO.
func TestWebSocket_RefusedAfterTheUpgrade(t *testing.T) {
	w, c, _ := testClient(WebSocket, 3)
	c.s.state = socketOpen
	_, err := w.webSocketInput(c.s, []byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"))
	if err == nil || !strings.Contains(err.Error(), "revision of Engine.IO") {
		t.Error(err)
	}
}

// TestEcho_InterruptedSaysWhatItMeasured: the rate is that of the time until then.
func TestEcho_InterruptedSaysWhatItMeasured(t *testing.T) {
	url, _ := serve(t, false)
	o := short("echo", url)
	o.Duration = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	begun := 0
	o.Progress = &lines{func() {
		if begun++; begun == 2 {
			time.AfterFunc(time.Second, cancel)
		}
	}}
	r, err := Run(ctx, o)
	if rate, _ := r["req_s"].(float64); err == nil || !strings.Contains(err.Error(), "interrupted") || rate < 1 || rate > 200 { // an hour's would be next to nothing
		t.Errorf("%v: %v/s", err, r["req_s"])
	}
}

// unreachable cannot be connected to, which is known at once.
const unreachable = "http://255.255.255.255:1"

func TestRun_HandshakesThatFailAtOnceDoNotKeepTheWorker(t *testing.T) {
	for _, scenario := range Scenarios {
		o := short(scenario, unreachable)
		o.Duration, o.Retries = 50*time.Millisecond, 100_000
		o.Every = o.Duration
		ctx, cancel := context.WithCancel(t.Context())
		begun := 0
		o.Progress = &lines{func() {
			if begun++; begun == 1 {
				time.AfterFunc(20*time.Millisecond, cancel)
			}
		}}
		if _, err := Run(ctx, o); err == nil || !strings.Contains(err.Error(), scenario) {
			t.Errorf("%s: %v", scenario, err)
		}
		cancel()
	}
}

func TestChurn_FailsWhereNothingConnects(t *testing.T) {
	o := short("churn", unreachable)
	if r, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "no cycle was whole") {
		t.Errorf("%v\n%v", err, r)
	}
}

// TestToken_IsJSON: also with what Go quotes in another way.
func TestToken_IsJSON(t *testing.T) {
	url, _ := serve(t, false)
	o := short("connect", url)
	o.Token = "a\x01\"b\U0001f514\x7f"
	if r := run(t, o); r["errors"] != nil {
		t.Errorf("%v", r)
	}
}

func TestRun_EndsWithItsContext(t *testing.T) {
	url, _ := serve(t, false)
	for _, scenario := range Scenarios {
		ctx, cancel := context.WithCancel(t.Context())
		o := short(scenario, url)
		o.Duration, o.Hold, o.Residents = time.Hour, time.Hour, 1
		begun := 0
		o.Progress = &lines{func() {
			if begun++; begun == 2 {
				cancel()
			}
		}}
		if _, err := Run(ctx, o); ctx.Err() == nil || err == nil {
			t.Errorf("%s: %v", scenario, err)
		}
		cancel()
	}
}

// lines calls f with each line.
type lines struct{ f func() }

func (l *lines) Write(line []byte) (int, error) {
	l.f()
	return len(line), nil
}

func TestResult_TheTableBeginsWithWhatWasAskedFor(t *testing.T) {
	var out strings.Builder
	r := Result{"a": 1, "scenario": "echo", "req_s": 2.5, "errors": map[string]int{"x": 3}, "generator_limited": true}
	if err := r.Table(&out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	if !strings.HasPrefix(lines[0], "scenario") || !strings.HasPrefix(lines[1], "req_s") || !strings.Contains(out.String(), "3 × x") ||
		!strings.Contains(out.String(), "the generator, not the server") {
		t.Errorf("%s", out.String())
	}
}
