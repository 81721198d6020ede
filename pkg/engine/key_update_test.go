package engine_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/chacha20poly1305"
)

// rekeying is a client of TLS 1.3 that asks for new keys (RFC 8446, 4.6.3), which crypto/tls cannot. It goes on where a tls.Conn has
// ended writing, which may still read.
type rekeying struct {
	t      *testing.T
	conn   *recordCounter
	suite  suite
	secret []byte
	number uint64 // of the next record under this secret
}

// suite is a cipher suite of TLS 1.3.
type suite struct {
	hash func() hash.Hash
	key  int // bytes
	aead func(key []byte) (cipher.AEAD, error)
}

var suites = map[uint16]suite{
	tls.TLS_AES_128_GCM_SHA256:       {sha256.New, 16, gcm},
	tls.TLS_AES_256_GCM_SHA384:       {sha512.New384, 32, gcm},
	tls.TLS_CHACHA20_POLY1305_SHA256: {sha256.New, 32, chacha20poly1305.New}, // where the processor has no AES
}

func gcm(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// recordCounter counts the encrypted records that are written.
type recordCounter struct {
	net.Conn
	records uint64
}

func (c *recordCounter) Write(p []byte) (int, error) {
	for rest := p; len(rest) >= 5; rest = rest[5+int(binary.BigEndian.Uint16(rest[3:])):] {
		if rest[0] == 23 {
			c.records++
		}
	}
	return c.Conn.Write(p)
}

// rekey opens a WebSocket session whose client asks for new keys.
func (s *server) rekey() (*rekeying, *socket, *client) {
	s.t.Helper()
	var keys bytes.Buffer
	r := &rekeying{t: s.t}
	s.tls.KeyLogWriter, s.tls.MinVersion = &keys, tls.VersionTLS13
	s.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		r.conn = &recordCounter{Conn: conn}
		return r.conn, err
	}
	ws, c := s.connect()
	var ok bool
	if r.suite, ok = suites[ws.NetConn().(*tls.Conn).ConnectionState().CipherSuite]; !ok {
		s.t.Fatal("a cipher suite that this test does not know")
	}
	for line := range strings.Lines(keys.String()) {
		if fields := strings.Fields(line); fields[0] == "CLIENT_TRAFFIC_SECRET_0" {
			r.secret, _ = hex.DecodeString(fields[2])
		}
	}
	r.number = r.conn.records - 1 // Finished has keys of its own
	r.readBuffer(4 << 10)
	return r, ws, c
}

func (r *rekeying) readBuffer(bytes int) {
	r.t.Helper()
	if err := r.conn.Conn.(*net.TCPConn).SetReadBuffer(bytes); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rekeying) expand(label string, length int) []byte {
	label = "tls13 " + label
	info := fmt.Sprintf("%c%c%c%s\x00", 0, length, len(label), label)
	key, err := hkdf.Expand(r.suite.hash, r.secret, info, length)
	if err != nil {
		r.t.Fatal(err)
	}
	return key
}

// record appends one record of a type.
func (r *rekeying) record(dst []byte, kind byte, payload string) []byte {
	sealer, err := r.suite.aead(r.expand("key", r.suite.key))
	if err != nil {
		r.t.Fatal(err)
	}
	nonce := r.expand("iv", 12)
	for i, b := range binary.BigEndian.AppendUint64(nil, r.number) {
		nonce[4+i] ^= b
	}
	r.number++
	head := binary.BigEndian.AppendUint16([]byte{23, 3, 3}, uint16(len(payload)+1+sealer.Overhead()))
	return sealer.Seal(append(dst, head...), nonce, append([]byte(payload), kind), head)
}

// ask asks for new keys, n times, with a pong of Engine.IO after every tenth.
func (r *rekeying) ask(n int) {
	r.t.Helper()
	var out []byte
	for i := range n {
		out = r.record(out, 22, "\x18\x00\x00\x01\x01")
		r.secret, r.number = r.expand("traffic upd", r.suite.hash().Size()), 0
		if i%10 == 9 {
			out = r.record(out, 23, "\x81\x81\x00\x00\x00\x003")
		}
	}
	write(r.t, r.conn.Conn, string(out))
}

// The answers to a client that asks for new keys stay in their place among the messages that it has still to read.
func TestTLS_NewKeysForAStalledClient(t *testing.T) {
	if runtime.GOOS != "linux" {
		return
	}
	registry := prometheus.NewRegistry()
	s := startTLS(t, engine.Config{Registry: registry}, engine.Parkable)
	r, ws, c := s.rekey()
	const messages = 100
	message := func(i int) string { return strings.Repeat(fmt.Sprint(i, " "), 2500) }
	for i := range messages {
		c.session.Send(false, text(message(i)))
	}
	r.ask(10)
	s.eventually("the answers rest", func() bool { return metric(t, registry, "carillon_packets_total", "in,pong") == 1 })
	r.readBuffer(1 << 20)
	for i := range messages {
		ws.want("4" + message(i))
	}
	s.eventually("nothing is held", func() bool { return metric(t, registry, "carillon_outbox_bytes") == 0 })
}

// A client that asks for new keys again and again, and reads none, holds memory that counts and is bounded.
func TestTLS_NewKeysThatAreNotRead(t *testing.T) {
	if runtime.GOOS != "linux" {
		return
	}
	registry := prometheus.NewRegistry()
	s := startTLS(t, engine.Config{Registry: registry}, engine.Parkable)
	r, _, c := s.rekey()
	counted := func() int {
		waiting := engine.Waiting(c.session)
		return int(metric(t, registry, "carillon_outbox_bytes")) - waiting
	}
	s.eventually("the kernel is full", func() bool {
		for engine.Waiting(c.session) < 1<<19 {
			c.session.Send(false, text(strings.Repeat("x", 10_000)))
		}
		return counted() > 0
	})
	r.ask(1500)
	s.eventually("the answers rest", func() bool { return metric(t, registry, "carillon_packets_total", "in,pong") == 150 })
	const answer = 27
	if n := counted(); n < 1500*answer || n > 128<<10 {
		t.Errorf("%d bytes count", n)
	}
	r.ask(1500)
	s.wantClosed(c, engine.TransportClose) // crypto/tls does not change its keys where it cannot answer
	s.eventually("nothing is held", func() bool { return metric(t, registry, "carillon_outbox_bytes") == 0 })
}
