package socketio_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/socketio"
)

func TestConnect_AnswersAsTheProtocolSays(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	server.Of("/foo")
	server.Of("mw").Use(func(context.Context, *socketio.Socket) error {
		return &socketio.ConnectError{Message: "not authorized", Data: map[string]string{"content": "retry"}}
	})
	server.Of("/plain").Use(func(context.Context, *socketio.Socket) error { return errors.New("plain") })
	server.Of("/bad").Use(func(context.Context, *socketio.Socket) error {
		return &socketio.ConnectError{Message: "bad", Data: make(chan int)}
	})
	for send, want := range map[string]string{
		`40`:             `40{"sid":"`,
		`40{}`:           `40{"sid":"`,
		`40{"a":1}`:      `40{"sid":"`,
		`401`:            `40{"sid":"`,
		`405{}`:          `40{"sid":"`,
		`40/`:            `40{"sid":"`,
		`40/,`:           `40{"sid":"`,
		`40/foo`:         `40/foo,{"sid":"`,
		`40/foo,`:        `40/foo,{"sid":"`,
		`40/foo,{"t":1}`: `40/foo,{"sid":"`,
		`40/foo?x=1,`:    `44/foo?x=1,{"message":"Invalid namespace"}`,
		`40/foo{"t":1}`:  `44/foo{"t":1},{"message":"Invalid namespace"}`,
		`40/nope`:        `44/nope,{"message":"Invalid namespace"}`,
		`40/mw,`:         `44/mw,{"message":"not authorized","data":{"content":"retry"}}`,
		`40/plain,`:      `44/plain,{"message":"plain"}`,
		`40/bad,`:        `44/bad,{"message":"bad"}`,
	} {
		t.Run(send, func(t *testing.T) {
			p := dial(t, url)
			p.send(send)
			if got := p.read(); !strings.HasPrefix(got, want) || strings.HasPrefix(got, "44") && got != want {
				t.Errorf("%s was answered %s, want %s", send, got, want)
			}
		})
	}
}

func TestConnect_RefusedClientStaysConnected(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	echo(server.Of("/"))
	p := dial(t, url)
	p.send(`40/nope`)
	p.expect(`44/nope,{"message":"Invalid namespace"}`)
	p.connect("/")
	p.sync()
}

func TestProtocol_ViolationClosesTheConnection(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	reasons := make(chan socketio.Reason, 1)
	for _, nsp := range []string{"/", "/foo"} {
		server.Of(nsp).OnConnect(func(s *socketio.Socket) { s.OnDisconnect(func(r socketio.Reason) { reasons <- r }) })
	}
	for _, first := range []string{
		`40[]`, `40"x"`, `40null`, `40x`, `40{`, `41`, `43[]`, `41/foo,`, `42["a"]`, `44{"message":"x"}`, `47`, `4x`, `4`,
	} {
		t.Run("first "+first, func(t *testing.T) {
			p := dial(t, url)
			p.send(first)
			p.expect("closed")
			nothing(t, reasons)
		})
	}
	for _, later := range []string{
		`40`, `44{}`, `42[]`, `42{}`, `42null`, `42"x"`, `42[null]`, `42[true]`, `42["x"`, `42["a"]x`, `42["connect"]`,
		`42["connect_error"]`, `42["disconnect"]`, `42["disconnecting"]`, `42["newListener"]`, `42["removeListener"]`,
		`451-["disconnect",{"_placeholder":true,"num":0}]`, `43{}`, `43"x"`, `41{}`, `41[]`, `42/foo,["a"]`, `43/foo,0[]`,
		`45-["a"]`, `450-["a"]`, `451["a"]`, `4511-["a"]`, `45-1-["a"]`, `48`, `49`, `b:attachment`,
	} {
		t.Run("joined "+later, func(t *testing.T) {
			p, _ := join(t, url)
			p.send(later)
			p.expect("closed")
			if reason := receive(t, reasons); reason != "forced close" {
				t.Errorf("reason %q", reason)
			}
		})
	}
	t.Run("text while an attachment is due", func(t *testing.T) {
		p, _ := join(t, url)
		p.send(`451-["a",{"_placeholder":true,"num":0}]`, `42["b"]`)
		p.expect("closed")
		receive(t, reasons)
	})
	t.Run("placeholder without its attachment", func(t *testing.T) {
		p, _ := join(t, url)
		p.send(`451-["a",{"_placeholder":true,"num":1}]`, `b:x`)
		p.expect("closed")
		receive(t, reasons)
	})
	t.Run("event after leaving", func(t *testing.T) {
		p, _ := join(t, url)
		p.send(`41`, `42["a"]`)
		p.expect("closed")
		if reason := receive(t, reasons); reason != "client namespace disconnect" {
			t.Errorf("reason %q", reason)
		}
	})
}

func TestProtocol_OddButLegalPacketsAreTaken(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	events := make(chan socketio.Event, 1)
	server.Of("/").OnConnect(func(s *socketio.Socket) { s.OnAny(func(e socketio.Event) { events <- e }) })
	p, _ := join(t, url)
	for send, want := range map[string]struct {
		name, args string
		ack        bool
	}{
		`42`:                                    {"", "", false},
		`421`:                                   {"", "", true},
		`42[1]`:                                 {"1", "", false},
		`42[""]`:                                {"", "", false},
		`42["error",null]`:                      {"error", "[null]", false},
		`42["connection"]`:                      {"connection", "", false},
		`42 ["a"]`:                              {"a", "", true},
		`42["a",{"x" : [1]}]`:                   {"a", `[{"x" : [1]}]`, false},
		`42["p",{"_placeholder":true,"num":0}]`: {"p", `[{"_placeholder":true,"num":0}]`, false},
	} {
		p.send(`43`, `43[]`, `4399[]`, send) // acknowledgements nobody waits for
		e := receive(t, events)
		if e.Name != want.name || string(e.Args.JSON) != want.args || e.Ack.Wanted() != want.ack {
			t.Errorf("%s came in as %q %s, ack %t", send, e.Name, e.Args.JSON, e.Ack.Wanted())
		}
	}
}

func TestConnect_EventBehindConnectIsHandledAfterIt(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	release := make(chan struct{})
	n := server.Of("/")
	n.Use(func(context.Context, *socketio.Socket) error { <-release; return nil })
	echo(n)
	p := dial(t, url)
	p.send(`40`, `421["echo",1]`, `422["echo",2]`)
	close(release)
	if got := p.read(); !strings.HasPrefix(got, "40") {
		t.Fatalf("first %q", got)
	}
	p.expect(`431[1]`, `432[2]`)
}

func TestConnect_EventBehindRefusedConnectIsDropped(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	echo(server.Of("/"))
	server.Of("/no").Use(func(ctx context.Context, s *socketio.Socket) error {
		_ = waitForClient(ctx, s)
		return errors.New("no")
	})
	p, _ := join(t, url)
	p.send(`40/no`)
	p.expect(`42/no,0["wait"]`)
	p.send(`42/no,1["echo"]`, `422["echo"]`, `43/no,0[]`)
	p.expect(`44/no,{"message":"no"}`, `432[]`)
}

func TestConnect_PollingClientMaySendItAllAtOnce(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	echo(server.Of("/"))
	get := func(query string) string {
		resp, err := http.Get(url + "/socket.io/?EIO=4&transport=polling" + query)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	sid := "&sid=" + strings.Split(get(""), `"`)[3]
	resp, err := http.Post(url+"/socket.io/?EIO=4&transport=polling"+sid, "text/plain",
		strings.NewReader("40\x1e"+`421["echo","x"]`))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	got := get(sid)
	if !strings.Contains(got, `431["x"]`) {
		got += "\x1e" + get(sid)
	}
	if !strings.HasPrefix(got, `40{"sid":"`) || !strings.HasSuffix(got, "\x1e"+`431["x"]`) {
		t.Errorf("polled %q", got)
	}
}

func TestConnect_TwiceDuringSlowMiddlewareMakesOneSocket(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	n := server.Of("/")
	calls := make(chan string, 2)
	n.Use(func(ctx context.Context, s *socketio.Socket) error {
		calls <- s.ID()
		return waitForClient(ctx, s)
	})
	echo(n)
	p := dial(t, url)
	p.send(`40`)
	p.expect(`420["wait"]`)
	p.send(`40`, `421["echo"]`, `430[]`)
	receive(t, calls)
	if got := p.read(); !strings.HasPrefix(got, "40") {
		t.Fatalf("first %q", got)
	}
	p.expect(`431[]`)
	nothing(t, calls)
	if n.Sockets() != 1 {
		t.Errorf("%d sockets", n.Sockets())
	}
}

// waitForClient returns once the server has read what the client sent before it acknowledged "wait".
func waitForClient(ctx context.Context, s *socketio.Socket) error {
	_, err := s.EmitWithAck(ctx, "wait")
	return err
}

func TestConnect_MiddlewaresSeeAuthJoinAndEmit(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	n := server.Of("/")
	n.Use(func(_ context.Context, s *socketio.Socket) error {
		s.SetData(string(s.Auth().JSON))
		return s.Join("early")
	})
	n.Use(func(_ context.Context, s *socketio.Socket) error { return s.Emit("before", s.In("early")) })
	connected := sockets(n)
	p := dial(t, url)
	p.send(`40{"token":"é"}`)
	p.expect(`42["before",true]`)
	s := receive(t, connected)
	p.expect(`40{"sid":"` + s.ID() + `"}`)
	if s.Data() != `{"token":"é"}` {
		t.Errorf("data %v", s.Data())
	}
	if err := n.To("early").Emit("hello"); err != nil {
		t.Fatal(err)
	}
	p.expect(`42["hello"]`)
}

func TestConnect_ErrCloseClosesWithoutAnAnswer(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	server.Of("/").Use(func(context.Context, *socketio.Socket) error { return socketio.ErrClose })
	p := dial(t, url)
	p.send(`40`)
	p.expect("closed")
}

func TestConnect_MiddlewareContextEndsWithTheConnection(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	n := server.Of("/")
	began, ended := make(chan struct{}), make(chan error, 1)
	n.Use(func(ctx context.Context, s *socketio.Socket) error {
		if err := s.Join("r"); err != nil {
			return err
		}
		close(began)
		<-ctx.Done()
		ended <- ctx.Err()
		return nil
	})
	connected := sockets(n)
	p := dial(t, url)
	p.send(`40`)
	receive(t, began)
	p.hangup()
	if err := receive(t, ended); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	server.Close()
	nothing(t, connected)
}

func TestConnect_TimesOutWithoutNamespace(t *testing.T) {
	const limit = 50 * time.Millisecond
	server, url := serve(t, socketio.Config{ConnectTimeout: limit})
	t.Run("nothing sent", func(t *testing.T) { dial(t, url).expect("closed") })
	t.Run("middleware is slow", func(t *testing.T) {
		server.Of("/slow").Use(func(ctx context.Context, _ *socketio.Socket) error { <-ctx.Done(); return ctx.Err() })
		p := dial(t, url)
		p.send(`40/slow`)
		p.expect("closed")
	})
	t.Run("last namespace left", func(t *testing.T) {
		p, _ := join(t, url)
		p.send(`41`)
		p.expect("closed")
	})
}

// A limit that does not pass by itself is told to the client, and costs it nothing that it has.
func TestConnect_OverALimitIsRefusedAndTheOthersStay(t *testing.T) {
	server, url := serve(t, socketio.Config{MaxNamespaces: 2, MaxAuth: 20})
	for _, nsp := range []string{"/a", "/b", "/c"} {
		echo(server.Of(nsp))
	}
	p, _ := join(t, url, "/a")
	p.send(`40/b,{"token":"0123456789"}`)
	p.expect(`44/b,{"message":"auth is larger than 20 bytes","data":{"code":"invalid","message":"auth is larger than 20 bytes"}}`)
	p.send(`40/b,{"token":"0123456"}`)
	if got := p.read(); !strings.HasPrefix(got, "40/b,") {
		t.Fatal("auth of 19 bytes is answered by", got)
	}
	p.send(`40/c`)
	const message = "a connection has no more than 2 namespaces"
	p.expect(`44/c,{"message":"` + message + `","data":{"code":"limit","message":"` + message + `"}}`)
	p.send(`42/a,1["echo","here"]`, `41/b`)
	p.expect(`43/a,1["here"]`)
	p.connect("/c") // there is room now
}

// Leaving and joining in a loop runs a namespace's handlers of both: there is a bound, and it is per connection.
func TestConnect_MoreThanTheRateClosesTheConnection(t *testing.T) {
	const burst = 5
	server, url := serve(t, socketio.Config{ConnectRate: 1, ConnectBurst: burst})
	reasons := make(chan socketio.Reason, 2*burst)
	server.Of("/").OnConnect(func(s *socketio.Socket) { s.OnDisconnect(func(r socketio.Reason) { reasons <- r }) })
	server.Of("/stays").OnConnect(func(s *socketio.Socket) { s.OnDisconnect(func(r socketio.Reason) { reasons <- r }) })
	p, _ := join(t, url, "/stays")
	for range burst - 1 {
		p.connect("/")
		p.send("41")
		if r := receive(t, reasons); r != socketio.ClientDisconnect {
			t.Fatalf("within the rate: %q", r)
		}
	}
	p.send("40")
	p.expect("closed")
	if r := receive(t, reasons); r != socketio.Limit {
		t.Errorf("over the rate: %q", r)
	}
	if got := server.Of("/").Sockets(); got != 0 {
		t.Errorf("%d sockets are left", got)
	}
	join(t, url)
}

func TestConnect_NamespaceLeftMakesRoomForAnother(t *testing.T) {
	server, url := serve(t, socketio.Config{MaxNamespaces: 1})
	server.Of("/a")
	p, first := join(t, url, "/a")
	p.send(`41/a`)
	if again := p.connect("/a"); again == first {
		t.Error("same id again")
	}
}

func TestUnmarshalAuth_FillsAGoValue(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	type auth struct {
		Token string `json:"token"`
		Admin bool   `json:"admin"`
	}
	type result struct {
		auth auth
		err  error
	}
	results := make(chan result, 1)
	server.Of("/").OnConnect(func(s *socketio.Socket) {
		got := auth{Token: "none"}
		err := s.UnmarshalAuth(&got)
		results <- result{got, err}
	})
	for sent, want := range map[string]auth{
		``:                            {Token: "none"},
		`{}`:                          {Token: "none"},
		`{"token":"x","admin":true}`:  {"x", true},
		`{"token":"x","other":[1,2]}`: {"x", false},
	} {
		dial(t, url).send("40" + sent)
		if got := receive(t, results); got.err != nil || got.auth != want {
			t.Errorf("%s became %+v, %v", sent, got.auth, got.err)
		}
	}
	dial(t, url).send(`40{"token":7}`)
	if got := receive(t, results); got.err == nil {
		t.Errorf("a token that is none became %+v", got.auth)
	}
}
