package gateway

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestOriginPolicy_RefusalsAreNamedOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, lines := observer.New(zap.InfoLevel)
		policy, err := newOriginPolicy(nil, false, zap.New(log))
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, "http://inside:8080/socket.io/", nil)
		r.Header.Set("Origin", "https://a.example")
		for minute := range 3 {
			for range 100 {
				if refusal := policy.check(r); !strings.Contains(refusal.Cause, "https://a.example") || !strings.Contains(refusal.Cause, "inside:8080") {
					t.Fatalf("cause %q", refusal.Cause)
				}
			}
			if n := lines.Len(); n != minute+1 {
				t.Fatalf("%d lines in minute %d", n, minute)
			}
			time.Sleep(time.Minute)
		}
		if fields := lines.All()[0].ContextMap(); fields["origin"] != "https://a.example" || fields["host"] != "inside:8080" {
			t.Errorf("logged %v", fields)
		}
	})
}
