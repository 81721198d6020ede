package relay

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

var now = time.UnixMilli(1_700_000_000_000)

func signed(t *testing.T, change func(*http.Request)) *http.Request {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/socket.io/?EIO=4&sid=AAAA0123456789abcdef", nil)
	r.Header.Set("Origin", "https://app.example")
	r.Header.Set(headerBody, "00")
	vouch(r.Header, client{address: "192.0.2.7", scheme: "https"})
	r.Header.Set(headerBody, "00")
	sign(r, []byte("secret"), now)
	change(r)
	return r
}

func TestSignature_CoversEverythingTheOwnerActsOn(t *testing.T) {
	tests := []struct {
		name   string
		change func(*http.Request)
		after  time.Duration
		want   error
	}{
		{"as signed", func(*http.Request) {}, 0, nil},
		{"clock behind", func(*http.Request) {}, -29 * time.Second, nil},
		{"clock ahead", func(*http.Request) {}, 29 * time.Second, nil},
		{"too old", func(*http.Request) {}, 31 * time.Second, errStale},
		{"from the future", func(*http.Request) {}, -31 * time.Second, errStale},
		{"method", func(r *http.Request) { r.Method = http.MethodGet }, 0, errForged},
		{"path", func(r *http.Request) { r.URL.Path = "/other/" }, 0, errForged},
		{"query", func(r *http.Request) { r.URL.RawQuery += "1" }, 0, errForged},
		{"host", func(r *http.Request) { r.Host = "other" }, 0, errForged},
		{"origin", func(r *http.Request) { r.Header.Del("Origin") }, 0, errForged},
		{"client", func(r *http.Request) { r.Header.Set(headerClient, "192.0.2.8") }, 0, errForged},
		{"scheme", func(r *http.Request) { r.Header.Set(headerScheme, "http") }, 0, errForged},
		{"body", func(r *http.Request) { r.Header.Set(headerBody, "01") }, 0, errForged},
		{"time", func(r *http.Request) {
			r.Header.Set(headerSignature, strings.Replace(r.Header.Get(headerSignature), "v1 17", "v1 18", 1))
		}, 0, errForged},
		{"no signature", func(r *http.Request) { r.Header.Del(headerSignature) }, 0, errUnsigned},
		{"another version", func(r *http.Request) {
			r.Header.Set(headerSignature, strings.Replace(r.Header.Get(headerSignature), "v1", "v2", 1))
		}, 0, errUnsigned},
		{"noise", func(r *http.Request) { r.Header.Set(headerSignature, "v1 a b c") }, 0, errUnsigned},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var v verifier
			if err := v.verify(signed(t, tt.change), []byte("secret"), now.Add(tt.after)); !errors.Is(err, tt.want) {
				t.Errorf("verify: %v; want %v", err, tt.want)
			}
		})
	}
	var v verifier
	if err := v.verify(signed(t, func(*http.Request) {}), []byte("another"), now); !errors.Is(err, errForged) {
		t.Errorf("verify with another secret: %v; want %v", err, errForged)
	}
}

func TestSignature_IsGoodForOneRequest(t *testing.T) {
	var v verifier
	r := signed(t, func(*http.Request) {})
	if err := v.verify(r, []byte("secret"), now.Add(-signatureAge)); err != nil {
		t.Fatal(err)
	}
	for _, after := range []time.Duration{-signatureAge, 0, signatureAge} { // as long as it is not stale
		if err := v.verify(r, []byte("secret"), now.Add(after)); !errors.Is(err, errReplayed) {
			t.Errorf("again %v later: %v; want %v", after+signatureAge, err, errReplayed)
		}
	}
	if err := v.verify(signed(t, func(*http.Request) {}), []byte("secret"), now); err != nil {
		t.Errorf("another request: %v", err)
	}
}
