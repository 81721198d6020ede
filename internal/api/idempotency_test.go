package api_test

import (
	"context"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/api"
	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/socketio"
	"net/http/httptest"
)

func writeFile(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func keyed(text string) http.Header { return http.Header{"Idempotency-Key": {text}} }

const event = `{"all":true,"event":"e"}`

// stores are what keeps keys; each is shared by all nodes of a test.
func overStores(t *testing.T, test func(t *testing.T, change func(*api.Config))) {
	t.Run("memory", func(t *testing.T) { test(t, nil) })
	t.Run("redis", func(t *testing.T) {
		server := miniredis.RunT(t)
		client := goredis.NewClient(&goredis.Options{Addr: server.Addr(), MaxRetries: -1})
		t.Cleanup(func() { _ = client.Close() })
		test(t, func(c *api.Config) { c.Redis, c.Prefix = client, "carillon" })
	})
}

func TestIdempotency_TheSameKeyIsDoneOnce(t *testing.T) {
	overStores(t, func(t *testing.T, change func(*api.Config)) {
		n := start(t, 1, change)[0]
		c := n.client()
		for i := range 3 {
			r := n.call("POST", "/v1/emit", event, keyed("k1"))
			r.expect(t, 202, `{"accepted":1}`)
			if replayed := r.header.Get("Idempotent-Replayed") == "true"; replayed != (i > 0) {
				t.Errorf("answer %d: replayed %t", i, replayed)
			}
		}
		c.Expect("e")
		c.ExpectNone()
		n.call("POST", "/v1/emit", event+" ", keyed("k1")).expect(t, 422, `"code":"other_body"`)
		n.call("POST", "/v1/emit", event, keyed("k2")).expect(t, 202, "")                                     // another key
		n.call("POST", "/v1/emit-with-ack", `{"rooms":["none"],"event":"e"}`, keyed("k1")).expect(t, 200, "") // another path
		c.Expect("e")
		c.ExpectNone()
		// What is refused before anything is done leaves the key alone.
		n.call("POST", "/v1/emit", `{}`, keyed("k3")).expect(t, 400, "")
		n.call("POST", "/v1/emit", event, keyed("k3")).expect(t, 202, "")
		for name, values := range map[string][]string{
			"empty": {""}, "two": {"a", "b"}, "long": {strings.Repeat("k", 256)}, "space": {"a b"}, "not ASCII": {"ä"},
		} {
			r := n.call("POST", "/v1/emit", event, http.Header{"Idempotency-Key": values})
			if r.status != 400 {
				t.Errorf("%s: %d %s", name, r.status, r.body)
			}
		}
	})
}

func TestIdempotency_KeysOfOneClientAreNotThoseOfAnother(t *testing.T) {
	keys, err := api.NewKeys([]config.Secret{"ada", "bob"})
	if err != nil {
		t.Fatal(err)
	}
	n := start(t, 1, func(c *api.Config) { c.Keys = keys })[0]
	for _, who := range []string{"ada", "bob"} {
		r := n.call("POST", "/v1/emit", event, http.Header{"Idempotency-Key": {"k"}, "Authorization": {"Bearer " + who}})
		if r.status != 202 || r.header.Get("Idempotent-Replayed") != "" {
			t.Errorf("%s: %d %v", who, r.status, r.header)
		}
	}
}

func TestIdempotency_TwoNodesAtOnce(t *testing.T) {
	server := miniredis.RunT(t)
	nodes := start(t, 2, func(c *api.Config) {
		client := goredis.NewClient(&goredis.Options{Addr: server.Addr(), MaxRetries: -1})
		t.Cleanup(func() { _ = client.Close() })
		c.Redis, c.Prefix = client, "carillon"
	})
	c := nodes[0].client("red")
	var calls sync.WaitGroup
	answers := make([]reply, 2)
	for i, n := range nodes {
		calls.Go(func() {
			answers[i] = n.call("POST", "/v1/emit-with-ack", `{"rooms":["red"],"event":"q"}`, keyed("k"))
		})
	}
	e := c.Expect("q")
	// One of them runs until the client answers. The other says so meanwhile, or has not asked yet.
	nodes[1].call("POST", "/v1/emit-with-ack", `{"rooms":["red"],"event":"q"}`, keyed("k")).expect(t, 409, `"code":"running"`)
	e.Ack("yes")
	calls.Wait()
	for _, a := range answers {
		if a.status != 200 && a.status != 409 || answers[0].status == 409 && answers[1].status == 409 {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	nodes[0].call("POST", "/v1/emit-with-ack", `{"rooms":["red"],"event":"q"}`, keyed("k")).expect(t, 200, `"answers":["yes"]`)
	c.ExpectNone()
	for _, name := range server.Keys() {
		if strings.Contains(name, key) || !strings.HasPrefix(name, "carillon:idem:") || server.TTL(name) <= 0 {
			t.Errorf("key %s for %s", name, server.TTL(name))
		}
	}
}

func TestIdempotency_WithoutItsRedisNothingIsDone(t *testing.T) {
	server := miniredis.RunT(t)
	client := goredis.NewClient(&goredis.Options{Addr: server.Addr(), MaxRetries: -1})
	defer func() { _ = client.Close() }()
	n := start(t, 1, func(c *api.Config) { c.Redis = client })[0]
	c := n.client()
	server.SetError("LOADING")
	n.call("POST", "/v1/emit", event, keyed("k")).expect(t, 503, `"code":"unavailable"`)
	c.ExpectNone()
	server.SetError("")
	n.call("POST", "/v1/emit", event, keyed("k")).expect(t, 202, "")
	c.Expect("e")
}

// outcomes is an adapter whose publishes end as the test says.
type outcomes struct {
	adapter.Local
	publish func(done func(error))
}

func (o *outcomes) Publish(_ adapter.Command, done func(error)) { o.publish(done) }

func withOutcome(t *testing.T, publish func(done func(error)), change func(*api.Config)) http.Handler {
	t.Helper()
	io, err := socketio.New(socketio.Config{Adapter: &outcomes{publish: publish}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(io.Close)
	return newAPI(t, io, change)
}

// direct calls a handler without a network.
func direct(ctx context.Context, h http.Handler, body, idempotencyKey string) (int, string) {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/emit", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+key)
	if idempotencyKey != "" {
		r.Header.Set("Idempotency-Key", idempotencyKey)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestEmit_TellsWhatRedisDidNotTake(t *testing.T) {
	var errs []error
	h := withOutcome(t, func(done func(error)) {
		err := errs[0]
		errs = errs[1:]
		done(err)
	}, nil)
	for _, c := range []struct {
		errs []error
		body string
		want string
	}{
		{[]error{adapter.ErrAway}, event, `"code":"unavailable","detail":"Redis is away","results":[{"status":503,"code":"unavailable"}]`},
		{[]error{adapter.ErrFull}, event, `"code":"overloaded"`},
		{[]error{adapter.ErrUnknown}, event, `"code":"unknown"`},
		{[]error{nil, adapter.ErrAway}, "[" + event + "," + event + "]", `"results":[{"status":202},{"status":503,"code":"unavailable"}]`},
		{[]error{adapter.ErrAway, adapter.ErrUnknown}, "[" + event + "," + event + "]", `"code":"unknown"`},
	} {
		errs = c.errs
		if status, body := direct(t.Context(), h, c.body, ""); status != 503 || !strings.Contains(body, c.want) {
			t.Errorf("%v: %d %s", c.errs, status, body)
		}
	}
}

func TestIdempotency_OutcomesAreKeptUnlessNothingWasDone(t *testing.T) {
	published, err := 0, error(nil)
	h := withOutcome(t, func(done func(error)) {
		published++
		done(err)
	}, nil)
	try := func(k string, status, publishes int, holds string) {
		t.Helper()
		published = 0
		if got, body := direct(t.Context(), h, event, k); got != status || published != publishes || !strings.Contains(body, holds) {
			t.Errorf("%s: %d %s after %d publishes", k, got, body, published)
		}
	}
	err = adapter.ErrUnknown
	try("unknown", 503, 1, `"code":"unknown"`)
	err = nil
	try("unknown", 503, 0, `"code":"unknown"`)
	err = adapter.ErrAway
	try("away", 503, 1, `"code":"unavailable"`)
	err = nil
	try("away", 202, 1, "")
	try("away", 202, 0, "")
}

// TestIdempotency_AnAbandonedClaimIsAnUnknownOutcome: the call that had claimed the key never comes back, as on a node that
// was killed or stopped in the middle.
func TestIdempotency_AnAbandonedClaimIsAnUnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		published := 0
		var finish func(error)
		h := withOutcome(t, func(done func(error)) {
			if published++; published == 1 {
				finish = done
			} else {
				done(nil)
			}
		}, func(c *api.Config) { c.Patience = time.Hour })
		var first sync.WaitGroup
		var late string
		first.Go(func() { _, late = direct(t.Context(), h, event, "k") })
		synctest.Wait()
		time.Sleep(time.Hour + 9*time.Second)
		// The call itself has given up by now: its outcome is unknown.
		first.Wait()
		for range 2 {
			if status, body := direct(t.Context(), h, event, "k"); status != 503 || !strings.Contains(body, `"code":"unknown"`) || published != 1 {
				t.Errorf("%d %s after %d publishes", status, body, published)
			}
		}
		if !strings.Contains(late, `"code":"unknown"`) {
			t.Errorf("the first was answered %s", late)
		}
		finish(nil)
	})
}

// TestIdempotency_AClaimOfADeadNode claims a key in Redis and leaves it.
func TestIdempotency_AClaimOfADeadNode(t *testing.T) {
	server := miniredis.RunT(t)
	begun := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	server.SetTime(begun)
	blocked := make(chan struct{})
	published := make(chan struct{}, 2)
	node := func(publish func(done func(error))) http.Handler {
		client := goredis.NewClient(&goredis.Options{Addr: server.Addr(), MaxRetries: -1})
		t.Cleanup(func() { _ = client.Close() })
		return withOutcome(t, func(done func(error)) {
			published <- struct{}{}
			publish(done)
		}, func(c *api.Config) { c.Redis, c.Patience = client, time.Minute })
	}
	stopped := node(func(done func(error)) { <-blocked; done(nil) })
	var first sync.WaitGroup
	var late int
	first.Go(func() { late, _ = direct(context.WithoutCancel(t.Context()), stopped, event, "k") })
	<-published
	other := node(func(done func(error)) { done(nil) })
	try := func(status int, holds string) {
		t.Helper()
		if got, body := direct(t.Context(), other, event, "k"); got != status || !strings.Contains(body, holds) {
			t.Errorf("%d %s", got, body)
		}
	}
	try(409, `"code":"running"`)
	server.SetTime(begun.Add(69 * time.Second))
	try(409, `"code":"running"`)
	server.SetTime(begun.Add(71 * time.Second))
	try(503, `"code":"unknown"`)
	close(blocked) // it comes back, and its own caller gets its answer
	first.Wait()
	if late != 202 {
		t.Errorf("the stopped node answered %d", late)
	}
	try(503, `"code":"unknown"`) // once said, it stays
	if len(published) > 0 {
		t.Error("published again")
	}
}
