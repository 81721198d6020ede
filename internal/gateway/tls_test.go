package gateway_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/gateway"
	"github.com/carillon-io/carillon/test/await"
	"github.com/carillon-io/carillon/test/certtest"
)

// newCertificate makes a certificate for loopback and its key, as PEM.
func newCertificate(t *testing.T, name string) (cert, key []byte) {
	t.Helper()
	return newCertificateUntil(t, name, time.Now().Add(time.Hour))
}

func newCertificateUntil(t *testing.T, name string, expires time.Time) (cert, key []byte) {
	t.Helper()
	c := certtest.Until(t, name, expires)
	return c.Cert, c.Key
}

// trusting is how a client connects that trusts cert.
func trusting(cert []byte) *tls.Config {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(cert)
	return &tls.Config{RootCAs: roots}
}

// encrypted runs a gateway on a certificate and key in files.
func encrypted(t *testing.T, cert, key []byte) (i *instance, certFile, keyFile string) {
	t.Helper()
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	save(t, certFile, string(cert))
	save(t, keyFile, string(key))
	file := filepath.Join(dir, "carillon.yaml")
	save(t, file, answering("yes", "server: {tls: {cert: '"+certFile+"', key: '"+keyFile+"'}}\n"))
	i, _ = runFile(t, file)
	i.clients = "https://" + i.address
	return i, certFile, keyFile
}

func TestTLS_HTTP2ForPollingAndHTTP1ForWebSocket(t *testing.T) {
	t.Parallel()
	cert, key := newCertificate(t, "one")
	i, _, _ := encrypted(t, cert, key)
	transport := &http.Transport{TLSClientConfig: trusting(cert), ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	response, body := knock(t, &http.Client{Transport: transport}, i.clients)
	if response.ProtoMajor != 2 || response.StatusCode != http.StatusOK || !strings.HasPrefix(body, `0{"sid":`) {
		t.Errorf("handshake: %s %s %s", response.Proto, response.Status, body)
	}

	c := connect(t, i.clients, trusting(cert))
	c.asks(`["yes"]`, "ping")
}

func TestTLS_OlderVersionsAreRefused(t *testing.T) {
	t.Parallel()
	cert, key := newCertificate(t, "one")
	i, _, _ := encrypted(t, cert, key)
	old := trusting(cert)
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if conn, err := tls.Dial("tcp", i.address, old); err == nil {
		_ = conn.Close()
		t.Error("TLS 1.1 was accepted")
	}
}

func TestTLS_APlainRequestIsTold(t *testing.T) {
	t.Parallel()
	cert, key := newCertificate(t, "one")
	i, _, _ := encrypted(t, cert, key)
	// The server closes without having read the request, so that the end of the connection may overtake the answer.
	await.True(t, "answered", func() bool {
		response, err := http.Get("http://" + i.address + "/socket.io/?EIO=4&transport=polling")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusBadRequest {
			t.Errorf("%s", response.Status)
		}
		return true
	})
}

func TestTLS_ARenewedCertificateIsShownToNewConnections(t *testing.T) {
	t.Parallel()
	first, firstKey := newCertificate(t, "one")
	i, certFile, keyFile := encrypted(t, first, firstKey)
	c := connect(t, i.clients, trusting(first))

	second, secondKey := newCertificate(t, "two")
	save(t, keyFile, string(secondKey))
	save(t, certFile, string(second))
	i.metric(t, `carillon_config_reloads_total{result="applied"} 1`) // without being asked

	connect(t, i.clients, trusting(second))
	if conn, err := tls.Dial("tcp", i.address, trusting(first)); err == nil {
		_ = conn.Close()
		t.Error("the old certificate is still shown")
	}
	c.asks(`["yes"]`, "ping") // the connection from before lives on

	// A certificate without its key is half of a renewal.
	third, _ := newCertificate(t, "three")
	save(t, certFile, string(third))
	i.metric(t, "carillon_config_reload_success 0")
	connect(t, i.clients, trusting(second))
}

func TestTLS_PEMTextInTheConfiguration(t *testing.T) {
	t.Parallel()
	cert, key := newCertificate(t, "one")
	source := gateway.Source{Environ: []string{
		"CARILLON_SERVER_TLS_CERT=" + string(cert), "CARILLON_SERVER_TLS_KEY=" + string(key), "CARILLON_DRAIN_DELAY=0s", "CARILLON_DRAIN_WINDOW=0s",
	}}
	cfg, _, err := source.Load()
	if err != nil {
		t.Fatal(err)
	}
	i := runWith(t, gateway.Options{Config: cfg})
	connect(t, "https://"+i.address, trusting(cert))
}

func TestTLS_WhatCannotBeUsedIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := newCertificate(t, "one")
	_, otherKey := newCertificate(t, "two")
	write := func(name string, text []byte) string {
		name = filepath.Join(dir, name)
		save(t, name, string(text))
		return name
	}
	certFile, keyFile := write("cert", cert), write("key", key)
	for name, tt := range map[string]struct{ cert, key, want string }{
		"no certificate":       {filepath.Join(dir, "nowhere"), keyFile, "server.tls.cert"},
		"no key":               {certFile, filepath.Join(dir, "nowhere"), "server.tls.key"},
		"another's key":        {certFile, write("other", otherKey), "server.tls"},
		"neither text nor PEM": {write("text", []byte("hello")), keyFile, "server.tls"},
	} {
		err := gateway.Check(load(t, "server: {tls: {cert: '"+tt.cert+"', key: '"+tt.key+"'}}\n"), nil)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHeaderTimeout_AClientThatDoesNotFinishItsRequestIsCut(t *testing.T) {
	t.Parallel()
	cert, key := newCertificate(t, "one")
	for name, tt := range map[string]struct{ config, begins string }{
		"nothing":             {"", ""},
		"half a header":       {"", "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\nX-"},
		"no TLS handshake":    {"cert", ""},
		"half a TLS handhake": {"cert", "\x16\x03\x01\x02\x00\x01"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := quick + "server: {header_timeout: 200ms}\n"
			if tt.config != "" {
				dir := t.TempDir()
				save(t, filepath.Join(dir, "cert"), string(cert))
				save(t, filepath.Join(dir, "key"), string(key))
				text = quick + "server: {header_timeout: 200ms, tls: {cert: '" + filepath.Join(dir, "cert") + "', key: '" + filepath.Join(dir, "key") + "'}}\n"
			}
			i := run(t, text)
			conn, err := net.Dial("tcp", i.address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, tt.begins); err != nil {
				t.Fatal(err)
			}
			if err := conn.SetReadDeadline(await.Deadline()); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("still connected")
			}
		})
	}
}
