package main

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/auth"
	"github.com/carillon-io/carillon/internal/config"
)

// verify judges a printed token and returns its claims.
func verify(t *testing.T, cfg config.JWT, printed string) (claims map[string]any, err error) {
	t.Helper()
	v, failed := auth.New(config.Auth{JWT: cfg}, auth.Options{})
	if failed != nil {
		t.Fatal(failed)
	}
	v.Verify(strings.TrimSpace(printed), func(token *auth.Token, verdict error) {
		if err = verdict; err == nil {
			err = json.Unmarshal(token.Claims, &claims)
		}
	})
	return claims, err
}

func TestToken_IsWhatTheFlagsSay(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := execute(t, "token", "--secret", "s3cret", "--sub", "ann", "--ttl", "10m",
		"--claim", "tenant=acme", "--claim", `roles=["a","b"]`, "--claim", "level=7", "--claim", "text=a=b", "--claim", "empty=")
	if code != exitClean || stderr != "" {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	claims, err := verify(t, config.JWT{Secret: "s3cret"}, stdout)
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(time.Unix(int64(claims["exp"].(float64)), 0)); left < 8*time.Minute || left > 10*time.Minute {
		t.Errorf("expires in %v", left)
	}
	delete(claims, "exp")
	delete(claims, "iat")
	want := map[string]any{"sub": "ann", "tenant": "acme", "roles": []any{"a", "b"}, "level": 7.0, "text": "a=b", "empty": ""}
	if !reflect.DeepEqual(claims, want) {
		t.Errorf("claims %v, want %v", claims, want)
	}
}

func TestToken_OfAConfigurationIsWhatItsNodesTake(t *testing.T) {
	t.Parallel()
	file := write(t, "auth: {jwt: {secret: s3cret, issuer: me, audience: chat, algorithms: [HS384]}}\n")
	code, stdout, stderr := execute(t, "token", "--config", file, "--ttl", "0")
	if code != exitClean {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	claims, err := verify(t, config.JWT{Secret: "s3cret", Issuer: "me", Audience: "chat", Algorithms: []string{"HS384"}}, stdout)
	if err != nil || claims["exp"] != nil {
		t.Errorf("%v, %v", claims, err)
	}
	header, err := base64.RawURLEncoding.DecodeString(stdout[:strings.IndexByte(stdout, '.')])
	if err != nil || !strings.Contains(string(header), "HS384") {
		t.Errorf("header %s", header)
	}
}

func TestToken_WrongUse(t *testing.T) {
	t.Parallel()
	keys := write(t, "auth: {jwt: {jwks: 'https://id.example/keys'}}\n")
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "which secret?"},
		{[]string{"--secret", "s", "--config", keys}, "which secret?"},
		{[]string{"--config", keys}, "auth.jwt.secret"},
		{[]string{"--secret", "s", "--claim", "tenant"}, `"tenant" is not name=value`},
		{[]string{"--secret", "s", "--claim", "=x"}, "is not name=value"},
		{[]string{"--secret", "s", "--sub", "a", "--claim", "sub=b"}, "names a claim given before"},
	} {
		code, stdout, stderr := execute(t, append([]string{"token"}, c.args...)...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: exit %d, it said %s%s", c.args, code, stdout, stderr)
		}
	}
}
