package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"github.com/carillon-io/carillon/test/await"
)

// recovering is a server whose clients may come back.
func recovering() socketio.Config {
	return socketio.Config{
		Recovery: socketio.Recovery{Enabled: true},
		Engine:   engine.Config{PingInterval: time.Hour, PingTimeout: time.Hour, EIO3: true},
	}
}

// returning is a client that knows recovery, at the level of bytes.
type returning struct {
	*peer
	url, nsp string
	sid, pid string
	offset   string // the last text at the end of an event, as official clients have it
	events   []string
}

// arrive connects a new client.
func arrive(t testing.TB, url, nsp string) *returning {
	t.Helper()
	c := &returning{url: url, nsp: nsp}
	c.dial(t, `{"token":"t"}`)
	return c
}

// dial connects, with auth.
func (c *returning) dial(t testing.TB, auth string) {
	t.Helper()
	c.peer = dial(t, c.url)
	c.send("40" + prefix(c.nsp) + auth)
	c.answered()
}

func (c *returning) answered() {
	c.t.Helper()
	c.connected(c.read())
}

// connected reads an answer to CONNECT.
func (c *returning) connected(got string) {
	c.t.Helper()
	var answer struct{ SID, PID string }
	text, ok := strings.CutPrefix(got, "40"+prefix(c.nsp))
	if !ok || json.Unmarshal([]byte(text), &answer) != nil || len(answer.SID) != 20 || len(answer.PID) != 20 {
		c.t.Fatalf("CONNECT was answered %q", got)
	}
	c.sid, c.pid = answer.SID, answer.PID
}

// claim is what an official client sends when it comes back.
func (c *returning) claim() string {
	auth := map[string]string{"token": "t", "pid": c.pid}
	if c.offset != "" {
		auth["offset"] = c.offset
	}
	text, _ := json.Marshal(auth)
	return string(text)
}

// back connects again, and reports whether that was recovered.
func (c *returning) back() bool {
	c.t.Helper()
	pid := c.pid
	c.dial(c.t, c.claim())
	return c.pid == pid
}

// backAtLast is back, trying again, as clients do, where a busy machine had the server close the connection.
func (c *returning) backAtLast() bool {
	c.t.Helper()
	pid := c.pid
	await.True(c.t, "answered", func() bool {
		c.peer = dial(c.t, c.url)
		c.send("40" + prefix(c.nsp) + c.claim())
		got := c.read()
		if got != "closed" {
			c.connected(got)
		}
		return got != "closed"
	})
	return c.pid == pid
}

// entry is an offset that is the id of a stream's entry.
var entry = regexp.MustCompile(`^[0-9]{13,}-[0-9]+$`)

// next reads one event, and returns it without its offset.
func (c *returning) next() string {
	c.t.Helper()
	got := c.read()
	text, ok := strings.CutPrefix(got, "42"+prefix(c.nsp))
	var args []json.RawMessage
	if !ok || json.Unmarshal([]byte(text), &args) != nil {
		c.t.Fatalf("received %q instead of an event", got)
	}
	var last string
	if json.Unmarshal(args[len(args)-1], &last) == nil {
		c.offset = last
		if strings.HasPrefix(last, "@") || entry.MatchString(last) {
			args = args[:len(args)-1]
		}
	}
	list, _ := json.Marshal(args)
	c.events = append(c.events, string(list))
	return string(list)
}

// expectEvents reads events, in this order and none between them.
func (c *returning) expectEvents(want ...string) {
	c.t.Helper()
	for _, w := range want {
		if got := c.next(); got != w {
			c.t.Fatalf("received %s, want %s", got, w)
		}
	}
}

// gone waits until a socket is no longer connected, and out of its namespace, which comes a little later than the end of its
// context.
func gone(t testing.TB, s *socketio.Socket) {
	t.Helper()
	receive(t, s.Context().Done())
	eventually(t, "the socket is out of its namespace", func() bool { return s.Namespace().Socket(s.ID()) != s })
}

func emit(t testing.TB, e socketio.Emitter, event string, args ...any) {
	t.Helper()
	if err := e.Emit(event, args...); err != nil {
		t.Fatal(err)
	}
}

func TestRecovery_AClientComesBackAsTheSameSocketWithWhatItMissed(t *testing.T) {
	io, url := serve(t, recovering())
	n := io.Of("/n")
	connected := sockets(n)
	var ended atomic.Int32
	n.OnConnect(func(s *socketio.Socket) { s.OnDisconnect(func(socketio.Reason) { ended.Add(1) }) })
	c := arrive(t, url, "/n")
	s := receive(t, connected)
	if s.Recovered() {
		t.Error("a new socket is recovered")
	}
	s.SetData(map[string]int{"score": 7})
	if err := s.Join("a", "b"); err != nil {
		t.Fatal(err)
	}
	emit(t, n.To("a"), "m", 1)
	c.expectEvents(`["m",1]`)
	first := c.sid

	c.hangup()
	gone(t, s)
	emit(t, n.To("a"), "m", 2)
	emit(t, n.To("elsewhere"), "m", "not for it")
	emit(t, n.Volatile(), "m", "volatile")
	n.To(first).SocketsLeave("b")
	emit(t, n.To("b"), "m", "left")
	n.To(first).SocketsJoin("c")
	emit(t, n.To("c", "a"), "m", 3)
	emit(t, n.Except("c"), "m", "excepted")
	if err := s.Emit("m", 4); err != nil {
		t.Errorf("an event to an absent socket: %v", err)
	}
	emit(t, n.To(first), "m", 5)
	emit(t, n.Emitter, "bin", []byte{1, 2})
	if list, err := n.FetchSockets(within(t)); err != nil || len(list) != 0 || n.Sockets() != 0 || n.Socket(first) != nil {
		t.Errorf("an absent socket counts: %v, %v", list, err)
	}

	if !c.back() || c.sid != first {
		t.Fatalf("%s came back as %s", first, c.sid)
	}
	c.expectEvents(`["m",2]`, `["m",3]`, `["m",4]`, `["m",5]`)
	if got := c.read(); !strings.HasPrefix(got, `451-/n,["bin",{"_placeholder":true,"num":0},"@`) {
		t.Errorf("received %q", got)
	}
	if got := c.read(); got != "b:\x01\x02" {
		t.Errorf("received %q", got)
	}
	again := receive(t, connected)
	if !again.Recovered() || again.ID() != first || !reflect.DeepEqual(again.Data(), map[string]int{"score": 7}) {
		t.Errorf("recovered %v, %s, %v", again.Recovered(), again.ID(), again.Data())
	}
	rooms := again.Rooms(nil)
	slices.Sort(rooms[1:])
	if !slices.Equal(rooms, []string{first, "a", "c"}) {
		t.Errorf("rooms %q", rooms)
	}
	emit(t, n.To("c"), "m", 6)
	if err := again.Emit("m", 7); err != nil {
		t.Error(err)
	}
	c.expectEvents(`["m",6]`, `["m",7]`)
	if ended.Load() != 1 {
		t.Errorf("%d ends", ended.Load())
	}
	if got := string(again.Auth().JSON); got != `{"token":"t"}` {
		t.Errorf("auth %s", got)
	}
}

func TestRecovery_NothingIsRepeatedWhenTheReplayItselfIsCut(t *testing.T) {
	io, url := serve(t, recovering())
	n := io.Of("/")
	connected := sockets(n)
	c := arrive(t, url, "/") // has received nothing yet
	var want []string
	for i := range 50 {
		s := receive(t, connected)
		c.hangup()
		gone(t, s)
		for j := range 3 {
			emit(t, n.Emitter, "m", i, j)
			want = append(want, fmt.Sprintf(`["m",%d,%d]`, i, j))
		}
		if !c.back() {
			t.Fatalf("not recovered in round %d", i)
		}
		for range i % 4 {
			c.next()
		}
	}
	for len(c.events) < len(want) {
		c.next()
	}
	if !slices.Equal(c.events, want) {
		t.Errorf("received %q", c.events)
	}
}

// asks reads what a half-open client is sent, and answers pings where it is alive.
func TestRecovery_AClaimForASocketThatIsConnected(t *testing.T) {
	t.Parallel()
	for _, alive := range []bool{false, true} {
		t.Run(fmt.Sprint("alive ", alive), func(t *testing.T) {
			io, url := serve(t, recovering())
			n := io.Of("/")
			connected := sockets(n)
			reasons := make(chan socketio.Reason, 8)
			n.OnConnect(func(s *socketio.Socket) { s.OnDisconnect(func(r socketio.Reason) { reasons <- r }) })
			c := arrive(t, url, "/")
			receive(t, connected)
			emit(t, n.Emitter, "m", 1)
			c.expectEvents(`["m",1]`)
			old, sid := c.peer, c.sid
			if alive {
				go func() {
					for {
						_, data, err := old.ws.ReadMessage()
						if err != nil {
							return
						}
						if string(data) == "2" {
							_ = old.ws.WriteMessage(1, []byte("3"))
						}
					}
				}()
			} else {
				emit(t, n.Emitter, "m", 2) // goes into a connection that no client reads from
			}
			recovered := c.back()
			if recovered == alive || (c.sid == sid) == alive {
				t.Fatalf("recovered %v, %s after %s", recovered, c.sid, sid)
			}
			receive(t, connected)
			emit(t, n.Emitter, "m", 3)
			if alive {
				c.expectEvents(`["m",3]`)
				nothing(t, reasons)
				return
			}
			c.expectEvents(`["m",2]`, `["m",3]`)
			if r := receive(t, reasons); r != socketio.PingTimeout {
				t.Errorf("reason %q", r)
			}
			nothing(t, reasons)
		})
	}
}

func TestRecovery_OfTwoClaimsTheLaterOneWinsUnlessTheEarlierAnswers(t *testing.T) {
	t.Parallel()
	for _, alive := range []bool{false, true} {
		t.Run(fmt.Sprint("alive ", alive), func(t *testing.T) {
			io, url := serve(t, recovering())
			n := io.Of("/")
			entering, enter := make(chan string, 8), make(chan struct{})
			n.Use(func(ctx context.Context, s *socketio.Socket) error {
				if !s.Recovered() {
					return nil
				}
				entering <- s.ID()
				select {
				case <-enter:
				case <-ctx.Done():
				}
				return ctx.Err()
			})
			connected := sockets(n)
			c := arrive(t, url, "/")
			s := receive(t, connected)
			c.hangup()
			gone(t, s)
			emit(t, n.Emitter, "m", 1)

			early := &returning{url: url, nsp: "/", pid: c.pid, sid: c.sid, peer: dial(t, url)}
			early.send("40" + c.claim())
			receive(t, entering)
			answers := make(chan string, 8)
			if alive {
				go func() { answers <- early.read() }() // which answers pings
			}
			late := &returning{url: url, nsp: "/", peer: dial(t, url)}
			late.send("40" + c.claim())
			if alive {
				late.answered()
				if late.pid == c.pid {
					t.Error("the later claim won")
				}
				close(enter)
				if got := receive(t, answers); !strings.Contains(got, c.pid) {
					t.Errorf("the earlier claim was answered %q", got)
				}
				return
			}
			receive(t, entering)
			close(enter)
			late.answered()
			if late.pid != c.pid || late.sid != c.sid {
				t.Errorf("the later claim lost: %s", late.sid)
			}
			late.expectEvents(`["m",1]`)
		})
	}
}

func TestRecovery_AnAbsentSocketThatIsDisconnectedIsToldOnce(t *testing.T) {
	for name, disconnect := range map[string]func(n *socketio.Namespace, s *socketio.Socket){
		"by command": func(n *socketio.Namespace, s *socketio.Socket) { n.To(s.ID()).DisconnectSockets(false) },
		"connection": func(n *socketio.Namespace, s *socketio.Socket) { n.To(s.ID()).DisconnectSockets(true) },
		"by handle":  func(_ *socketio.Namespace, s *socketio.Socket) { s.Disconnect() },
	} {
		t.Run(name, func(t *testing.T) {
			io, url := serve(t, recovering())
			n := io.Of("/")
			connected := sockets(n)
			c := arrive(t, url, "/")
			s := receive(t, connected)
			c.hangup()
			gone(t, s)
			disconnect(n, s)
			p := dial(t, url)
			p.send("40" + c.claim())
			if got := p.read(); !strings.HasPrefix(got, `40{"sid":"`) {
				t.Errorf("answered %q", got)
			}
			p.expect("41")
			nothing(t, connected)
			if c.back() {
				t.Error("recovered a session that has ended")
			}
			receive(t, connected)
		})
	}
}

// A volatile event ends with the present place, or a text in it would become the client's offset.
func TestRecovery_EventsWithoutANumber(t *testing.T) {
	io, url := serve(t, recovering())
	n := io.Of("/")
	connected := sockets(n)
	c := arrive(t, url, "/")
	s := receive(t, connected)
	emit(t, n.Emitter, "m", 1)
	emit(t, n.Volatile(), "typing", "somebody")
	emit(t, n.Volatile(), "typing")
	if err := s.EmitVolatile("typing", "somebody"); err != nil {
		t.Fatal(err)
	}
	c.expectEvents(`["m",1]`)
	first := c.offset
	c.expectEvents(`["typing","somebody"]`, `["typing"]`, `["typing","somebody"]`)
	if c.offset != first {
		t.Errorf("offset %s after %s", c.offset, first)
	}
	go func() { _, _ = s.EmitWithAck(within(t), "ask", "x") }()
	if got := c.read(); got != `420["ask","x"]` {
		t.Errorf("received %q", got)
	}
	c.hangup()
	gone(t, s)
	emit(t, n.Emitter, "m", 2)
	if !c.back() {
		t.Fatal("not recovered")
	}
	c.expectEvents(`["m",2]`)
}

func TestRecovery_OffsetsThatAreNotOfTheSession(t *testing.T) {
	for _, c := range []struct {
		name      string
		offset    string
		sent      int // events that the client is sent before the cut, and received
		recovered bool
	}{
		{"none and nothing sent", "", 0, true},
		{"none", "", 2, true},
		{"a text, and nothing sent", "somebody", 0, true},
		{"a text", "somebody", 2, false},
		{"of a session elsewhere", "@AAAAAAAAAAAAAAAAAAAAAA", 2, true},
		{"of another form", "@AAAAAAAAAAAAAAAAAAAAAB", 2, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			io, url := serve(t, recovering())
			n := io.Of("/")
			connected := sockets(n)
			client := arrive(t, url, "/")
			s := receive(t, connected)
			for i := range c.sent {
				emit(t, n.Emitter, "m", i)
				client.next()
			}
			client.hangup()
			gone(t, s)
			emit(t, n.Emitter, "missed")
			client.offset = c.offset
			if got := client.back(); got != c.recovered {
				t.Fatalf("recovered %v", got)
			}
			if c.recovered {
				for i := range c.sent { // from the session's beginning
					client.expectEvents(fmt.Sprintf(`["m",%d]`, i))
				}
				client.expectEvents(`["missed"]`)
			}
		})
	}
}

// A client with an offset that is none, or one that is older than what is kept, has what the last pong proves.
func TestRecovery_AnAnsweredPingProvesWhatTheClientHas(t *testing.T) {
	cfg := recovering()
	cfg.Engine.PingInterval = 50 * time.Millisecond
	io, url := serve(t, cfg)
	n := io.Of("/")
	connected := sockets(n)
	c := arrive(t, url, "/")
	s := receive(t, connected)
	emit(t, n.Emitter, "m", 1)
	c.expectEvents(`["m",1]`)
	c.ping() // was perhaps sent before the event
	c.ping()
	c.ping()
	c.hangup()
	gone(t, s)
	emit(t, n.Emitter, "m", 2)
	c.offset = "somebody"
	if !c.back() {
		t.Fatal("not recovered")
	}
	c.expectEvents(`["m",2]`)
}

// ping answers one ping.
func (p *peer) ping() {
	p.t.Helper()
	_ = p.ws.SetReadDeadline(time.Now().Add(patience))
	_, data, err := p.ws.ReadMessage()
	if err != nil || string(data) != "2" {
		p.t.Fatalf("received %q, %v", data, err)
	}
	p.send("3")
}

func TestRecovery_WhatIsNotKeptAnyMoreMeansANewSocket(t *testing.T) {
	cfg := recovering()
	cfg.Recovery.Bytes = 64 << 10
	io, url := serve(t, cfg)
	n := io.Of("/")
	connected := sockets(n)
	c := arrive(t, url, "/")
	s := receive(t, connected)
	emit(t, n.Emitter, "m", 0)
	c.next()
	other := arrive(t, url, "/")
	receive(t, connected)
	c.hangup()
	gone(t, s)
	for i := range 100 {
		emit(t, n.To(other.sid), "fill", i, strings.Repeat("x", 1000))
		other.next()
	}
	if c.back() {
		t.Fatal("recovered with a hole")
	}
	receive(t, connected)
	emit(t, n.Emitter, "m", 1)
	c.expectEvents(`["m",1]`)
}

// Until it has caught up a client costs the outbox nothing, and what is not in the log waits in its place.
func TestRecovery_AReplayIsDrawnAsTheClientTakesIt(t *testing.T) {
	t.Parallel()
	cfg := recovering()
	cfg.Engine.Outbox, cfg.Engine.OutboxHard = 64<<10, 128<<10
	io, url := serve(t, cfg)
	n := io.Of("/")
	connected := sockets(n)
	echo(n)
	c := arrive(t, url, "/")
	s := receive(t, connected)
	c.hangup()
	gone(t, s)
	const events = 2000
	fill := strings.Repeat("x", 4000)
	for i := range events {
		emit(t, n.Emitter, "m", i, fill)
	}
	pid := c.pid
	c.peer = dial(t, url)
	c.send("40"+c.claim(), `421["echo","acknowledged"]`)
	again := receive(t, connected)
	for i := range 50 {
		emit(t, n.Emitter, "m", events+i, fill)
	}
	_ = again.EmitVolatile("volatile")
	c.answered()
	if c.pid != pid {
		t.Fatal("not recovered")
	}
	acknowledged := false
	for i := range events + 50 {
		got := c.read()
		if got == `431["acknowledged"]` {
			acknowledged = true
			got = c.read()
		}
		if want := fmt.Sprintf(`42["m",%d,`, i); !strings.HasPrefix(got, want) {
			t.Fatalf("received %.40q, want %s", got, want)
		}
	}
	if !acknowledged {
		c.expect(`431["acknowledged"]`)
	}
	emit(t, n.Emitter, "live")
	c.expectEvents(`["live"]`)
}

func TestRecovery_ClientsThatDoNotKnowIt(t *testing.T) {
	io, url := serve(t, recovering())
	io.Of("/") // both revisions
	old := dialRevision3(t, url)
	old.expect(`40`)
	c := arrive(t, url, "/")
	emit(t, io.Of("/").Emitter, "m", 1)
	old.expect(`42["m",1]`)
	c.expectEvents(`["m",1]`)
	c.hangup()
	p, sid := join(t, url)
	if sid == c.sid {
		t.Error("a client that claims nothing got a session")
	}
	p.hangup()
}

// remembering is a Logic that can be resumed.
type remembering struct {
	s      *socketio.Socket
	user   string
	events chan string
	count  *int
}

func (l *remembering) Enter(context.Context) error {
	l.events <- "enter " + string(l.s.Auth().JSON)
	return l.s.Join("user:" + l.user)
}
func (l *remembering) Entered()                { l.events <- fmt.Sprint("entered ", *l.count) }
func (l *remembering) Handle(e socketio.Event) { *l.count++; l.events <- e.Name }
func (l *remembering) Leave(r socketio.Reason) { l.events <- "leave " + string(r) }
func (l *remembering) Away()                   { l.events <- "away" }
func (l *remembering) Resume(_ context.Context, previous conn.Logic) (bool, error) {
	var auth struct{ User string }
	if err := l.s.UnmarshalAuth(&auth); err != nil || auth.User == "nobody" {
		return false, errors.New("refused")
	}
	l.user = auth.User
	p := previous.(*remembering)
	if p.user != l.user {
		return false, nil
	}
	l.count = p.count
	return true, nil
}

// rememberingServer starts a server whose sockets have such a Logic, and returns a function that expects what these note.
func rememberingServer(t *testing.T, window time.Duration) (io *socketio.Server, url string, expect func(want ...string)) {
	t.Helper()
	cfg := recovering()
	cfg.Recovery.Window = window
	io, url = serve(t, cfg)
	events := make(chan string, 64)
	io.Of("/").SetLogic(func(s *socketio.Socket, _ *socketio.Values) socketio.Logic {
		return &remembering{s: s, user: "u", events: events, count: new(int)}
	})
	return io, url, func(want ...string) {
		t.Helper()
		for _, w := range want {
			if got := receive(t, events); got != w {
				t.Fatalf("%q, want %q", got, w)
			}
		}
	}
}

func TestRecovery_ALogicIsResumed(t *testing.T) {
	t.Parallel()
	_, url, expect := rememberingServer(t, time.Hour)
	c := &returning{url: url, nsp: "/"}
	c.dial(t, "")
	expect("enter ", "entered 0")
	c.send(`42["one"]`)
	expect("one")
	c.hangup()
	expect("away")
	p := dial(t, url)
	p.send(fmt.Sprintf(`40{"pid":%q,"user":"nobody"}`, c.pid))
	p.expect(`44{"message":"refused"}`)
	p.hangup()
	pid := c.pid
	c.dial(t, fmt.Sprintf(`{"pid":%q,"user":"u"}`, c.pid))
	if c.pid != pid {
		t.Fatal("not recovered")
	}
	expect(`enter {"user":"u"}`, "entered 1")
	c.send(`42["two"]`)
	expect("two")
	c.hangup()
	expect("away")
	other := &returning{url: url, nsp: "/"}
	other.dial(t, fmt.Sprintf(`{"pid":%q,"user":"other"}`, c.pid))
	if other.pid == pid {
		t.Error("another user has recovered the session")
	}
	expect(`enter {"user":"other"}`, "entered 0")
}

func TestRecovery_ALogicLeavesOnceItIsOver(t *testing.T) {
	t.Parallel()
	io, url, expect := rememberingServer(t, 50*time.Millisecond)
	c := &returning{url: url, nsp: "/"}
	c.dial(t, "")
	expect("enter ", "entered 0")
	c.hangup()
	expect("away", "leave transport close")
	if c.back() {
		t.Error("recovered after the window")
	}
	expect(`enter {"token":"t"}`, "entered 0")
	c.send("41")
	expect("leave client namespace disconnect")
	other := &returning{url: url, nsp: "/"}
	other.dial(t, "")
	expect("enter ", "entered 0")
	other.hangup()
	expect("away")
	io.Close()
	expect("leave transport close")
}

// What a handler publishes from where it is told about another event must not wait for itself.
func TestRecovery_ListenersMayEmit(t *testing.T) {
	io, url := serve(t, recovering())
	n := io.Of("/")
	n.OnConnect(func(s *socketio.Socket) {
		s.OnAnyOutgoing(func(e socketio.Event) {
			if e.Name == "m" {
				_ = s.Emit("seen")
			}
		})
	})
	connected := sockets(n)
	c := arrive(t, url, "/")
	receive(t, connected)
	emit(t, n.Published(func(error) { _ = n.Emit("published") }), "m")
	c.expectEvents(`["m"]`)
	got := []string{c.next(), c.next()}
	slices.Sort(got)
	if !slices.Equal(got, []string{`["published"]`, `["seen"]`}) {
		t.Errorf("received %q", got)
	}
}

func TestRecovery_OfAMsgpackClient(t *testing.T) {
	cfg := recovering()
	cfg.Parser = packet.MsgpackParser
	io, url := serve(t, cfg)
	n := io.Of("/")
	connected := sockets(n)
	p := dial(t, url)
	p.send(msgpackConnect)
	s := receive(t, connected)
	before, pid, ok := strings.Cut(p.read(), "\xa3pid\xb4")
	if !ok || before != "b:\x83\xa4type\x00\xa4data\x82\xa3sid\xb4"+s.ID() || len(pid) < 20 || pid[20:] != "\xa3nsp\xa1/" {
		t.Fatalf("answered %q and %q", before, pid)
	}
	pid = pid[:20]
	p.hangup()
	gone(t, s)
	emit(t, n.Emitter, "m", []byte{7})
	p = dial(t, url)
	p.send("b:\x83\xa4type\x00\xa4data\x81\xa3pid\xb4" + pid + "\xa3nsp\xa1/")
	if got := p.read(); !strings.Contains(got, "\xa3pid\xb4"+pid) {
		t.Errorf("answered %q", got)
	}
	if got := p.read(); !strings.HasPrefix(got, "b:\x83\xa4type\x02\xa4data\x93\xa1m\xc4\x01\x07\xb7@") {
		t.Errorf("received %q", got)
	}
}
