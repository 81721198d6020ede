package socketio_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
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
	server.SetLimits(socketio.Limits{Dynamic: 3})
	for _, nsp := range []string{"/t-2", "/t-3"} {
		b.connect(nsp)
		b.expect(`42` + nsp + `,["hello","` + nsp + `"]`)
	}
	b.send(`41/t-2`, `41/t-3`)
	receive(t, names.closed)
	receive(t, names.closed)
	if got := names.list(); got != "/ /fixed /t-1" {
		t.Errorf("open with one socket left: %s", got)
	}
	b.send(`41/t-1`)
	receive(t, names.closed)
	if got := names.list(); got != "/ /fixed" {
		t.Errorf("open in the end: %s", got)
	}
}

// A client that is refused costs the cluster nothing, whatever namespace it names.
func TestOfFunc_ARefusedClientOpensNoNamespace(t *testing.T) {
	names := &registry{closed: make(chan string, 8)}
	server, url := serve(t, socketio.Config{Adapter: names})
	server.OfFunc(func(nsp string) bool { return strings.HasPrefix(nsp, "/t-") }, func(n *socketio.Namespace) {
		n.Use(func(_ context.Context, s *socketio.Socket) error {
			if n.Name() == "/t-joins" {
				return s.Join("r")
			}
			return nil
		})
		n.SetLogic(func(*socketio.Socket, *socketio.Values) socketio.Logic {
			return logic{enter: func(context.Context) error {
				if got := strings.Contains(names.list(), n.Name()); got != (n.Name() == "/t-joins") {
					t.Errorf("%s is open before it lets a client in: %v", n.Name(), got)
				}
				if n.Name() != "/t-in" {
					return errors.New("no")
				}
				return nil
			}}
		})
	})
	p := dial(t, url)
	p.send(`40/t-out`)
	p.expect(`44/t-out,{"message":"no"}`)
	p.connect("/t-in")
	if got := names.list(); got != "/ /t-in" {
		t.Errorf("open: %s", got)
	}
	p.send(`41/t-in,`)
	if name := receive(t, names.closed); name != "/t-in" {
		t.Errorf("closed %s", name)
	}
	p.send(`40/t-joins`) // a room that is joined has to be heard of, so the namespace is open for that moment
	p.expect(`44/t-joins,{"message":"no"}`)
	if name := receive(t, names.closed); name != "/t-joins" {
		t.Errorf("closed %s", name)
	}
}

// On Redis a room and a namespace stand side by side with a # between them.
func TestConnect_ANamespaceWithASeparatorIsInvalid(t *testing.T) {
	names := &registry{closed: make(chan string, 8)}
	server, url := serve(t, socketio.Config{Adapter: names, Parser: packet.MsgpackParser})
	server.OfFunc(func(string) bool { return true }, echo)
	for _, nsp := range []string{"/a#b", "/a#", "/#", "/a,b"} {
		p := dial(t, url)
		frame, err := packet.AppendMsgpack(nil, &packet.Packet{Type: packet.Connect, Namespace: nsp})
		if err != nil {
			t.Fatal(err)
		}
		p.send("b:" + string(frame))
		if got := p.read(); !strings.Contains(got, "Invalid namespace") {
			t.Errorf("%s: %q", nsp, got)
		}
	}
	if got := names.list(); got != "/" {
		t.Errorf("open: %s", got)
	}
}

// What the setup of a namespace has started ends with it, and a handle that is kept addresses the one that comes after it.
func TestNamespace_DoneAndTheHandleAfterIt(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	made := make(chan *socketio.Namespace, 2)
	server.OfFunc(func(nsp string) bool { return nsp == "/t" }, func(n *socketio.Namespace) {
		made <- n
		echo(n)
	})
	p, _ := join(t, url, "/t")
	first := receive(t, made)
	nothing(t, first.Done())
	p.send(`41/t`)
	receive(t, first.Done())
	id := p.connect("/t")
	second := receive(t, made)
	nothing(t, second.Done())
	if err := first.To(id).Emit("news"); err != nil {
		t.Fatal(err)
	}
	p.expect(`42/t,["news"]`)
	if list, err := first.FetchSockets(within(t)); len(list) != 1 || err != nil {
		t.Errorf("%v, %v", list, err)
	}
	if s := first.Socket(id); s == nil || s.ID() != id || first.Socket("nobody") != nil {
		t.Errorf("socket by id: %v", s)
	}
	if got := first.Sockets(); got != 1 {
		t.Errorf("%d sockets", got)
	}
}

func TestNamespace_CloseDisconnectsAndRefuses(t *testing.T) {
	names := &registry{closed: make(chan string, 8)}
	server, url := serve(t, socketio.Config{Adapter: names})
	reasons := make(chan socketio.Reason, 4)
	entering, proceed := make(chan struct{}), make(chan struct{})
	watched := func(n *socketio.Namespace) {
		n.OnConnect(func(s *socketio.Socket) { s.OnDisconnect(func(r socketio.Reason) { reasons <- r }) })
		n.Use(func(_ context.Context, s *socketio.Socket) error {
			if s.Auth().JSON != nil {
				close(entering)
				<-proceed
			}
			return nil
		})
	}
	fixed := server.Of("/fixed")
	watched(fixed)
	echo(server.Of("/"))
	server.OfFunc(func(nsp string) bool { return nsp == "/t" }, watched)
	p, _ := join(t, url, "/", "/fixed", "/t")
	late := dial(t, url)
	late.send(`40/fixed,{"wait":true}`)
	receive(t, entering)
	for _, n := range server.Namespaces() {
		if n.Name() == "/" {
			continue
		}
		if got := n.Close("closed for the night"); got != 1 {
			t.Errorf("%s had %d sockets", n.Name(), got)
		}
		p.expect("41" + n.Name() + ",")
		if r := receive(t, reasons); r != "closed for the night" {
			t.Errorf("%s: %q", n.Name(), r)
		}
		receive(t, n.Done())
		receive(t, names.closed)
		if n.Close("again") != 0 {
			t.Errorf("%s had sockets after its end", n.Name())
		}
	}
	close(proceed) // a client that was on its way in does not stay
	if got := late.read(); strings.HasPrefix(got, "40") {
		late.expect("41/fixed,")
	}
	p.send(`40/fixed`)
	p.expect(`44/fixed,{"message":"Invalid namespace"}`)
	p.connect("/t")
	if server.Of("/fixed") == fixed {
		t.Error("the namespace has come back from its end")
	}
	p.connect("/fixed")
	p.sync() // the connection was never closed
	if got := names.list(); got != "/ /t /fixed" {
		t.Errorf("open: %s", got)
	}
}

func TestParentNamespace_AddressesItsNamespacesOnAllNodes(t *testing.T) {
	nodes, urls, _ := memoryCluster(t, socketio.Config{}, socketio.Config{})
	var tenants *socketio.ParentNamespace
	for _, io := range nodes {
		pattern := func(prefix string) *socketio.ParentNamespace {
			return io.OfFunc(func(nsp string) bool { return strings.HasPrefix(nsp, prefix) }, echo)
		}
		if of := pattern("/tenant-"); tenants == nil {
			tenants = of
		}
		pattern("/other-")
	}
	if list := tenants.Namespaces(); len(list) != 0 {
		t.Errorf("%d namespaces before the first client", len(list))
	}
	if err := tenants.Emit("news"); err != nil {
		t.Errorf("to nobody: %v", err)
	}
	nodes[0].Of("/tenant-3") // kept, and a child all the same
	one, _ := join(t, urls[0], "/tenant-1", "/other-1")
	far, _ := join(t, urls[1], "/tenant-1")
	two, _ := join(t, urls[0], "/tenant-2")
	var names []string
	for _, n := range tenants.Namespaces() {
		names = append(names, n.Name())
	}
	if slices.Sort(names); strings.Join(names, " ") != "/tenant-1 /tenant-2 /tenant-3" {
		t.Errorf("namespaces %q", names)
	}
	if err := tenants.Emit("news", []byte("x")); err != nil {
		t.Fatal(err)
	}
	const event = `["news",{"_placeholder":true,"num":0}]`
	one.expect("451-/tenant-1,"+event, "b:x")
	far.expect("451-/tenant-1,"+event, "b:x")
	two.expect("451-/tenant-2,"+event, "b:x")
	one.send(`42/other-1,7["echo"]`)
	one.expect(`43/other-1,7[]`)
	if err := tenants.Emit("disconnect"); !errors.Is(err, socketio.ErrReservedEvent) {
		t.Errorf("a reserved name: %v", err)
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
		MaxNamespaces: -1, MaxDynamic: -1, MaxDepth: -1, MaxRooms: -1, AttachmentTimeout: -1, Parser: 99})
	if err == nil {
		t.Fatal("taken")
	}
	for _, name := range []string{
		"path", "parser", "connect timeout", "attachment timeout", "drain window", "attachments", "of namespaces", "dynamic",
		"depth", "rooms",
	} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%q does not name %s", err, name)
		}
	}
}

func TestNamespace_OperatesOnEveryoneInIt(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	n := server.Of("/foo")
	connected := sockets(n)
	a, first := join(t, url, "/foo")
	b, second := join(t, url, "/foo")
	receive(t, connected)
	receive(t, connected)
	n.SocketsJoin("r", "s")
	n.To(second).SocketsLeave("r")
	list, err := n.FetchSockets(within(t))
	if err != nil || len(list) != 2 {
		t.Errorf("fetched %v, %v", list, err)
	}
	here := n.To("r").LocalSockets()
	if len(here) != 1 || here[0].ID() != first || len(n.To().LocalSockets()) != 0 {
		t.Errorf("local sockets %v", here)
	}
	names, err := n.AllRooms(within(t))
	if err != nil || len(names) != 4 {
		t.Errorf("rooms %v, %v", names, err)
	}
	if all := server.Namespaces(); len(all) != 2 || !slices.Contains(all, n) {
		t.Errorf("namespaces %v", all)
	}
	n.DisconnectSockets(true)
	for _, p := range []*peer{a, b} {
		p.expect(`41/foo,`, `closed`)
	}
}

// told is an adapter that keeps what it is given.
type told struct {
	adapter.Local

	commands chan adapter.Command
}

func (a told) Publish(c adapter.Command, done func(error)) {
	a.commands <- c
	a.Local.Publish(c, done)
}

func TestCompress_IsHandedToTheCluster(t *testing.T) {
	commands := make(chan adapter.Command, 2)
	server, _ := serve(t, socketio.Config{Adapter: told{commands: commands}})
	n := server.Of("/")
	if err := errors.Join(n.Compress(false).Emit("e"), n.Compress(false).Compress(true).Emit("e")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} {
		if b := receive(t, commands).(adapter.Broadcast); b.NoCompress != want {
			t.Errorf("no compression is %t", b.NoCompress)
		}
	}
}

func TestServeHTTP_WorksBehindMiddlewares(t *testing.T) {
	server, _ := serve(t, socketio.Config{})
	echo(server.Of("/"))
	seen := make(chan string, 8)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.URL.Query().Get("transport")
		server.ServeHTTP(wrapped{w}, r)
	}))
	t.Cleanup(web.Close)
	p, _ := join(t, web.URL)
	p.sync()
	if transport := receive(t, seen); transport != "websocket" {
		t.Errorf("saw %q", transport)
	}
	q := poll(t, web.URL, "4")
	q.post(`40`)
	if got := q.next(); !strings.HasPrefix(got, `40{`) {
		t.Errorf("polled %q", got)
	}
}

// wrapped is a ResponseWriter as middlewares make them.
type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }
