package idle

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// watched notes the most that crypto/tls has had room for.
type watched struct {
	*Records
	room int
}

func (w *watched) Read(p []byte) (int, error) {
	w.room = max(w.room, len(p))
	return w.Records.Read(p)
}

// slow writes byte by byte.
type slow struct{ net.Conn }

func (s slow) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := s.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

// padded are protocols that make a ClientHello longer by so many bytes.
func padded(bytes int) []string {
	protocols := []string{"http/1.1"}
	for ; bytes > 1; bytes -= 250 {
		protocols = append(protocols, strings.Repeat("x", min(bytes, 250)-1))
	}
	return protocols
}

func TestHello_LeavesSmallBuffers(t *testing.T) {
	classical := []tls.CurveID{tls.X25519}
	for name, tt := range map[string]struct {
		client, server *tls.Config
		trickle        bool
		message        int // bytes of the buffer for messages, at most
	}{
		"short":             {client: &tls.Config{CurvePreferences: classical}, message: 288},
		"short, slow":       {client: &tls.Config{CurvePreferences: classical}, trickle: true, message: 512},
		"medium":            {client: &tls.Config{CurvePreferences: classical, NextProtos: padded(500)}, message: 896},
		"post-quantum":      {message: 1536},
		"as long as 1,900":  {client: &tls.Config{NextProtos: padded(400)}, message: 2048},
		"as long as 5,000":  {client: &tls.Config{NextProtos: padded(3500)}, message: 6144},
		"in many records":   {client: &tls.Config{NextProtos: padded(30_000)}, message: 40_960},
		"post-quantum slow": {trickle: true, message: 3072},
		"TLS 1.2":           {client: &tls.Config{MaxVersion: tls.VersionTLS12}, message: 288},
		"two ClientHellos":  {server: &tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP521}}, message: 1792},
	} {
		t.Run(name, func(t *testing.T) {
			ours, peer, _ := pair(t)
			w := &watched{Records: NewRecords(ours)}
			server := httptest.NewUnstartedServer(nil)
			server.StartTLS() // for its certificate
			defer server.Close()
			if tt.client == nil {
				tt.client = &tls.Config{}
			}
			if tt.server == nil {
				tt.server = &tls.Config{}
			}
			tt.server.Certificates, tt.server.NextProtos = server.TLS.Certificates, []string{"http/1.1"}
			tt.client.RootCAs, tt.client.ServerName = server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, "example.com"
			below, room := net.Conn(peer), 576
			if tt.trickle {
				below, room = slow{peer}, 1152 // twice as much where a record ends amid the next one's header
			}
			client, conn := tls.Client(below, tt.client), tls.Server(w, tt.server)
			done := make(chan error, 1)
			go func() {
				_, err := io.WriteString(client, "hello")
				done <- errors.Join(err, client.CloseWrite())
			}()
			got, err := io.ReadAll(conn)
			if err := errors.Join(err, <-done); err != nil || string(got) != "hello" {
				t.Fatalf("read %q, %v", got, err)
			}
			message := reflect.ValueOf(conn).Elem().FieldByName("hand").FieldByName("buf").Cap()
			if w.room > room || message > tt.message {
				t.Errorf("buffers of %d and %d bytes, want no more than %d and %d", w.room, message, room, tt.message)
			}
		})
	}
}

// net/http answers a client that speaks HTTP where TLS is expected.
func TestHello_WhatIsNotTLSIsReadAsItIs(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	server.Config.ErrorLog = nil
	server.Listener = recordsListener{server.Listener}
	server.StartTLS()
	defer server.Close()
	response, err := http.Get("http://" + server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), "HTTPS server") {
		t.Errorf("answered %d %q", response.StatusCode, body)
	}
}

// A header that crypto/tls refuses is refused before anything follows it.
func TestHello_AHeaderThatIsRefusedIsNotWaitedBehind(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS() // for its certificate
	defer server.Close()
	for name, header := range map[string]string{
		"HTTP": "GET /", "an empty record": "\x16\x03\x01\x00\x00", "a record too large": "\x16\x03\x01\xff\xff",
		"data first": "\x17\x03\x03\x00\x01", "SSLv2": "\x80\x2e\x01\x00\x02",
	} {
		t.Run(name, func(t *testing.T) {
			ours, peer, _ := pair(t)
			conn := NewRecords(ours)
			defer conn.Close()
			if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(peer, header); err != nil {
				t.Fatal(err)
			}
			if err := tls.Server(conn, server.TLS).Handshake(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("it was waited for more: %v", err)
			}
		})
	}
}

type recordsListener struct{ net.Listener }

func (l recordsListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return NewRecords(conn), nil
}

// joined is a stream with the records of the handshake at its beginning joined into one text, and what follows.
func joined(stream []byte) (handshake, rest []byte) {
	for len(stream) >= recordHeader {
		size := int(stream[3])<<8 | int(stream[4])
		if stream[0] != recordHandshake || size == 0 || size > maxRecord {
			break
		}
		size = min(size, len(stream)-recordHeader)
		handshake = append(handshake, stream[recordHeader:recordHeader+size]...)
		stream = stream[recordHeader+size:]
	}
	return handshake, stream
}

func record(kind byte, size int) []byte {
	return append([]byte{kind, 3, 1, byte(size >> 8), byte(size)}, bytes.Repeat([]byte{kind}, size)...)
}

func FuzzHello(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add(record(22, 0))
	f.Add(record(22, 0xffff))
	f.Add(slices.Concat(record(22, 1500), record(20, 1), record(23, 100)))
	f.Add(slices.Concat(record(22, 300), record(22, 5000), record(23, 100))[:4000])
	f.Fuzz(func(t *testing.T, stream []byte) {
		for name, in := range map[string]io.Reader{
			"whole": bytes.NewReader(stream), "bytes": iotest.OneByteReader(bytes.NewReader(stream)), "halves": iotest.HalfReader(bytes.NewReader(stream)),
			"error with data": iotest.DataErrReader(bytes.NewReader(stream)),
		} {
			var h hello
			var out []byte
			for p := make([]byte, 576); ; {
				n, err := 0, error(nil)
				if h.over {
					n, err = in.Read(p)
				} else {
					n, err = h.read(in, p)
				}
				if out = append(out, p[:n]...); err != nil {
					break
				}
				if n == 0 {
					t.Fatal(name, ": nothing was read, without an error")
				}
			}
			handshake, rest := joined(out)
			wantHandshake, wantRest := joined(stream)
			if !bytes.Equal(handshake, wantHandshake) || !bytes.Equal(rest, wantRest) {
				t.Fatalf("%s: %s became %s", name, fmt.Sprintf("%x", stream), fmt.Sprintf("%x", out))
			}
		}
	})
}
