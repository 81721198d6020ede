package auth_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carillon-io/carillon/internal/auth"
	"github.com/carillon-io/carillon/internal/config"
)

func TestSign_MakesTokensThatItsConfigurationTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config.JWT{Secret: secret + "\nan old one", Issuer: "https://id.example", Audience: "chat", Algorithms: []string{"ES256", "HS512"}}
		token, err := auth.Sign(cfg, map[string]any{"sub": "u1", "roles": []string{"admin"}}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		v := verifier(t, config.Auth{JWT: cfg}, auth.Options{})
		got, err := judge(v, token)
		if err != nil || got.Subject != "u1" || !strings.Contains(string(got.Claims), `"roles":["admin"]`) {
			t.Errorf("%+v, %v", got, err)
		}
		time.Sleep(time.Minute)
		wantVerdict(t, v, token, "token_expired: expired")

		forever, err := auth.Sign(cfg, map[string]any{"aud": "other"}, 0)
		if err != nil {
			t.Fatal(err)
		}
		wantVerdict(t, v, forever, "token_invalid: wrong audience")
	})
}

func TestSign_NeedsASecret(t *testing.T) {
	for want, cfg := range map[string]config.JWT{
		"auth.jwt.secret":     {JWKS: "https://id.example/keys"},
		"auth.jwt.algorithms": {Secret: secret, Algorithms: []string{"RS256"}},
	} {
		if _, err := auth.Sign(cfg, nil, time.Minute); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s in it", err, want)
		}
	}
}
