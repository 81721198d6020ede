package auth_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/carillon-io/carillon/internal/auth"
	"github.com/carillon-io/carillon/internal/config"
)

func TestVerifier_AcceptsEachAlgorithmWithItsKeyOnly(t *testing.T) {
	signers := map[string]string{
		"RS256": "rsa", "RS384": "rsa", "RS512": "rsa", "PS256": "rsa", "PS384": "rsa", "PS512": "rsa",
		"ES256": "p256", "ES384": "p384", "ES512": "p521", "EdDSA": "ed",
	}
	all := publicPEM(t, "rsa", "other", "p256", "p384", "p521", "ed")
	for algorithm, name := range signers {
		token := signed(t, algorithm, keys()[name], "whatever/../../etc", claimsOf("u1"))
		for _, c := range []struct {
			cfg  config.JWT
			want string
		}{
			{config.JWT{PublicKey: config.PEM(publicPEM(t, name))}, ""},
			{config.JWT{PublicKey: config.PEM(all), Secret: secret}, ""},
			{config.JWT{PublicKey: config.PEM(all), Algorithms: []string{algorithm}}, ""},
			{config.JWT{PublicKey: config.PEM(all), Algorithms: []string{"HS256"}}, "token_invalid: algorithm not allowed"},
			{config.JWT{Secret: secret}, "token_invalid: no key for it"},
		} {
			got, err := judge(verifier(t, config.Auth{JWT: c.cfg}, auth.Options{}), token)
			if reason(err) != c.want {
				t.Errorf("%s with %v: %q, want %q", algorithm, c.cfg.Algorithms, reason(err), c.want)
			}
			if c.want == "" && (got == nil || got.Subject != "u1") {
				t.Errorf("%s: token %v", algorithm, got)
			}
		}
	}
	for _, algorithm := range []string{"HS256", "HS384", "HS512"} {
		token := signed(t, algorithm, []byte(secret), "", claimsOf("u1"))
		if _, err := judge(verifier(t, config.Auth{JWT: config.JWT{Secret: "an old one\n" + secret + "\n"}}, auth.Options{}), token); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
}

func TestVerifier_KeyOfAnotherCurveDoesNotFit(t *testing.T) {
	v := verifier(t, config.Auth{JWT: config.JWT{PublicKey: config.PEM(publicPEM(t, "p384"))}}, auth.Options{})
	if _, err := judge(v, signed(t, "ES256", keys()["p256"], "", claimsOf("u"))); reason(err) != "token_invalid: no key for it" {
		t.Error(err)
	}
}

func TestVerifier_PublicKeyIsNoSecret(t *testing.T) {
	text := publicPEM(t, "rsa")
	v := verifier(t, config.Auth{JWT: config.JWT{PublicKey: config.PEM(text)}}, auth.Options{})
	for _, confused := range []string{text, strings.TrimSpace(text)} {
		token := signed(t, "HS256", []byte(confused), "", claimsOf("admin"))
		if _, err := judge(v, token); reason(err) != "token_invalid: no key for it" {
			t.Error(err)
		}
	}
}

func TestVerifier_RefusesWhatIsNotATokenOfItsKind(t *testing.T) {
	cfg := config.Auth{JWT: config.JWT{Secret: secret, Issuer: "https://id.example", Audience: "chat"}}
	v := verifier(t, cfg, auth.Options{})
	const good = `"iss":"https://id.example","aud":"chat"`
	claims := func(more string) string { return handmade(hs256, "{"+good+more+"}") }
	valid := claims("")
	if _, err := judge(v, valid); err != nil {
		t.Fatalf("the pattern of this table is refused: %v", err)
	}
	many := strings.Builder{}
	for i := range 10_000 {
		fmt.Fprintf(&many, `,"c%d":0`, i)
	}
	crowded := strings.Builder{}
	for i := range 900 {
		fmt.Fprintf(&crowded, `,"c%d":0`, i)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	for name, c := range map[string]struct{ token, want string }{
		"empty":                   {"", "token_invalid: malformed"},
		"no dots":                 {"abc", "token_invalid: malformed"},
		"a dot too many":          {valid + ".", "token_invalid: malformed"},
		"no signature":            {valid[:strings.LastIndexByte(valid, '.')+1], "token_invalid: wrong signature"},
		"wrong signature":         {valid[:len(valid)-2] + "AA", "token_invalid: wrong signature"},
		"padding":                 {valid + "=", "token_invalid: malformed"},
		"loose bits at the end":   {valid[:len(valid)-1] + "B", "token_invalid: malformed"},
		"a megabyte":              {valid + strings.Repeat("A", 1<<20), "token_invalid: longer than 16 KiB"},
		"10,000 claims":           {claims(many.String()), "token_invalid: longer than 16 KiB"},
		"900 claims":              {claims(crowded.String()), ""},
		"nested 64 deep":          {claims(`,"x":` + strings.Repeat("[", 63) + strings.Repeat("]", 63)), ""},
		"nested 1,000 deep":       {claims(`,"x":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000)), "token_invalid: malformed claims"},
		"none":                    {b64([]byte(`{"alg":"none"}`)) + "." + b64([]byte("{"+good+"}")) + ".", "token_invalid: algorithm not allowed"},
		"NONE":                    {handmade(`{"alg":"NoNe"}`, "{"+good+"}"), "token_invalid: algorithm not allowed"},
		"no algorithm":            {handmade(`{}`, "{"+good+"}"), "token_invalid: algorithm not allowed"},
		"algorithm not a text":    {handmade(`{"alg":["HS256"]}`, "{"+good+"}"), "token_invalid: algorithm not allowed"},
		"unknown algorithm":       {handmade(`{"alg":"HS257"}`, "{"+good+"}"), "token_invalid: algorithm not allowed"},
		"crit":                    {handmade(`{"alg":"HS256","crit":["exp"]}`, "{"+good+"}"), "token_invalid: header with crit"},
		"empty crit":              {handmade(`{"alg":"HS256","crit":null}`, "{"+good+"}"), "token_invalid: header with crit"},
		"algorithm twice":         {handmade(`{"alg":"none","alg":"HS256"}`, "{"+good+"}"), "token_invalid: malformed header"},
		"header nested deep":      {handmade(`{"alg":"HS256","x":`+strings.Repeat("[", 99)+strings.Repeat("]", 99)+`}`, "{"+good+"}"), "token_invalid: malformed header"},
		"header is a list":        {handmade(`["HS256"]`, "{"+good+"}"), "token_invalid: malformed"},
		"kid not a text":          {handmade(`{"alg":"HS256","kid":7}`, "{"+good+"}"), "token_invalid: kid is not a text of at most 256 bytes"},
		"kid of 257 bytes":        {handmade(`{"alg":"HS256","kid":"`+strings.Repeat("k", 257)+`"}`, "{"+good+"}"), "token_invalid: kid is not a text of at most 256 bytes"},
		"kid with path":           {handmade(`{"alg":"HS256","kid":"../../../dev/null"}`, "{"+good+"}"), ""},
		"kid for a shell":         {handmade(`{"alg":"HS256","kid":"x' UNION SELECT 'k\u0000"}`, "{"+good+"}"), ""},
		"jku, x5u and jwk":        {handmade(`{"alg":"HS256","jku":"http://127.0.0.1:1/","x5u":"http://127.0.0.1:1/","jwk":{"kty":"oct","k":""}}`, "{"+good+"}"), ""},
		"claims null":             {handmade(hs256, `null`), "token_invalid: malformed claims"},
		"claims a list":           {handmade(hs256, `[]`), "token_invalid: malformed claims"},
		"claims not JSON":         {handmade(hs256, `{"iss":`), "token_invalid: malformed"},
		"claims and more":         {handmade(hs256, "{"+good+"}{}"), "token_invalid: malformed"},
		"claim twice":             {claims(`,"role":"user","role":"admin"`), "token_invalid: malformed claims"},
		"claim twice, escaped":    {claims(`,"role":"user","r\u006fle":"admin"`), "token_invalid: malformed claims"},
		"claim twice, below":      {claims(`,"x":[{"a":1,"a":2}]`), "token_invalid: malformed claims"},
		"claim with half a pair":  {claims(`,"x":"\ud800"`), "token_invalid: malformed claims"},
		"claim not UTF-8":         {claims(",\"x\":\"\xff\""), "token_invalid: malformed claims"},
		"exp a text":              {claims(`,"exp":"2099-01-01"`), "token_invalid: malformed claims"},
		"exp a number as text":    {claims(`,"exp":"4102444800"`), "token_invalid: malformed claims"},
		"exp null":                {claims(`,"exp":null`), "token_invalid: malformed claims"},
		"exp a list":              {claims(`,"exp":[4102444800]`), "token_invalid: malformed claims"},
		"exp true":                {claims(`,"exp":true`), "token_invalid: malformed claims"},
		"exp in the year 31,000":  {claims(`,"exp":9e11`), "token_invalid: malformed claims"},
		"exp without end":         {claims(`,"exp":1e999`), "token_invalid: malformed claims"},
		"exp a fraction":          {claims(`,"exp":4102444800.5`), ""},
		"exp with exponent":       {claims(`,"exp":4.1024448e9`), ""},
		"expired":                 {claims(`,"exp":1000000000`), "token_expired: expired"},
		"expired before 1970":     {claims(`,"exp":-5`), "token_expired: expired"},
		"expired, wrongly signed": {handmade(hs256, "{"+good+`,"exp":5}`)[:40] + "AAAA", "token_invalid: malformed"},
		"not valid yet":           {claims(`,"nbf":4102444800`), "token_invalid: not valid yet"},
		"nbf a text":              {claims(`,"nbf":"now"`), "token_invalid: malformed claims"},
		"valid since long":        {claims(`,"nbf":5,"iat":"never checked"`), ""},
		"no issuer":               {handmade(hs256, `{"aud":"chat"}`), "token_invalid: no issuer or no audience"},
		"another issuer":          {handmade(hs256, `{"iss":"https://id.example/","aud":"chat"}`), "token_invalid: wrong issuer"},
		"issuer a list":           {handmade(hs256, `{"iss":["https://id.example"],"aud":"chat"}`), "token_invalid: malformed claims"},
		"no audience":             {handmade(hs256, `{"iss":"https://id.example"}`), "token_invalid: no issuer or no audience"},
		"another audience":        {handmade(hs256, `{"iss":"https://id.example","aud":"chats"}`), "token_invalid: wrong audience"},
		"audiences":               {handmade(hs256, `{"iss":"https://id.example","aud":["account","chat"]}`), ""},
		"no such audience":        {handmade(hs256, `{"iss":"https://id.example","aud":["account"]}`), "token_invalid: wrong audience"},
		"empty audiences":         {handmade(hs256, `{"iss":"https://id.example","aud":[]}`), "token_invalid: no issuer or no audience"},
		"audience of numbers":     {handmade(hs256, `{"iss":"https://id.example","aud":["chat",7]}`), "token_invalid: malformed claims"},
		"audience a number":       {handmade(hs256, `{"iss":"https://id.example","aud":7}`), "token_invalid: malformed claims"},
		"subject a number":        {claims(`,"sub":42`), ""},
		"subject a fraction":      {claims(`,"sub":4.2`), "token_invalid: malformed claims"},
		"subject a list":          {claims(`,"sub":["u"]`), "token_invalid: malformed claims"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := judge(v, c.token)
			if reason(err) != c.want {
				t.Errorf("%q, want %q", reason(err), c.want)
			}
		})
	}
}

func TestVerifier_ClaimsAreThoseOfTheToken(t *testing.T) {
	v := verifier(t, config.Auth{JWT: config.JWT{Secret: secret}}, auth.Options{})
	text := ` {"sub":"u1", "n":1.50, "exp":4102444800.25}`
	got, err := judge(v, handmade(hs256, text))
	if err != nil {
		t.Fatal(err)
	}
	if string(got.Claims) != strings.TrimSpace(text) && string(got.Claims) != text {
		t.Errorf("claims %s", got.Claims)
	}
	if want := time.Unix(4102444800, 250_000_000); !got.Expires.Equal(want) {
		t.Errorf("expires %v, want %v", got.Expires, want)
	}
	if got, _ := judge(v, handmade(hs256, `{}`)); !got.Expires.IsZero() || got.Subject != "" {
		t.Errorf("of no claims: %+v", got)
	}
}

func TestVerifier_LeewayForgivesClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := verifier(t, config.Auth{JWT: config.JWT{Secret: secret}, Leeway: 10 * time.Second}, auth.Options{})
		now := time.Now()
		at := func(claim string, d time.Duration) string {
			return signed(t, "HS256", []byte(secret), "", jwt.MapClaims{claim: now.Add(d).Unix()})
		}
		for _, c := range []struct {
			claim string
			d     time.Duration
			want  string
		}{
			{"exp", -9 * time.Second, ""},
			{"exp", -10 * time.Second, "token_expired: expired"},
			{"nbf", 10 * time.Second, ""},
			{"nbf", 11 * time.Second, "token_invalid: not valid yet"},
		} {
			got, err := judge(v, at(c.claim, c.d))
			if reason(err) != c.want {
				t.Errorf("%s %v: %v", c.claim, c.d, err)
			}
			if c.claim == "exp" && err == nil && !got.Expires.Equal(now.Add(c.d+10*time.Second)) {
				t.Errorf("expires %v", got.Expires)
			}
		}
	})
}

func TestVerifier_KeysChangeWhileItRuns(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key.pem")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(publicPEM(t, "p256"))
	cfg := config.JWT{PublicKey: config.PEM(file)}
	v := verifier(t, config.Auth{JWT: cfg}, auth.Options{})
	old, young := signed(t, "ES256", keys()["p256"], "", claimsOf("u")), signed(t, "EdDSA", keys()["ed"], "", claimsOf("u"))
	state := func() string {
		_, a := judge(v, old)
		_, b := judge(v, young)
		return fmt.Sprint(a == nil, b == nil)
	}
	if got := state(); got != "true false" {
		t.Fatal(got)
	}
	write(publicPEM(t, "p256", "ed"))
	replace, err := v.Prepare(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got := state(); got != "true false" {
		t.Errorf("before the keys are in force: %s", got)
	}
	replace()
	if got := state(); got != "true true" {
		t.Errorf("with both keys: %s", got)
	}
	write("-----BEGIN PUBLIC KEY-----\nnonsense")
	if _, err := v.Prepare(cfg); err == nil || !strings.Contains(err.Error(), "auth.jwt.public_key") {
		t.Errorf("a broken file: %v", err)
	}
	if got := state(); got != "true true" {
		t.Errorf("after a broken file: %s", got)
	}
	cfg.PublicKey = "hunter2"
	if _, err := v.Prepare(cfg); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a secret in the place of a file: %v", err)
	}
}

func TestNew_RefusesKeysThatCannotServe(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	asPEM := func(kind string, der []byte) string {
		var text bytes.Buffer
		if err := pem.Encode(&text, &pem.Block{Type: kind, Bytes: der}); err != nil {
			t.Fatal(err)
		}
		return text.String()
	}
	private, err := x509.MarshalPKCS8PrivateKey(keys()["ed"])
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ text, want string }{
		"missing file": {filepath.Join(t.TempDir(), "none.pem"), "no such file"},
		"private key":  {asPEM("PRIVATE KEY", private), "a private key"},
		"short RSA":    {asPEM("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&small.PublicKey)), "1024 bits"},
		"other PEM":    {asPEM("DH PARAMETERS", []byte{1}), "DH PARAMETERS"},
		"second":       {publicPEM(t, "ed") + asPEM("PUBLIC KEY", []byte{1}), "key 2"},
		"more text":    {publicPEM(t, "ed") + "and so on", "not PEM"},
	} {
		if _, err := auth.New(config.Auth{JWT: config.JWT{PublicKey: config.PEM(c.text)}}, auth.Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", name, err, c.want)
		}
	}
}

func TestVerifier_WithoutKeysDoesNotLook(t *testing.T) {
	if verifier(t, config.Auth{}, auth.Options{}).Looks() {
		t.Error("looks")
	}
	if !verifier(t, config.Auth{JWT: config.JWT{Secret: "s"}}, auth.Options{}).Looks() {
		t.Error("does not look")
	}
}
