package webhook_test

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/webhook"
	"github.com/carillon-io/carillon/test/await"
	"github.com/carillon-io/carillon/test/redistest"
)

const (
	route    = "orders"
	secret   = "hush"
	patience = await.Limit
)

// TestMain is also the process that one test stops and wakes.
func TestMain(m *testing.M) {
	if address, url := os.Getenv("WEBHOOK_REDIS"), os.Getenv("WEBHOOK_URL"); url != "" {
		client := goredis.NewClient(&goredis.Options{Addr: address, MaxRetries: -1})
		w, err := webhook.New(webhook.Config{Client: client, Prefix: "carillon", Routes: routes(url), Lease: time.Second})
		if err != nil {
			panic(err)
		}
		fmt.Println("running")
		w.Run(context.Background())
		return
	}
	goleak.VerifyTestMain(m)
}

func routes(url string) map[string]config.Route {
	return map[string]config.Route{route: {MaxEntries: 100, Webhook: &config.Webhook{
		URL: config.URL(url), Secret: secret, Timeout: 20 * time.Second, Retries: 2, AllowPrivate: true,
	}}}
}

// startRedis starts a redis-server that knows the route.
func startRedis(t *testing.T) *goredis.Client {
	t.Helper()
	s := redistest.Start(t)
	s.Do("HSET", "carillon:routes", route, 1)
	return s.Client
}

// add writes an entry as a gateway does.
func add(t *testing.T, client *goredis.Client, sid string, seq int, fields ...string) {
	t.Helper()
	values := []string{"v", "1", "nsp", "/", "sid", sid, "seq", strconv.Itoa(seq), "node", "n1", "ts", "1700000000123"}
	if len(fields) == 0 {
		fields = []string{"ev", "order", "data", fmt.Sprintf("[%d]", seq)}
	}
	if fields[0] != "t" {
		values = append(values, "t", "event")
	}
	if err := client.XAdd(t.Context(), &goredis.XAddArgs{Stream: "carillon:up:{orders.0}", Values: append(values, fields...)}).Err(); err != nil {
		t.Fatal(err)
	}
}

// received is a request that a receiver has taken.
type received struct {
	Type, Source, ID, Time, Event, Namespace, Socket, User string
	SpecVersion                                            string
	Seq                                                    int
	Data                                                   json.RawMessage
	header                                                 http.Header
}

// verify is what receivers are told to do.
func verify(signature string, body []byte) error {
	t, v1, _ := strings.Cut(strings.TrimPrefix(signature, "t="), ",v1=")
	seconds, err := strconv.ParseInt(t, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return fmt.Errorf("signed at %q", t)
	}
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%s.%s", t, body)
	if !hmac.Equal([]byte(v1), []byte(hex.EncodeToString(mac.Sum(nil)))) {
		return fmt.Errorf("signature %q", signature)
	}
	return nil
}

// receiver hands each event to answer, once its signature is verified.
func receiver(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, e received)) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = verify(r.Header.Get("X-Carillon-Signature"), body)
		}
		var e received
		if err == nil {
			err = json.Unmarshal(body, &e)
		}
		if err != nil || r.Header.Get("Content-Type") != "application/cloudevents+json; charset=UTF-8" {
			t.Errorf("%v: %s", err, body)
		}
		e.header = r.Header
		answer(w, r, e)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func run(t *testing.T, client *goredis.Client, routes map[string]config.Route) (*webhook.Webhooks, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	w, err := webhook.New(webhook.Config{
		Client: client, Prefix: "carillon", Routes: routes, MaxDepth: 20, MaxAttachments: 10, Lease: time.Second, Registry: registry,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		w.Run(ctx)
		close(done)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return w, registry
}

func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	return await.Value(t, "value", from)
}

func TestWebhook_EntriesAreCloudEvents(t *testing.T) {
	client := startRedis(t)
	events := make(chan received, 10)
	url := receiver(t, func(_ http.ResponseWriter, _ *http.Request, e received) { events <- e })
	add(t, client, "s1", 1, "t", "connected", "ip", "1.2.3.4", "auth", `{"name":"ada"}`, "user", "ada", "claims", `{"sub":"ada"}`)
	add(t, client, "s1", 2, "ev", "order", "data", `[{"_placeholder":true,"num":0},"ä"]`, "b0", "\x00\x01", "user", "ada",
		"tp", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	add(t, client, "s1", 3, "t", "disconnected", "reason", "transport close", "user", "ada")
	_, registry := run(t, client, routes(url))
	for _, want := range []received{
		{Type: "carillon.connected", ID: "s1/orders/1", Seq: 1, Data: json.RawMessage(`{"ip":"1.2.3.4","auth":{"name":"ada"},"claims":{"sub":"ada"}}`)},
		{Type: "carillon.event", ID: "s1/orders/2", Seq: 2, Event: "order", Data: json.RawMessage(`[{"$bytes":"AAE="},"ä"]`)},
		{Type: "carillon.disconnected", ID: "s1/orders/3", Seq: 3, Data: json.RawMessage(`{"reason":"transport close"}`)},
	} {
		got := receive(t, events)
		traced := got.header.Get("Traceparent") != ""
		want.SpecVersion, want.Source, want.Namespace, want.Socket, want.User = "1.0", "/carillon/routes/orders", "/", "s1", "ada"
		want.Time, want.header = "2023-11-14T22:13:20.123Z", got.header
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) || traced != (want.Event != "") {
			t.Errorf("received %+v\nwant %+v", got, want)
		}
	}
	eventually(t, func() bool { return count(t, registry, "accepted") == 3 })
}

func count(t *testing.T, registry *prometheus.Registry, result string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range families[0].GetMetric() {
		if m.GetLabel()[0].GetValue() == result || m.GetLabel()[1].GetValue() == result {
			return m.GetCounter().GetValue()
		}
	}
	t.Fatalf("no result %s", result)
	return 0
}

func eventually(t *testing.T, is func() bool) {
	t.Helper()
	await.True(t, "so", is)
}

// answers are the acknowledgements that were written for node n1.
func answers(t *testing.T, client *goredis.Client, n int) map[string]string {
	t.Helper()
	got := make(map[string]string)
	eventually(t, func() bool {
		list, err := client.XRange(t.Context(), "carillon:in:{n1}", "-", "+").Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range list {
			got[m.Values["a"].(string)] = m.Values["data"].(string)
		}
		return len(got) >= n
	})
	return got
}

func TestWebhook_TheListThatIsAnsweredIsTheAcknowledgement(t *testing.T) {
	client := startRedis(t)
	if err := client.XAdd(t.Context(), &goredis.XAddArgs{Stream: "carillon:in:{n1}", Values: []string{"t", "none", "a", "none", "data", ""}}).Err(); err != nil {
		t.Fatal(err)
	}
	bodies := map[string]string{
		"list": `[{"ok":1},"x"]`, "empty": "", "html": "<html>", "object": `{"ok":true}`, "large": "[" + strings.Repeat(" ", 2<<20) + "]",
		"deep": strings.Repeat("[", 100) + strings.Repeat("]", 100),
	}
	url := receiver(t, func(w http.ResponseWriter, _ *http.Request, e received) { _, _ = io.WriteString(w, bodies[e.Socket]) })
	later := fmt.Sprint(time.Now().Add(time.Hour).UnixMilli())
	for sid := range bodies {
		add(t, client, sid, 1, "ev", "order", "data", "[]", "ack", sid, "dl", later)
	}
	run(t, client, routes(url))
	got := answers(t, client, len(bodies)+1)
	const malformed = `[{"ok":false,"error":{"code":"unavailable","message":"the backend's answer is not a list of arguments"}}]`
	for sid, want := range map[string]string{
		"list": bodies["list"], "empty": `[{"ok":true}]`, "html": malformed, "object": malformed, "deep": malformed,
		"large": `[{"ok":false,"error":{"code":"unavailable","message":"the backend's answer is too large"}}]`,
	} {
		if got[sid] != want {
			t.Errorf("%s: %.200s", sid, got[sid])
		}
	}
}

func TestWebhook_FailuresHoldBackTheirSocketAlone(t *testing.T) {
	client := startRedis(t)
	var mu sync.Mutex
	attempts := make(map[string]int)
	order := make(chan string, 100)
	release := make(chan struct{})
	url := receiver(t, func(w http.ResponseWriter, r *http.Request, e received) {
		mu.Lock()
		attempts[e.ID]++
		n := attempts[e.ID]
		mu.Unlock()
		switch {
		case e.Socket == "busy" && n == 1:
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
			<-release
			return
		case e.Socket == "broken" && e.Seq == 1:
			w.WriteHeader(http.StatusInternalServerError)
			return
		case e.Socket == "rejected" && e.Seq == 1:
			w.WriteHeader(http.StatusGone)
			return
		case e.Socket == "elsewhere" && e.Seq == 1:
			http.Redirect(w, r, "/other", http.StatusFound)
			return
		}
		order <- e.ID
	})
	for seq := 1; seq <= 2; seq++ {
		for _, sid := range []string{"busy", "broken", "rejected", "elsewhere", "fine"} {
			add(t, client, sid, seq)
		}
	}
	_, registry := run(t, client, routes(url))
	var got []string
	for range 4 { // of fine both, and what follows the dead letters
		got = append(got, receive(t, order))
	}
	close(release)
	for range 3 {
		got = append(got, receive(t, order))
	}
	place := make(map[string]int)
	for i, id := range got {
		place[id] = i + 1
	}
	for _, id := range []string{"fine/orders/1", "fine/orders/2", "rejected/orders/2", "elsewhere/orders/2", "broken/orders/2", "busy/orders/1", "busy/orders/2"} {
		if place[id] == 0 {
			t.Errorf("%s was not accepted: %q", id, got)
		}
	}
	if place["busy/orders/1"] > place["busy/orders/2"] || place["fine/orders/1"] > place["fine/orders/2"] {
		t.Errorf("out of order: %q", got)
	}
	eventually(t, func() bool { return client.XLen(t.Context(), "carillon:dead:{orders}").Val() == 3 })
	mu.Lock()
	defer mu.Unlock()
	if attempts["broken/orders/1"] != 3 || attempts["rejected/orders/1"] != 1 || attempts["elsewhere/orders/1"] != 1 {
		t.Errorf("attempts %v", attempts)
	}
	if count(t, registry, "failed") != 3 || count(t, registry, "rejected") != 2 || count(t, registry, "throttled") != 2 {
		t.Errorf("attempts %v", attempts)
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v %v", problems, err)
	}
}

func TestWebhook_PrivateAddressesAreRefused(t *testing.T) {
	client := startRedis(t)
	url := receiver(t, func(_ http.ResponseWriter, _ *http.Request, e received) { t.Errorf("%s was received", e.ID) })
	hidden := routes(url)
	hidden[route].Webhook.AllowPrivate = false
	hidden[route].Webhook.Retries = 0
	add(t, client, "s1", 1)
	_, registry := run(t, client, hidden)
	eventually(t, func() bool { return client.XLen(t.Context(), "carillon:dead:{orders}").Val() == 1 })
	if count(t, registry, "private") != 1 {
		t.Error("not counted as private")
	}
}

func TestWebhook_FollowsTheConfiguration(t *testing.T) {
	client := startRedis(t)
	first, second := make(chan received, 10), make(chan received, 10)
	before := routes(receiver(t, func(_ http.ResponseWriter, _ *http.Request, e received) { first <- e }))
	after := routes(receiver(t, func(_ http.ResponseWriter, _ *http.Request, e received) { second <- e }))
	w, _ := run(t, client, before)
	add(t, client, "s1", 1)
	receive(t, first)
	w.Set(after)
	add(t, client, "s1", 2)
	eventually(t, func() bool { return len(first)+len(second) > 0 })
	w.Set(nil)
	w.Set(after)
	add(t, client, "s1", 3)
	for {
		if e := receive(t, second); e.Seq == 3 {
			return
		}
	}
}

func TestWebhook_EveryResultOfARouteIsCountedFromTheStart(t *testing.T) {
	registry := prometheus.NewRegistry()
	w, err := webhook.New(webhook.Config{Routes: routes("http://shop.example"), Registry: registry})
	if err != nil {
		t.Fatal(err)
	}
	w.Set(map[string]config.Route{
		"added": {Webhook: &config.Webhook{URL: "http://shop.example"}},
		"plain": {}, // without a webhook
	})
	families, err := registry.Gather()
	if err != nil || len(families) != 1 {
		t.Fatalf("%d families, %v", len(families), err)
	}
	results := make(map[string][]string) // by route
	for _, m := range families[0].GetMetric() {
		if value := m.GetCounter().GetValue(); value != 0 {
			t.Errorf("%v is %v", m.GetLabel(), value)
		}
		byName := make(map[string]string)
		for _, l := range m.GetLabel() {
			byName[l.GetName()] = l.GetValue()
		}
		results[byName["route"]] = append(results[byName["route"]], byName["result"])
	}
	all := []string{"accepted", "failed", "malformed", "private", "rejected", "throttled", "timeout", "unreachable"}
	if want := map[string][]string{route: all, "added": all}; !reflect.DeepEqual(results, want) {
		t.Errorf("series %v, want %v", results, want)
	}
}

// TestWebhook_ANodeThatStandsStillInTheMiddleOfAPost: another one takes over, each entry arrives, in order for its socket.
func TestWebhook_ANodeThatStandsStillInTheMiddleOfAPost(t *testing.T) {
	client := startRedis(t)
	var mu sync.Mutex
	seen := make(map[string]bool)
	var order []string
	arrived, resume := make(chan struct{}), make(chan struct{})
	var once sync.Once
	url := receiver(t, func(_ http.ResponseWriter, _ *http.Request, e received) {
		if e.ID == "s1/orders/2" {
			hold := false
			once.Do(func() { hold = true })
			if hold {
				close(arrived)
				<-resume
			}
		}
		mu.Lock()
		defer mu.Unlock()
		if !seen[e.ID] { // as receivers are told to do
			seen[e.ID] = true
			order = append(order, e.ID)
		}
	})
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "WEBHOOK_REDIS="+client.Options().Addr, "WEBHOOK_URL="+url)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	}()
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "running\n" {
		t.Fatalf("the process says %q", line)
	}
	for seq := 1; seq <= 5; seq++ {
		add(t, client, "s1", seq)
		add(t, client, "s2", seq)
	}
	receive(t, arrived)
	if err := child.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	run(t, client, routes(url))
	complete := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(seen) == 10
	}
	eventually(t, complete)
	close(resume)
	if err := child.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	add(t, client, "s1", 6)
	eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(seen) == 11
	})
	mu.Lock()
	defer mu.Unlock()
	next := map[string]int{"s1": 1, "s2": 1}
	for _, id := range order {
		sid, seq, _ := strings.Cut(id, "/orders/")
		if n, _ := strconv.Atoi(seq); n != next[sid] {
			t.Fatalf("out of order: %q", order)
		}
		next[sid]++
	}
	if dead := client.XLen(t.Context(), "carillon:dead:{orders}").Val(); dead > 0 {
		t.Errorf("%d dead letters", dead)
	}
}
