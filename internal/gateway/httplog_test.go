package gateway_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/gateway"
	"github.com/carillon-io/carillon/test/program"
)

func TestHTTPLog_APanicIsAnErrorAndCounted(t *testing.T) {
	t.Parallel()
	log := &program.Output{}
	i := runWith(t, gateway.Options{Config: load(t, quick), Log: log, Root: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic("a bug")
	})})
	if code, _ := get(t, i.clients+"/x"); code != 0 {
		t.Errorf("answered %d", code)
	}
	i.metric(t, `carillon_http_panics_total{listener="clients"} 1`)
	i.metric(t, `carillon_http_panics_total{listener="ops"} 0`)
	if text := log.String(); !strings.Contains(text, `"level":"error"`) || !strings.Contains(text, "a bug") || !strings.Contains(text, "httplog_test.go") {
		t.Errorf("the log does not say so:\n%s", text)
	}
}

// failing is a listener that cannot accept at first, as when descriptors are used up.
type failing struct {
	net.Listener
	failures chan error
}

func (l failing) Accept() (net.Conn, error) {
	select {
	case err := <-l.failures:
		return nil, err
	default:
		return l.Listener.Accept()
	}
}

func TestHTTPLog_AcceptErrorsAreWarnings(t *testing.T) {
	t.Parallel()
	log := &program.Output{}
	clients := failing{listen(t), make(chan error, 1)}
	clients.failures <- &net.OpError{Op: "accept", Err: syscall.EMFILE}
	g, err := gateway.New(gateway.Options{Config: load(t, quick), Log: log, Clients: clients, Ops: listen(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- g.Run(ctx) }()
	if code, _ := get(t, "http://"+clients.Addr().String()+handshake); code != http.StatusOK {
		t.Errorf("handshake: %d", code)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if text := log.String(); !strings.Contains(text, `"level":"warn"`) || !strings.Contains(text, "too many open files") {
		t.Errorf("the log does not say so:\n%s", text)
	}
}

func TestHTTPLog_WhatClientsProvokeIsDebug(t *testing.T) {
	t.Parallel()
	cert, key := newCertificate(t, "one")
	for level, seen := range map[string]bool{"debug": true, "info": false} {
		log := &program.Output{}
		cfg := load(t, quick+"log: {level: "+level+"}\n")
		cfg.Server.TLS.Cert, cfg.Server.TLS.Key = config.PEM(cert), config.PrivateKey(key)
		i := runWith(t, gateway.Options{Config: cfg, Log: log})
		conn, err := net.Dial("tcp", i.address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "\x16\x03\x01\x00\x05hello"); err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadAll(conn) // the server hangs up once it has logged
		_ = conn.Close()
		if text := log.String(); strings.Contains(text, "TLS handshake error") != seen || strings.Contains(text, `"level":"warn"`) {
			t.Errorf("at %s:\n%s", level, text)
		}
	}
}
