package auth_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/auth"
	"github.com/carillon-io/carillon/internal/config"
)

// BenchmarkVerify is what a connect with a token costs more than one without, the first fetch of the key set aside.
func BenchmarkVerify(b *testing.B) {
	for _, c := range []struct {
		name, algorithm string
		key             any
	}{
		{"HS256", "HS256", []byte(secret)}, {"ES256", "ES256", keys()["p256"]}, {"RS256", "RS256", keys()["rsa"]}, {"EdDSA", "EdDSA", keys()["ed"]},
	} {
		b.Run(c.name, func(b *testing.B) {
			i := &issuer{text: jwks(jwk("p256", "k", nil), jwk("rsa", "k", nil), jwk("ed", "k", nil))}
			cfg := config.Auth{JWT: config.JWT{Secret: secret, JWKS: "https://id.example/keys", Issuer: "https://id.example", Audience: "chat"}}
			v := verifier(b, cfg, auth.Options{Transport: i})
			ctx, cancel := context.WithCancel(b.Context())
			var running sync.WaitGroup
			defer running.Wait()
			defer cancel()
			running.Go(func() { v.Run(ctx) })
			claims := claimsOf("2f6f4b9e-2f1c-4d0c-9d7b-9a3f1c2b7a10")
			claims["iss"], claims["aud"], claims["jti"] = "https://id.example", []string{"account", "chat"}, "b7d1c2f0"
			claims["realm_access"] = map[string]any{"roles": []string{"offline_access", "user"}}
			token := signed(b, c.algorithm, c.key, "k", claims)
			for _, err := judge(v, token); err != nil; _, err = judge(v, token) { // until Run has begun
			}
			b.ReportAllocs()
			for b.Loop() {
				v.Verify(token, func(_ *auth.Token, err error) {
					if err != nil {
						b.Fatal(err)
					}
				})
			}
		})
	}
}

func BenchmarkDeadlines(b *testing.B) {
	var ds auth.Deadlines
	many := make([]auth.Deadline, 100_000)
	for i := range many {
		ds.Set(&many[i], claimsExpiry(i))
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		ds.Set(&many[n*7919%len(many)], claimsExpiry(n))
	}
}

// claimsExpiry spreads tokens over an hour.
func claimsExpiry(n int) time.Time {
	return time.Now().Add(time.Hour + time.Duration(n%3600)*time.Second)
}
