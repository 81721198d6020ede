package auth_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"github.com/carillon-io/carillon/internal/auth"
	"github.com/carillon-io/carillon/internal/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "a secret of more than thirty-two bytes"

// keys are made once: RSA keys take a while.
var keys = sync.OnceValue(func() map[string]crypto.Signer {
	must := func(k crypto.Signer, err error) crypto.Signer {
		if err != nil {
			panic(err)
		}
		return k
	}
	ec := func(c elliptic.Curve) crypto.Signer { return must(ecdsa.GenerateKey(c, rand.Reader)) }
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	return map[string]crypto.Signer{
		"rsa":   must(rsa.GenerateKey(rand.Reader, 2048)),
		"p256":  ec(elliptic.P256()),
		"other": ec(elliptic.P256()),
		"p384":  ec(elliptic.P384()),
		"p521":  ec(elliptic.P521()),
		"ed":    must(ed, err),
	}
})

// publicPEM is the public half of keys as PEM.
func publicPEM(t testing.TB, names ...string) string {
	t.Helper()
	var text bytes.Buffer
	for _, name := range names {
		der, err := x509.MarshalPKIXPublicKey(keys()[name].Public())
		if err != nil {
			t.Fatal(err)
		}
		if err := pem.Encode(&text, &pem.Block{Type: "PUBLIC KEY", Bytes: der}); err != nil {
			t.Fatal(err)
		}
	}
	return text.String()
}

// signed is a token; kid may be empty.
func signed(t testing.TB, algorithm string, key any, kid string, claims jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.GetSigningMethod(algorithm), claims)
	if kid != "" {
		token.Header["kid"] = kid
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// claimsOf are claims of a token that is valid for an hour.
func claimsOf(subject string) jwt.MapClaims {
	return jwt.MapClaims{"sub": subject, "exp": time.Now().Add(time.Hour).Unix()}
}

// handmade is a token of a header and claims as they stand, signed with the secret.
func handmade(header, claims string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	signature, err := jwt.SigningMethodHS256.Sign(text, []byte(secret))
	if err != nil {
		panic(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

const hs256 = `{"alg":"HS256"}`

func verifier(t testing.TB, cfg config.Auth, o auth.Options) *auth.Verifier {
	t.Helper()
	v, err := auth.New(cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// judge returns the verdict about a token, after a fetch where it takes one.
func judge(v *auth.Verifier, token string) (*auth.Token, error) {
	type verdict struct {
		token *auth.Token
		err   error
	}
	done := make(chan verdict, 1)
	v.Verify(token, func(t *auth.Token, err error) { done <- verdict{t, err} })
	got := <-done
	return got.token, got.err
}

// reason is how an error shows in tables: the reason of an *auth.Error behind its code, empty for none.
func reason(err error) string {
	var verdict *auth.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &verdict):
		return fmt.Sprintf("%s: %s", verdict.Code, verdict.Reason)
	}
	return err.Error()
}

// jwk is the public half of a key as it stands in a key set.
func jwk(name, kid string, more map[string]any) map[string]any {
	b64 := base64.RawURLEncoding.EncodeToString
	form := map[string]any{}
	switch k := keys()[name].Public().(type) {
	case *rsa.PublicKey:
		form = map[string]any{"kty": "RSA", "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes())}
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil {
			panic(err)
		}
		half := len(point) / 2
		form = map[string]any{"kty": "EC", "crv": k.Curve.Params().Name, "x": b64(point[1 : 1+half]), "y": b64(point[1+half:])}
	case ed25519.PublicKey:
		form = map[string]any{"kty": "OKP", "crv": "Ed25519", "x": b64(k)}
	}
	if kid != "" {
		form["kid"] = kid
	}
	for name, value := range more {
		form[name] = value
	}
	return form
}

// jwks is a key set.
func jwks(keys ...map[string]any) string {
	text, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		panic(err)
	}
	return string(text)
}
