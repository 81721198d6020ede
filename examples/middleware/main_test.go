package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/carillon-io/carillon/pkg/socketio/socketiotest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMiddleware_WhatItFindsOutReachesTheSocket(t *testing.T) {
	io, err := newServer()
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(routes(io))
	t.Cleanup(func() {
		io.Close()
		web.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	login, err := http.Get(web.URL + "/login?user=ada")
	if err != nil {
		t.Fatal(err)
	}
	login.Body.Close()
	ada := socketiotest.Dial(t, web.URL, socketiotest.Options{Header: http.Header{"Cookie": {login.Cookies()[0].String()}}})
	if got := string(ada.EmitWithAck("whoami").JSON); got != `["ada"]` {
		t.Errorf("whoami: %s", got)
	}
	if refused := socketiotest.DialRefused(t, web.URL, socketiotest.Options{}); refused.Message != "log in first" {
		t.Errorf("without a cookie: %q", refused.Message)
	}
}
