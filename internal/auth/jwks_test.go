package auth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/carillon-io/carillon/internal/auth"
	"github.com/carillon-io/carillon/internal/config"
)

// issuer serves a key set from memory, so that time in tests may be faked. Safe for concurrent use.
type issuer struct {
	mu    sync.Mutex
	text  string        // empty: it is away
	pause time.Duration // before it answers
	asked int
}

func (i *issuer) set(text string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.text = text
}

func (i *issuer) requests() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}

// RoundTrip makes issuer what a verifier's requests go to. The answer is what it holds when the request comes.
func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	i.mu.Lock()
	text, pause := i.text, i.pause
	i.asked++
	i.mu.Unlock()
	if pause > 0 {
		select {
		case <-time.After(pause):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if text == "" {
		return nil, errors.New("connection refused")
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text)), Request: r,
	}, nil
}

var fromURL = config.Auth{JWT: config.JWT{JWKS: "https://id.example/keys"}}

// inTime runs a test in which time is faked and a verifier fetches from an issuer.
func inTime(t *testing.T, i *issuer, cfg config.Auth, test func(t *testing.T, v *auth.Verifier)) {
	synctest.Test(t, func(t *testing.T) {
		v := verifier(t, cfg, auth.Options{Transport: i})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { v.Run(ctx) })
		synctest.Wait()
		test(t, v)
		cancel()
		running.Wait()
	})
}

func es256(t testing.TB, name, kid string) string {
	return signed(t, "ES256", keys()[name], kid, claimsOf("u"))
}

func wantVerdict(t *testing.T, v *auth.Verifier, token, want string) {
	t.Helper()
	if _, err := judge(v, token); reason(err) != want {
		t.Errorf("%q, want %q", reason(err), want)
	}
}

const (
	unavailable = "auth: the key is not known yet and cannot be fetched now"
	noKey       = "token_invalid: no key for it"
)

func TestJWKS_PublishedKeyIsFetchedWhenATokenNamesIt(t *testing.T) {
	i := &issuer{text: jwks(jwk("p256", "a", nil))}
	inTime(t, i, fromURL, func(t *testing.T, v *auth.Verifier) {
		wantVerdict(t, v, es256(t, "p256", "a"), "")
		i.set(jwks(jwk("p256", "a", nil), jwk("other", "b", nil)))
		wantVerdict(t, v, es256(t, "other", "b"), "")
		wantVerdict(t, v, es256(t, "p256", "a"), "")
		if n := i.requests(); n != 2 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestJWKS_UnknownKeysCauseOneFetchInTenSeconds(t *testing.T) {
	i := &issuer{text: jwks(jwk("p256", "a", nil))}
	inTime(t, i, fromURL, func(t *testing.T, v *auth.Verifier) {
		began := time.Now()
		wantVerdict(t, v, es256(t, "other", "x"), noKey)
		for n := range 200 {
			wantVerdict(t, v, es256(t, "other", fmt.Sprint("y", n%20)), unavailable)
			wantVerdict(t, v, es256(t, "other", "x"), noKey) // and costs no fetch
			wantVerdict(t, v, es256(t, "p256", "a"), "")
			time.Sleep(40 * time.Millisecond)
		}
		if n := i.requests(); n != 2 {
			t.Errorf("%d requests in %v: the first and one for unknown keys are right", n, time.Since(began))
		}
		// The next fetch judges everything that was asked for before it.
		time.Sleep(3 * time.Second)
		wantVerdict(t, v, es256(t, "other", "y0"), noKey)
		wantVerdict(t, v, es256(t, "other", "y1"), noKey)
		if n := i.requests(); n != 3 {
			t.Errorf("%d requests after %v", n, time.Since(began))
		}
	})
}

// A token whose key was published a moment after the last fetch must not be refused for good.
func TestJWKS_TokenThatCannotBeJudgedYetIsNotInvalid(t *testing.T) {
	i := &issuer{text: jwks(jwk("p256", "a", nil))}
	inTime(t, i, fromURL, func(t *testing.T, v *auth.Verifier) {
		wantVerdict(t, v, es256(t, "other", "garbage"), noKey)
		i.set(jwks(jwk("other", "b", nil)))
		wantVerdict(t, v, es256(t, "other", "b"), unavailable)
		time.Sleep(10 * time.Second)
		wantVerdict(t, v, es256(t, "other", "b"), "")
		wantVerdict(t, v, es256(t, "p256", "a"), unavailable) // withdrawn, and not looked for again yet
	})
}

func TestJWKS_FetchBegunBeforeATokenDoesNotJudgeIt(t *testing.T) {
	i := &issuer{text: jwks(jwk("p256", "a", nil)), pause: time.Second}
	inTime(t, i, fromURL, func(t *testing.T, v *auth.Verifier) {
		time.Sleep(time.Second / 2) // the first fetch is under way
		wantVerdict(t, v, es256(t, "other", "x"), unavailable)
		wantVerdict(t, v, es256(t, "other", "x"), noKey) // a fetch of its own
		wantVerdict(t, v, es256(t, "p256", "a"), "")
	})
}

func TestJWKS_WaitingForTheFirstFetchIsEnough(t *testing.T) {
	i := &issuer{text: jwks(jwk("p256", "a", nil)), pause: time.Second}
	inTime(t, i, fromURL, func(t *testing.T, v *auth.Verifier) {
		wantVerdict(t, v, es256(t, "p256", "a"), "")
		if n := i.requests(); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestJWKS_AwayAtTheStartThenThere(t *testing.T) {
	i := &issuer{}
	cfg := fromURL
	cfg.JWT.Secret = secret
	inTime(t, i, cfg, func(t *testing.T, v *auth.Verifier) {
		for range 50 {
			wantVerdict(t, v, es256(t, "p256", "a"), unavailable)
			wantVerdict(t, v, signed(t, "HS256", []byte(secret), "", claimsOf("u")), "")
			time.Sleep(100 * time.Millisecond)
		}
		if n := i.requests(); n != 1 {
			t.Errorf("%d requests in 5 s", n)
		}
		i.set(jwks(jwk("p256", "a", nil)))
		time.Sleep(6 * time.Second)
		wantVerdict(t, v, es256(t, "p256", "a"), "")
	})
}

func TestJWKS_AwayLaterKnownKeysGoOn(t *testing.T) {
	i := &issuer{text: jwks(jwk("p256", "a", nil))}
	inTime(t, i, fromURL, func(t *testing.T, v *auth.Verifier) {
		for _, broken := range []string{"", "<html>maintenance</html>", `{"keys":[]}`, `{"error":"x"}`, "[]", "null", strings.Repeat(" ", 2<<20)} {
			i.set(broken)
			time.Sleep(6 * time.Minute)
			wantVerdict(t, v, es256(t, "p256", "a"), "")
			wantVerdict(t, v, es256(t, "other", "b"), unavailable)
		}
		i.set(jwks(jwk("other", "b", nil)))
		time.Sleep(11 * time.Second)
		wantVerdict(t, v, es256(t, "other", "b"), "")
	})
}

func TestJWKS_WithdrawnKeyIsForgotten(t *testing.T) {
	i := &issuer{text: jwks(jwk("p256", "a", nil), jwk("other", "b", nil))}
	inTime(t, i, fromURL, func(t *testing.T, v *auth.Verifier) {
		i.set(jwks(jwk("other", "b", nil)))
		time.Sleep(5*time.Minute + time.Second)
		wantVerdict(t, v, es256(t, "p256", "a"), noKey)
	})
}

func TestJWKS_SlowIssuerHoldsUpNoTokenOfAKnownKey(t *testing.T) {
	i := &issuer{text: jwks(jwk("p256", "a", nil))}
	inTime(t, i, fromURL, func(t *testing.T, v *auth.Verifier) {
		i.mu.Lock()
		i.pause = time.Hour
		i.mu.Unlock()
		began := time.Now()
		pending := make(chan error, 1)
		v.Verify(es256(t, "other", "b"), func(_ *auth.Token, err error) { pending <- err })
		wantVerdict(t, v, es256(t, "p256", "a"), "")
		if waited := time.Since(began); waited != 0 {
			t.Errorf("waited %v", waited)
		}
		if err := <-pending; !errors.Is(err, auth.ErrUnavailable) || time.Since(began) != 5*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

// An expired token, one for others, or one of an algorithm that no key set has, is refused without asking the issuer.
func TestJWKS_TokenThatNoKeyCouldSaveCausesNoFetch(t *testing.T) {
	i := &issuer{text: jwks(jwk("p256", "a", nil))}
	cfg := fromURL
	cfg.JWT.Audience = "chat"
	inTime(t, i, cfg, func(t *testing.T, v *auth.Verifier) {
		expired := claimsOf("u")
		expired["exp"], expired["aud"] = 5, "chat"
		wantVerdict(t, v, signed(t, "ES256", keys()["other"], "b", expired), "token_expired: expired")
		wantVerdict(t, v, es256(t, "other", "b"), "token_invalid: no issuer or no audience")
		wantVerdict(t, v, signed(t, "HS256", []byte("x"), "b", expired), noKey)
		if n := i.requests(); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestJWKS_KeysWithoutIDs(t *testing.T) {
	i := &issuer{text: jwks(jwk("rsa", "", nil), jwk("p256", "", nil))}
	inTime(t, i, fromURL, func(t *testing.T, v *auth.Verifier) {
		wantVerdict(t, v, es256(t, "p256", ""), "")
		wantVerdict(t, v, es256(t, "p256", "named"), "")
		i.set(jwks(jwk("other", "", nil)))
		wantVerdict(t, v, es256(t, "other", ""), "") // fetched, though the token names no key
		wantVerdict(t, v, es256(t, "p256", ""), unavailable)
	})
}

func TestJWKS_KeysThatMustNotServeAreLeftOut(t *testing.T) {
	i := &issuer{text: jwks(
		map[string]any{"kty": "oct", "kid": "shared", "k": "c2VjcmV0", "alg": "HS256"},
		jwk("p256", "enc", map[string]any{"use": "enc"}),
		jwk("p256", "ops", map[string]any{"key_ops": []string{"encrypt"}}),
		jwk("p256", "alg", map[string]any{"alg": "ES512"}),
		map[string]any{"kty": "EC", "kid": "broken", "crv": "P-256", "x": "AA", "y": "AA"},
		map[string]any{"kty": "RSA", "kid": "small", "n": "AQAB", "e": "AQAB"},
		map[string]any{"kty": "XYZ", "kid": "new"},
		map[string]any{"kty": 7},
		jwk("p256", "good", map[string]any{"use": "sig", "key_ops": []string{"verify"}, "x5c": []string{"nonsense"}, "alg": "ES256"}),
	)}
	inTime(t, i, fromURL, func(t *testing.T, v *auth.Verifier) {
		wantVerdict(t, v, es256(t, "p256", "good"), "")
		wantVerdict(t, v, signed(t, "HS256", []byte("secret"), "shared", claimsOf("u")), noKey)
		for _, kid := range []string{"enc", "ops", "alg", "broken", "small"} {
			time.Sleep(10 * time.Second)
			wantVerdict(t, v, es256(t, "p256", kid), noKey)
		}
	})
}

func TestJWKS_LargeSets(t *testing.T) {
	set := func(n int) string {
		list := make([]map[string]any, n)
		for i := range list {
			list[i] = jwk("other", fmt.Sprint("k", i), nil)
		}
		list[n-1] = jwk("p256", "last", nil)
		return jwks(list...)
	}
	i := &issuer{text: set(1000)}
	inTime(t, i, fromURL, func(t *testing.T, v *auth.Verifier) {
		wantVerdict(t, v, es256(t, "p256", "last"), "")
		wantVerdict(t, v, es256(t, "p256", ""), "token_invalid: wrong signature") // of 1,000 keys 16 are tried
		i.set(set(1001))
		time.Sleep(6 * time.Minute)
		wantVerdict(t, v, es256(t, "p256", "last"), "") // the set before goes on
	})
}

func TestJWKS_AnotherURLBringsOtherKeys(t *testing.T) {
	i := &issuer{text: jwks(jwk("p256", "a", nil))}
	inTime(t, i, fromURL, func(t *testing.T, v *auth.Verifier) {
		same, err := v.Prepare(config.JWT{JWKS: fromURL.JWT.JWKS, Secret: secret})
		if err != nil {
			t.Fatal(err)
		}
		same()
		synctest.Wait()
		wantVerdict(t, v, es256(t, "p256", "a"), "")
		if n := i.requests(); n != 1 {
			t.Errorf("%d requests: the keys of the same URL are kept", n)
		}
		i.set(jwks(jwk("other", "b", nil)))
		other, err := v.Prepare(config.JWT{JWKS: "https://id.example/others"})
		if err != nil {
			t.Fatal(err)
		}
		other()
		synctest.Wait()
		wantVerdict(t, v, es256(t, "other", "b"), "")
		wantVerdict(t, v, es256(t, "p256", "a"), noKey)
	})
}

func TestJWKS_WhoWaitsWhenItEndsIsReleased(t *testing.T) {
	i := &issuer{text: jwks(jwk("p256", "a", nil)), pause: time.Hour}
	synctest.Test(t, func(t *testing.T) {
		v := verifier(t, fromURL, auth.Options{Transport: i})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			v.Run(ctx)
		}()
		synctest.Wait()
		pending := make(chan error, 1)
		v.Verify(es256(t, "p256", "a"), func(_ *auth.Token, err error) { pending <- err })
		cancel()
		<-ended
		if err := <-pending; !errors.Is(err, auth.ErrUnavailable) {
			t.Error(err)
		}
		wantVerdict(t, v, es256(t, "p256", "a"), unavailable)
	})
}

func TestJWKS_FetchesAreCounted(t *testing.T) {
	registry := prometheus.NewRegistry()
	i := &issuer{text: jwks(jwk("p256", "a", nil), jwk("rsa", "b", nil))}
	synctest.Test(t, func(t *testing.T) {
		v := verifier(t, fromURL, auth.Options{Transport: i, Registry: registry})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { v.Run(ctx) })
		synctest.Wait()
		i.set("<html>")
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		cancel()
		running.Wait()
	})
	var want bytes.Buffer
	want.WriteString(`# HELP carillon_jwks_keys Keys that signatures can be checked with in the key set fetched last. 0: none was fetched yet, or none is configured.
# TYPE carillon_jwks_keys gauge
carillon_jwks_keys 2
`)
	if err := testutil.GatherAndCompare(registry, &want, "carillon_jwks_keys"); err != nil {
		t.Error(err)
	}
	if n, err := testutil.GatherAndCount(registry, "carillon_jwks_fetches_total"); err != nil || n != 7 {
		t.Errorf("%d results, %v: the set is closed and all of it is there", n, err)
	}
}
