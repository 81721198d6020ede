package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/carillon-io/carillon/internal/config"
)

// certificate is what the clients' listener shows. It can be renewed while connections are open: each keeps the one it
// began with.
type certificate struct {
	current atomic.Pointer[shown]
}

// shown is a certificate in force.
type shown struct {
	pair    tls.Certificate
	expires time.Time // the first of the chain to do so
}

// prepare reads what cfg names and returns how to put it in force; without a certificate there is nothing to do.
func (c *certificate) prepare(cfg config.TLS) (renew func(), err error) {
	if cfg.Cert == "" {
		return func() {}, nil
	}
	pair, err := keyPair("server.tls", cfg.Cert, cfg.Key)
	if err != nil {
		return nil, err
	}
	expires, err := firstExpiry(pair.Certificate)
	if err != nil {
		return nil, fmt.Errorf("server.tls.cert: %w", err)
	}
	return func() { c.current.Store(&shown{pair, expires}) }, nil
}

// keyPair reads a certificate and its key, which are keys of section; the error names each that is wrong.
func keyPair(section string, cert config.PEM, key config.PrivateKey) (tls.Certificate, error) {
	certText, noCert := pemText(section+".cert", string(cert))
	keyText, noKey := pemText(section+".key", string(key))
	if err := errors.Join(noCert, noKey); err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(certText, keyText)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s: %w", section, err)
	}
	return pair, nil
}

// pemText returns the text itself, or the content of the file that it names; the error begins with key.
func pemText(key, textOrFile string) ([]byte, error) {
	if strings.Contains(textOrFile, "-----BEGIN") {
		return []byte(textOrFile), nil
	}
	text, err := os.ReadFile(textOrFile)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, config.FileError(textOrFile, err))
	}
	return text, nil
}

// serverConfig is how the listener encrypts: HTTP/2 for polling where the client offers it, HTTP/1.1 for WebSocket.
func (c *certificate) serverConfig() *tls.Config {
	return &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &c.current.Load().pair, nil },
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		// Small records at the start of each burst help pages to render early. Here they would cut a message in pieces.
		DynamicRecordSizingDisabled: true,
	}
}

// firstExpiry is when the first certificate of a chain expires, which breaks the whole of it.
func firstExpiry(chain [][]byte) (time.Time, error) {
	var first time.Time
	for i, der := range chain {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return first, fmt.Errorf("certificate %d of the chain: %w", i+1, err)
		}
		if i == 0 || cert.NotAfter.Before(first) {
			first = cert.NotAfter
		}
	}
	return first, nil
}

// certificateFiles are the files that cfg names.
func certificateFiles(cfg config.TLS) []string {
	var files []string
	for _, value := range []string{string(cfg.Cert), string(cfg.Key)} {
		if value != "" && !strings.Contains(value, "-----BEGIN") {
			files = append(files, value)
		}
	}
	return files
}
