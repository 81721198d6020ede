package ask_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/carillon-io/carillon/internal/ask"
	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/outbound"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newAsker(t *testing.T, h http.HandlerFunc) (*ask.Asker, config.Ask, *prometheus.Registry) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	registry := prometheus.NewRegistry()
	a, err := ask.New(registry, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a, config.Ask{URL: config.URL(server.URL), Secret: "hush", Timeout: 20 * time.Second, AllowPrivate: true}, registry
}

func count(t *testing.T, registry *prometheus.Registry, result string) (n float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range families[0].GetMetric() {
		if m.GetLabel()[0].GetValue() == result {
			n = m.GetCounter().GetValue()
		}
	}
	return n
}

func TestAsk_TheQuestionIsSigned(t *testing.T) {
	bodies := make(chan string, 1)
	a, hook, _ := newAsker(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		t0, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("X-Carillon-Signature"), "t="), ",")
		var seconds int64
		_, _ = fmt.Sscan(t0, &seconds)
		if want := outbound.Sign("hush", body, time.Unix(seconds, 0)); r.Header.Get("X-Carillon-Signature") != want {
			t.Errorf("signed %s", r.Header.Get("X-Carillon-Signature"))
		}
		bodies <- r.Method + " " + r.Header.Get("Content-Type") + " " + string(body)
		_, _ = io.WriteString(w, `{"rooms":["a","b"],"claims":{"sub":"ada","n":1.0},"later":1}`)
	})
	got, err := a.Ask(t.Context(), hook, &ask.Question{
		Namespace: "/chat", IP: "1.2.3.4", Headers: map[string]string{"user-agent": "x"}, Auth: json.RawMessage(`{"t":1}`),
		Claims: json.RawMessage(`{"sub":"ada"}`),
	})
	if err != nil || fmt.Sprint(got.Rooms) != "[a b]" || string(got.Claims) != `{"sub":"ada","n":1.0}` {
		t.Errorf("%+v, %v", got, err)
	}
	const want = `POST application/json {"namespace":"/chat","ip":"1.2.3.4","headers":{"user-agent":"x"},"auth":{"t":1},"claims":{"sub":"ada"}}`
	if body := <-bodies; body != want {
		t.Errorf("asked %s", body)
	}
}

func TestAsk_Answers(t *testing.T) {
	var status atomic.Int32
	var body atomic.Value
	a, hook, registry := newAsker(t, func(w http.ResponseWriter, r *http.Request) {
		if s := int(status.Load()); s == http.StatusFound {
			http.Redirect(w, r, "/again", s)
		} else {
			w.WriteHeader(s)
			_, _ = io.WriteString(w, body.Load().(string))
		}
	})
	for _, c := range []struct {
		status int
		body   string
		result string
		says   string
	}{
		{200, `{}`, "allowed", ""},
		{200, `{"rooms":null,"claims":null}`, "allowed", ""},
		{200, `{"rooms":[]}`, "allowed", ""},
		{200, ``, "malformed", ""},
		{200, `ok`, "malformed", ""},
		{200, `null`, "malformed", ""},
		{200, `[]`, "malformed", ""},
		{200, `{"rooms":"a"}`, "malformed", ""},
		{200, `{"rooms":[1]}`, "malformed", ""},
		{200, `{"rooms":[null]}`, "malformed", ""},
		{200, `{"claims":[]}`, "malformed", ""},
		{200, `<!doctype html>`, "malformed", ""},
		{200, `{"x":"` + strings.Repeat("x", 100_000) + `"}`, "too_large", ""},
		{201, `{}`, "status", ""},
		{204, ``, "status", ""},
		{302, ``, "status", ""},
		{403, `{"message":"no seats"}`, "denied", "no seats"},
		{403, `{"message":"` + strings.Repeat("ä", 400) + `"}`, "denied", strings.Repeat("ä", 250)},
		{403, `{}`, "denied", ""},
		{403, `<html>Forbidden</html>`, "malformed", ""},
		{403, ``, "malformed", ""},
		{401, `{"message":"no"}`, "status", ""},
		{404, `{"message":"no"}`, "status", ""},
		{500, `{}`, "status", ""},
		{503, `{}`, "status", ""},
	} {
		status.Store(int32(c.status))
		body.Store(c.body)
		before := count(t, registry, c.result)
		_, err := a.Ask(t.Context(), hook, &ask.Question{})
		var denied *ask.Denied
		is := "outage"
		switch {
		case err == nil:
			is = "allowed"
		case errors.As(err, &denied):
			is = "denied"
		case !errors.Is(err, ask.ErrOutage):
			t.Errorf("%d %.50s: %v", c.status, c.body, err)
		}
		want := "outage"
		if c.result == "allowed" || c.result == "denied" {
			want = c.result
		}
		if is != want || denied != nil && denied.Message != c.says || count(t, registry, c.result) != before+1 {
			t.Errorf("%d %.50s: %s, %v", c.status, c.body, is, err)
		}
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

func TestAsk_FailuresAreOutages(t *testing.T) {
	silent := make(chan struct{})
	defer close(silent)
	a, hook, registry := newAsker(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/endless" {
			for {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}
		select {
		case <-silent:
		case <-r.Context().Done():
		}
	})
	quick, private, endless, nobody := hook, hook, hook, hook
	quick.Timeout = 50 * time.Millisecond
	private.AllowPrivate = false
	endless.URL += "/endless"
	nobody.URL = "http://127.0.0.1:1"
	for result, hook := range map[string]config.Ask{"timeout": quick, "private": private, "too_large": endless, "unreachable": nobody} {
		if _, err := a.Ask(t.Context(), hook, &ask.Question{}); !errors.Is(err, ask.ErrOutage) || count(t, registry, result) != 1 {
			t.Errorf("%s: %v", result, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Ask(ctx, hook, &ask.Question{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a client that has gone: %v", err)
	}
}

func TestAsk_OnlySoManyAtOnce(t *testing.T) {
	release := make(chan struct{})
	arrived := make(chan struct{}, ask.MaxAsked)
	a, hook, registry := newAsker(t, func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-release
		_, _ = io.WriteString(w, "{}")
	})
	var asking sync.WaitGroup
	for range ask.MaxAsked {
		asking.Go(func() {
			if _, err := a.Ask(context.Background(), hook, &ask.Question{}); err != nil {
				t.Error(err)
			}
		})
	}
	for range ask.MaxAsked {
		<-arrived
	}
	if !a.Busy() {
		t.Error("not busy")
	}
	if _, err := a.Ask(t.Context(), hook, &ask.Question{}); !errors.Is(err, ask.ErrOutage) || count(t, registry, "overloaded") != 1 {
		t.Errorf("one more: %v", err)
	}
	close(release)
	asking.Wait()
	if a.Busy() {
		t.Error("still busy")
	}
}

func TestAsk_AnAnswerHoldsForTheSameQuestion(t *testing.T) {
	var asked atomic.Int32
	var status atomic.Int32
	a, hook, registry := newAsker(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(int(status.Load()))
		_, _ = io.WriteString(w, `{"rooms":["r"],"message":"no"}`)
	})
	hook.Cache = time.Hour
	try := func(ip string, code int32, want int32) error {
		t.Helper()
		status.Store(code)
		before := asked.Load()
		_, err := a.Ask(t.Context(), hook, &ask.Question{IP: ip})
		if asked.Load()-before != want {
			t.Errorf("%s: asked %d times", ip, asked.Load()-before)
		}
		return err
	}
	_ = try("outage", 500, 1)
	_ = try("outage", 500, 1)
	if err := try("yes", 200, 1); err != nil {
		t.Error(err)
	}
	if err := try("yes", 403, 0); err != nil {
		t.Error(err)
	}
	_ = try("other", 200, 1)
	var denied *ask.Denied
	_ = try("no", 403, 1)
	if err := try("no", 200, 0); !errors.As(err, &denied) || denied.Message != "no" {
		t.Error(err)
	}
	if count(t, registry, "cached") != 2 {
		t.Error("not counted as cached")
	}
	hook.Cache = time.Nanosecond
	_ = try("short", 200, 1)
	_ = try("short", 200, 1)
}
