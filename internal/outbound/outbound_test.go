package outbound_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/carillon-io/carillon/internal/outbound"
	"github.com/carillon-io/carillon/test/await"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestIsPublic(t *testing.T) {
	for text, want := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "100.63.255.255": true, "100.128.0.0": true, "172.15.0.1": true, "172.32.0.1": true,
		"2606:4700:4700::1111": true, "64:ff9b::808:808": true, "2002:808:808::1": true, "::ffff:8.8.8.8": true,
		"127.0.0.1": false, "127.255.255.254": false, "10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false,
		"169.254.169.254": false, "100.64.0.1": false, "100.127.255.255": false, "0.0.0.0": false, "0.1.2.3": false,
		"192.0.0.1": false, "192.0.2.1": false, "198.18.0.1": false, "198.19.255.255": false, "224.0.0.1": false, "239.1.1.1": false,
		"240.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "fe80::1": false, "fe80::1%eth0": false, "fc00::1": false, "fd12::1": false, "fec0::1": false, "ff02::1": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:169.254.169.254": false, "::ffff:100.64.0.1": false,
		"::ffff:7f00:1": false, "::7f00:1": false, "64:ff9b::7f00:1": false, "64:ff9b::a9fe:a9fe": false, "64:ff9b:1::1": false,
		"2002:7f00:1::1": false, "2002:c0a8:101::1": false, "2001::1": false, "2001:db8::1": false, "100::1": false,
	} {
		if got := outbound.IsPublic(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: public %t", text, got)
		}
	}
	if outbound.IsPublic(netip.Addr{}) {
		t.Error("no address is public")
	}
}

func TestPost_RefusesPrivateAddressesWhenItDials(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer server.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "http://"), ":")
	for _, host := range []string{"127.0.0.1", "localhost", "127.1", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"} {
		target := outbound.New("http://"+host+":"+port, "s", false, 1)
		_, err := target.Post(t.Context(), "text/plain", nil, nil, 10)
		if err == nil {
			t.Errorf("%s was reached", host)
		}
		if strings.HasPrefix(host, "127.0") && !errors.Is(err, outbound.ErrPrivate) {
			t.Errorf("%s: %v", host, err)
		}
		target.Close()
	}
	if asked.Load() > 0 {
		t.Errorf("asked %d times", asked.Load())
	}
	t.Setenv("HTTP_PROXY", server.URL) // would be the way round
	target := outbound.New("http://localhost:"+port, "s", true, 1)
	defer target.Close()
	if answer, err := target.Post(t.Context(), "text/plain", nil, nil, 10); err != nil || answer.Status != 200 {
		t.Errorf("allowed: %v %v", answer, err)
	}
}

func TestPost_AnswersAreBounded(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(w, r, "/", http.StatusTemporaryRedirect)
		case "/endless":
			for {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		case "/headers":
			w.Header().Set("X", strings.Repeat("x", 100<<10))
		case "/silent":
			<-r.Context().Done()
		default:
			_, _ = io.WriteString(w, "0123456789")
		}
	}))
	defer server.Close()
	for path, want := range map[string]string{
		"/": "200", "/redirect": "307", "/endless": outbound.ErrTooLarge.Error(), "/headers": "headers", "/silent": outbound.ErrTimeout.Error(),
	} {
		ctx, cancel := context.WithTimeout(t.Context(), await.Limit)
		if path == "/silent" {
			cancel()
			ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
		}
		target := outbound.New(server.URL+path, "s", true, 1)
		answer, err := target.Post(ctx, "text/plain", nil, nil, 10<<10)
		if got := fmt.Sprint(answer.Status, " ", err); !strings.Contains(got, want) || strings.Contains(got, "127.0.0.1:") {
			t.Errorf("%s: %s", path, got)
		}
		target.Close()
		cancel()
	}
}

func TestSign_IsWhatTheContractSays(t *testing.T) {
	got := outbound.Sign("secret", []byte(`{"a":1}`), time.Unix(1_700_000_000, 999))
	// printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret
	const want = "t=1700000000,v1=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686"
	if got != want {
		t.Errorf("signed as %s", got)
	}
}
