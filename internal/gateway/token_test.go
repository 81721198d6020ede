package gateway_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/carillon-io/carillon/internal/auth"
	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/gateway"
	"github.com/carillon-io/carillon/pkg/socketio/socketiotest"
)

const guarded = `namespaces: {'/': {connect: {require: token}, rules: [{event: who, ack: ["${claims.sub}"]}]}}
`

// withSecret is a configuration that lets in who has a token of the secret.
func withSecret(secret, rest string) string {
	return quick + fmt.Sprintf("auth: {jwt: {secret: %q}}\n", secret) + guarded + rest
}

func tokenOf(t *testing.T, secret, subject string) string {
	t.Helper()
	text, err := auth.Sign(config.JWT{Secret: config.Secret(secret)}, map[string]any{"sub": subject}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func bringing(token string) socketiotest.Options {
	return socketiotest.Options{Auth: map[string]string{"token": token}, Patience: time.Minute}
}

func TestTokens_AReloadChangesKeysAndDropsNobody(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "carillon.yaml")
	save(t, file, withSecret("the first secret", ""))
	i, _ := runFile(t, file)
	old, young := tokenOf(t, "the first secret", "ann"), tokenOf(t, "the second secret", "bob")
	ann := client{socketiotest.Dial(t, i.clients, bringing(old)), t}
	if r := socketiotest.DialRefused(t, i.clients, bringing(young)); r.Message != "the token is not valid" {
		t.Fatalf("before: %+v", r)
	}
	save(t, file, withSecret("the second secret\nthe first secret", ""))
	if err := i.Reload(); err != nil {
		t.Fatal(err)
	}
	client{socketiotest.Dial(t, i.clients, bringing(young)), t}.asks(`["bob"]`, "who")
	client{socketiotest.Dial(t, i.clients, bringing(old)), t}.asks(`["ann"]`, "who")
	save(t, file, withSecret("the second secret", ""))
	if err := i.Reload(); err != nil {
		t.Fatal(err)
	}
	if r := socketiotest.DialRefused(t, i.clients, bringing(old)); r.Message != "the token is not valid" || !strings.Contains(string(r.Data), `"code":"token_invalid"`) {
		t.Errorf("after: %+v", r)
	}
	ann.asks(`["ann"]`, "who")
}

// signer is a key and its public half as PEM.
func signer(t *testing.T) (*ecdsa.PrivateKey, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func TestTokens_APublicKeyIsReadAgainWhenItsFileChanges(t *testing.T) {
	t.Parallel()
	first, firstPEM := signer(t)
	second, secondPEM := signer(t)
	dir := t.TempDir()
	keys, file := filepath.Join(dir, "keys.pem"), filepath.Join(dir, "carillon.yaml")
	save(t, keys, firstPEM)
	save(t, file, quick+fmt.Sprintf("auth: {jwt: {public_key: %q}}\n", keys)+guarded)
	i, _ := runFile(t, file)
	signed := func(key *ecdsa.PrivateKey) string {
		text, err := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"sub": "ann"}).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	client{socketiotest.Dial(t, i.clients, bringing(signed(first))), t}.asks(`["ann"]`, "who")
	if r := socketiotest.DialRefused(t, i.clients, bringing(signed(second))); r.Message == "" {
		t.Fatalf("before: %+v", r)
	}
	save(t, keys, firstPEM+secondPEM)
	i.poll(t, "/metrics", func(_ int, body string) bool { // the node sees the change by itself
		return strings.Contains(body, `carillon_config_reloads_total{result="applied"} 1`)
	})
	client{socketiotest.Dial(t, i.clients, bringing(signed(second))), t}.asks(`["ann"]`, "who")
	client{socketiotest.Dial(t, i.clients, bringing(signed(first))), t}.asks(`["ann"]`, "who")
}

func TestTokens_ACookieCountsForOwnAndListedPagesOnly(t *testing.T) {
	t.Parallel()
	i := run(t, quick+`server: {origins: ["https://app.example", "https://*.apps.example"]}
auth: {jwt: {secret: s3cret}, token: [cookie.session]}
`+guarded)
	cookie := "session=" + tokenOf(t, "s3cret", "ann")
	with := func(headers ...string) socketiotest.Options {
		o := socketiotest.Options{Header: http.Header{"Cookie": {cookie}}, Patience: time.Minute}
		for n := 0; n < len(headers); n += 2 {
			o.Header.Set(headers[n], headers[n+1])
		}
		return o
	}
	for _, headers := range [][]string{
		{"Origin", "https://app.example"}, {"Origin", "https://a.apps.example"}, {"Origin", i.clients},
		{"Sec-Fetch-Site", "same-origin"},
	} {
		client{socketiotest.Dial(t, i.clients, with(headers...)), t}.asks(`["ann"]`, "who")
	}
	for _, headers := range [][]string{nil, {"Sec-Fetch-Site", "cross-site"}} {
		if r := socketiotest.DialRefused(t, i.clients, with(headers...)); r.Message != "a token is required" {
			t.Errorf("%v: %+v", headers, r)
		}
	}
}

func TestCheck_NamesAKeyThatCannotBeRead(t *testing.T) {
	t.Parallel()
	cfg := load(t, quick+"auth: {jwt: {public_key: /nowhere.pem}}\n")
	if err := gateway.Check(cfg, nil); err == nil || !strings.Contains(err.Error(), "auth.jwt.public_key: open /nowhere.pem") {
		t.Error(err)
	}
}
