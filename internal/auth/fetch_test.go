package auth_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/carillon-io/carillon/internal/auth"
	"github.com/carillon-io/carillon/internal/config"
)

// count reads a counter of the family carillon_jwks_fetches_total.
func count(t *testing.T, registry *prometheus.Registry, result string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() == result {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("no result %q", result)
	return 0
}

func TestFetch_EachAnswerHasAnOutcome(t *testing.T) {
	set := jwks(jwk("p256", "a", nil))
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, set) }))
	defer elsewhere.Close()
	mux := http.NewServeMux()
	answer := func(path string, f http.HandlerFunc) { mux.HandleFunc("GET "+path, f) }
	answer("/good", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, set) })
	answer("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/good", http.StatusFound) })
	answer("/elsewhere", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) })
	answer("/file", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
	})
	answer("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	answer("/html", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!doctype html><title>Sign in</title>")
	})
	answer("/list", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "[]") })
	answer("/empty", func(http.ResponseWriter, *http.Request) {})
	answer("/keyless", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"keys":[]}`) })
	answer("/endless", func(w http.ResponseWriter, _ *http.Request) {
		for _, err := io.WriteString(w, `{"keys":[`); err == nil; _, err = io.WriteString(w, strings.Repeat(" ", 4096)) {
		}
	})
	answer("/packed", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write([]byte{0x1f, 0x8b, 8, 0})
	})
	answer("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "9999")
		_, _ = io.WriteString(w, set)
	})
	answer("/closed", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	answer("/error", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, set, http.StatusBadGateway) })
	server := httptest.NewServer(mux)
	defer server.Close()

	address := func(path string) string { return strings.Replace(server.URL, "http://", "http://jo:pass@", 1) + path }
	for path, want := range map[string]string{
		"/good": "ok", "/moved": "ok", "/elsewhere": "redirect", "/file": "redirect", "/loop": "redirect", "/html": "malformed",
		"/list": "malformed", "/empty": "malformed", "/keyless": "malformed", "/endless": "too_large", "/packed": "malformed",
		"/cut": "unreachable", "/closed": "unreachable", "/error": "status", "/none": "status",
	} {
		t.Run(path, func(t *testing.T) {
			registry := prometheus.NewRegistry()
			core, logs := observer.New(zapcore.DebugLevel)
			v := verifier(t, config.Auth{JWT: config.JWT{JWKS: config.URL(address(path))}}, auth.Options{Registry: registry, Logger: zap.New(core)})
			ctx, cancel := context.WithCancel(t.Context())
			var running sync.WaitGroup
			defer running.Wait()
			defer cancel()
			running.Go(func() { v.Run(ctx) })
			for fetched := 0.0; fetched == 0; fetched = count(t, registry, want) + othersThan(t, registry, want) {
				_, _ = judge(v, es256(t, "p256", "a"))
			}
			if count(t, registry, want) == 0 {
				t.Errorf("counted as something else than %q", want)
			}
			_, err := judge(v, es256(t, "p256", "a"))
			if (want == "ok") != (err == nil) || want != "ok" && reason(err) != unavailable {
				t.Errorf("the token: %v", err)
			}
			for _, entry := range logs.All() {
				if text := fmt.Sprint(entry.Message, entry.ContextMap()); strings.Contains(text, "pass@") || strings.Contains(text, "jo:") {
					t.Errorf("a password is logged: %s", text)
				}
			}
			if want != "ok" && logs.FilterLevelExact(zapcore.WarnLevel).Len() != 1 {
				t.Errorf("%d warnings", logs.FilterLevelExact(zapcore.WarnLevel).Len())
			}
		})
	}
}

// othersThan adds up the other results.
func othersThan(t *testing.T, registry *prometheus.Registry, result string) (sum float64) {
	t.Helper()
	for _, other := range []string{"ok", "timeout", "unreachable", "status", "redirect", "too_large", "malformed"} {
		if other != result {
			sum += count(t, registry, other)
		}
	}
	return sum
}
