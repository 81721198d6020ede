package auth_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/carillon-io/carillon/internal/auth"
	"github.com/carillon-io/carillon/internal/config"
)

// What a token may be made of, however it is put together: there is a verdict, at once, and a token found valid was signed
// and has claims that every reader reads alike.
func FuzzVerifier(f *testing.F) {
	v := verifier(f, config.Auth{JWT: config.JWT{Secret: secret, PublicKey: config.PEM(publicPEM(f, "p256", "rsa", "ed")), JWKS: "https://id.example/keys"}}, auth.Options{})
	f.Add(handmade(hs256, `{"sub":"u","exp":4102444800,"aud":["a","b"]}`), "", "")
	f.Add(es256(f, "other", "kid"), "", "")
	f.Add("..", `{"alg":"none"}`, `{"sub":"u"}`)
	f.Add("a.b.c", `{"alg":"HS256","kid":"\u0000","crit":[]}`, `{"sub":1e5,"exp":"x","nbf":null}`)
	f.Add("", `{"alg":"HS256"}`, strings.Repeat(`{"a":`, 100)+"1"+strings.Repeat("}", 100))
	f.Fuzz(func(t *testing.T, token, header, claims string) {
		for _, token := range []string{token, handmade(header, claims)} {
			calls := 0
			v.Verify(token, func(got *auth.Token, err error) {
				calls++
				if (got == nil) == (err == nil) {
					t.Fatalf("token %v, error %v", got, err)
				}
				if err != nil {
					return
				}
				var read map[string]any
				if json.Unmarshal(got.Claims, &read) != nil || read == nil {
					t.Fatalf("claims %q", got.Claims)
				}
				parts := strings.Split(token, ".")
				payload, err := base64.RawURLEncoding.DecodeString(parts[1])
				if err != nil || string(payload) != string(got.Claims) && strings.TrimSpace(string(payload)) != string(got.Claims) {
					t.Fatalf("claims %q of %q", got.Claims, payload)
				}
			})
			if calls != 1 {
				t.Fatalf("%d verdicts", calls)
			}
		}
	})
}

func FuzzKeySet(f *testing.F) {
	f.Add(jwks(jwk("p256", "a", nil), jwk("rsa", "b", map[string]any{"alg": "RS256"}), jwk("ed", "", nil)))
	f.Add(`{"keys":[{"kty":"EC","crv":"P-256","x":"AA==","y":"-_"},{"kty":"RSA","n":"","e":"AQ"},{"kty":"oct","k":""}]}`)
	f.Add(`{"keys":{"kty":"OKP"}}`)
	tokens := []string{es256(f, "p256", "a"), signed(f, "RS256", keys()["rsa"], "b", claimsOf("u")), es256(f, "p256", "")}
	f.Fuzz(func(t *testing.T, text string) {
		v := verifier(t, fromURL, auth.Options{Transport: &issuer{text: text}})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		running.Go(func() { v.Run(ctx) })
		for _, token := range tokens {
			if got, err := judge(v, token); (got == nil) == (err == nil) {
				t.Fatalf("token %v, error %v", got, err)
			}
		}
	})
}
