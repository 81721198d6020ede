package certtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/carillon-io/carillon/test/program"
)

// Certificate is a certificate and its key, as PEM text.
type Certificate struct {
	Cert, Key []byte
}

// New makes a certificate that is signed with its own key and good for an hour.
func New(t testing.TB, name string) Certificate {
	t.Helper()
	return Until(t, name, time.Now().Add(time.Hour))
}

// Until makes a certificate that is signed with its own key and good until a time.
func Until(t testing.TB, name string, expires time.Time) Certificate {
	t.Helper()
	key := newKey(t)
	template := loopback(name, expires)
	return sign(t, template, template, key, key)
}

// Pool trusts the certificate.
func (c Certificate) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(c.Cert)
	return pool
}

// Trusting returns how a client connects that trusts the certificate and nothing else.
func (c Certificate) Trusting() *tls.Config {
	return &tls.Config{RootCAs: c.Pool(), MinVersion: tls.VersionTLS12}
}

// Files writes the certificate and its key into files of the test.
func (c Certificate) Files(t testing.TB) (cert, key string) {
	t.Helper()
	return program.WriteFile(t, "tls.crt", string(c.Cert)), program.WriteFile(t, "tls.key", string(c.Key))
}

// Pair is the certificate as [tls.Config] wants it.
func (c Certificate) Pair(t testing.TB) tls.Certificate {
	t.Helper()
	pair, err := tls.X509KeyPair(c.Cert, c.Key)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// Authority signs certificates of servers and of clients. Its own signs nothing but those.
type Authority struct {
	Certificate

	template *x509.Certificate
	key      *ecdsa.PrivateKey
}

// NewAuthority makes an authority.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{template: loopback("authority", time.Now().Add(time.Hour)), key: newKey(t)}
	a.template.IsCA = true
	a.Certificate = sign(t, a.template, a.template, a.key, a.key)
	return a
}

// Issue makes a certificate that is good for an hour.
func (a *Authority) Issue(t testing.TB, name string) Certificate {
	t.Helper()
	return sign(t, loopback(name, time.Now().Add(time.Hour)), a.template, newKey(t), a.key)
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func loopback(name string, expires time.Time) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()), // an authority signs no two with the same number
		Subject:               pkix.Name{CommonName: name},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              expires,
		BasicConstraintsValid: true,
	}
}

// sign certifies a key with that of the parent.
func sign(t testing.TB, template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return Certificate{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
	}
}
