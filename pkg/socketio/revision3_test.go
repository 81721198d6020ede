package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/gorilla/websocket"
)

// revision3 starts a server for 2.x clients.
func revision3(t *testing.T) (*socketio.Server, string) {
	t.Helper()
	server, address := serve(t, socketio.Config{Engine: engine.Config{EIO3: true}})
	echo(server.Of("/"))
	echo(server.Of("/foo"))
	server.Of("/deny").Use(func(context.Context, *socketio.Socket) error { return errors.New("denied") })
	server.Of("/data").Use(func(context.Context, *socketio.Socket) error {
		return &socketio.ConnectError{Message: "denied", Data: map[string]int{"code": 7}}
	})
	return server, address
}

func TestRevision3_IsConnectedUnaskedAndKnowsItsIDs(t *testing.T) {
	server, address := revision3(t)
	main, foo := sockets(server.Of("/")), sockets(server.Of("/foo"))
	p := poll(t, address, "3")
	p.expect(`40`)
	if s := receive(t, main); s.ID() != p.sid || s.Auth().JSON != nil {
		t.Errorf("id %s of session %s, auth %s", s.ID(), p.sid, s.Auth().JSON)
	}
	p.post(`40/foo?token=a%20b&x=1,`)
	p.expect(`40/foo,`)
	s := receive(t, foo)
	if s.ID() != "/foo#"+p.sid {
		t.Errorf("id %s", s.ID())
	}
	var auth map[string]string
	if err := json.Unmarshal(s.Auth().JSON, &auth); err != nil {
		t.Fatal(err)
	}
	if auth["token"] != "a b" || auth["x"] != "1" || s.Handshake().Query.Get("token") != "" {
		t.Errorf("auth %v, query %v", auth, s.Handshake().Query)
	}
	// The query may stand behind every packet's namespace.
	p.post(`42/foo?token=a%20b&x=1,7["echo","€😀"]`, `42["echo"]`)
	p.expect(`43/foo,7["€😀"]`)
	if err := server.Of("/").To("/foo#" + p.sid).Emit("not here"); err != nil {
		t.Fatal(err)
	}
	if err := server.Of("/foo").To(s.ID()).Emit("here"); err != nil {
		t.Fatal(err)
	}
	p.expect(`42/foo,["here"]`)
	p.post(`41/foo`, `421["echo"]`)
	p.expect(`431[]`)
}

func TestRevision3_RefusalsAreTheDataOrTheMessage(t *testing.T) {
	_, address := revision3(t)
	p := poll(t, address, "3")
	p.post(`40/deny?a=b`, `40/data,`, `40/nope`)
	p.expect(`40`, `44/deny,"denied"`, `44/data,{"code":7}`, `44/nope,{"message":"Invalid namespace"}`)
}

func TestRevision3_OverWebSocketCarriesBinaryBothWays(t *testing.T) {
	_, address := revision3(t)
	p := dialRevision3(t, address)
	p.expect(`40`)
	p.send(`2`)
	p.expect(`3`)
	p.send(`451-5["echo",{"_placeholder":true,"num":0}]`, "b:\x04\x01\x02")
	p.expect(`461-5[{"_placeholder":true,"num":0}]`, "b:\x04\x01\x02")
	p.send(`41`, `40/foo`)
	p.expect(`40/foo,`)
}

func TestRevision3_UpgradeKeepsTheSession(t *testing.T) {
	server, address := revision3(t)
	p := poll(t, address, "3")
	p.expect(`40`)
	next := p.upgrade()
	if err := server.Of("/").Emit("after"); err != nil {
		t.Fatal(err)
	}
	for _, got := range p.inbox {
		if got != "6" {
			t.Errorf("polled %q", got)
		}
	}
	next.expect(`42["after"]`)
}

// dialRevision3 opens a session over a WebSocket as 2.x clients do.
func dialRevision3(t *testing.T, address string) *peer {
	t.Helper()
	ws, resp, err := websocket.DefaultDialer.Dial("ws"+address[len("http"):]+"/socket.io/?EIO=3&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	t.Cleanup(func() { _ = ws.Close() })
	p := &peer{t: t, ws: ws}
	if open := p.read(); !strings.HasPrefix(open, "0{") {
		t.Fatalf("first packet is %q", open)
	}
	return p
}
