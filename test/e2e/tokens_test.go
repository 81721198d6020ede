package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/carillon-io/carillon/test/program"
)

// The official client with tokens whose keys nginx serves, and with an issuer that is away.
func TestTokens_WithTheOfficialClient(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	first, set := newKey(t)
	keys, served := startIssuer(t, set)
	away := program.FreeAddress(t)
	n, late := startTokenNode(t, redis, served), startTokenNode(t, redis, "http://"+away+"/jwks.json")
	runJS(t, "tokens", "NODES=http://"+n.address+",http://"+late.address, "REDIS="+redis, "KEYS="+keys, "FIRST="+first, "AWAY="+away)
}

// newKey returns a private key as PEM, and a key set with its public half under the id "first".
func newKey(t *testing.T) (private, set string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	set = fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","kid":"first","x":%q,"y":%q}]}`, b64(point[1:33]), b64(point[33:]))
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), set
}

// startIssuer runs nginx over a key set and returns the set's file and its URL.
func startIssuer(t *testing.T, set string) (file, url string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, []byte(set), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, startNginx(t, fmt.Sprintf(`server {
  listen 8000;
  location = /.well-known/jwks.json {
    alias %s;
    default_type application/json;
  }
}
`, file)) + "/.well-known/jwks.json"
}

// startTokenNode runs a gateway that takes tokens of the issuer's keys.
func startTokenNode(t *testing.T, redis, jwks string) node {
	t.Helper()
	n := node{address: program.FreeAddress(t), ops: program.FreeAddress(t)}
	config := fmt.Sprintf(`
server: {address: %q}
ops: {address: %q}
# A client that is sent away in the middle of its upgrade has stopped polling: only its heartbeat tells it.
engine: {ping_interval: 1s, ping_timeout: 2s}
redis: {url: %q}
drain: {delay: 0s, window: 1s}
auth: {jwt: {jwks: %q, issuer: https://id.example, audience: chat}}
namespaces:
  "/":
    connect:
      require: token
      do: [{join: ["user:${claims.sub}", "token:${has(claims.jti) ? claims.jti : 'none'}"]}]
    rules:
      - {event: who, ack: ["${claims}"]}
      - {event: in, ack: ["${args[0] in rooms}"]}
`, n.address, n.ops, redis, jwks)
	n.Program = start(t, "gateway", gatewayBinary, "serve", "--config", program.WriteFile(t, "gateway.yaml", config))
	n.Await(func() bool { return program.Answers200("http://" + n.ops + "/readyz") })
	return n
}
