package socketio_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/socketio"
)

// registry is an adapter that remembers which namespaces are open.
type registry struct {
	adapter.Local

	mu     sync.Mutex
	open   []string
	closed chan string
}

func (r *registry) Open(nsp string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.open, nsp) {
		r.open = append(r.open, nsp)
	}
}

func (r *registry) Close(nsp string) {
	r.mu.Lock()
	r.open = slices.DeleteFunc(r.open, func(have string) bool { return have == nsp })
	r.mu.Unlock()
	r.closed <- nsp
}

func (r *registry) list() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.open, " ")
}

func TestOfFunc_NamespacesExistWhileTheyHaveSockets(t *testing.T) {
	names := &registry{closed: make(chan string, 8)}
	server, url := serve(t, socketio.Config{Adapter: names, MaxDynamic: 2})
	setups := make(chan string, 8)
	server.OfFunc(func(nsp string) bool { return strings.HasPrefix(nsp, "/t-") }, func(n *socketio.Namespace) {
		setups <- n.Name()
		n.OnConnect(func(s *socketio.Socket) { _ = s.Emit("hello", n.Name()) })
	})
	server.OfFunc(func(nsp string) bool { return strings.HasPrefix(nsp, "/t") }, func(*socketio.Namespace) {
		t.Error("the first that matches decides")
	})
	server.Of("fixed")
	if got := names.list(); got != "/ /fixed" {
		t.Errorf("open at first: %s", got)
	}
	a, _ := join(t, url, "/t-1")
	a.expect(`42/t-1,["hello","/t-1"]`)
	b, _ := join(t, url, "/t-1")
	b.expect(`42/t-1,["hello","/t-1"]`)
	if name := receive(t, setups); name != "/t-1" {
		t.Errorf("set up %s", name)
	}
	nothing(t, setups)
	a.connect("/t-2")
	a.send(`40/t-3`) // over the limit: closed, not refused
	for got := a.read(); got != "closed"; got = a.read() {
		if strings.HasPrefix(got, "44") {
			t.Errorf("refused with %s", got)
		}
	}
	if name := receive(t, names.closed); name != "/t-2" {
		t.Errorf("closed %s", name)
	}
	if got := names.list(); got != "/ /fixed /t-1" {
		t.Errorf("open with one socket left: %s", got)
	}
	b.send(`41/t-1`)
	receive(t, names.closed)
	if got := names.list(); got != "/ /fixed" {
		t.Errorf("open in the end: %s", got)
	}
}

func TestOfFunc_OfKeepsTheNamespaceAndItsSetup(t *testing.T) {
	names := &registry{closed: make(chan string, 8)}
	server, url := serve(t, socketio.Config{Adapter: names})
	server.OfFunc(func(nsp string) bool { return nsp == "/t" }, func(n *socketio.Namespace) {
		n.Use(func(context.Context, *socketio.Socket) error { return &socketio.ConnectError{Message: "set up"} })
	})
	n := server.Of("/t")
	p := dial(t, url)
	p.send(`40/t`)
	p.expect(`44/t,{"message":"set up"}`)
	if server.Of("t") != n || names.list() != "/ /t" {
		t.Errorf("open: %s", names.list())
	}
}

func TestOfFunc_FailedSetupLetsNobodyIn(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	attempts := 0
	server.OfFunc(func(nsp string) bool { return nsp == "/t" }, func(*socketio.Namespace) {
		if attempts++; attempts == 1 {
			panic("setup")
		}
	})
	p := dial(t, url)
	p.send(`40/t`)
	p.expect("closed")
	server.Close() // until the first is gone entirely
	if server.Of("/t").Sockets() != 0 || attempts != 2 {
		t.Errorf("%d attempts", attempts)
	}
}

func TestNew_NamesEveryImpossibleValue(t *testing.T) {
	_, err := socketio.New(socketio.Config{Path: "x", ConnectTimeout: -1, DrainWindow: -1, MaxAttachments: -1,
		MaxNamespaces: -1, MaxDynamic: -1, MaxDepth: -1, MaxRooms: -1})
	if err == nil {
		t.Fatal("taken")
	}
	for _, name := range []string{
		"path", "connect timeout", "drain window", "attachments", "of namespaces", "dynamic", "depth", "rooms",
	} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%q does not name %s", err, name)
		}
	}
}
