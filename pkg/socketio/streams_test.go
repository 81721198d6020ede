package socketio_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/msgjson"
	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
	"github.com/carillon-io/carillon/pkg/emitter"
	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/carillon-io/carillon/test/redistest"
)

// cable is a node's way to Redis, which can be cut as by the death of the node.
type cable struct {
	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

func (c *cable) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && c.cut {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	if err == nil {
		c.conns = append(c.conns, conn)
	}
	return conn, err
}

func (c *cable) set(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = nil
}

// streaming are nodes with sessions in Redis.
type streaming struct {
	*testing.T
	redis  *redistest.Server
	nodes  []*socketio.Server
	urls   []string
	cables []*cable
	taking []*taking
}

// taking is an adapter whose node may die between two steps of a return.
type taking struct {
	*redis.Adapter
	taken    atomic.Pointer[func()] // called when a session was taken and nothing else has been done; nil: nothing is
	position atomic.Pointer[func(string) string]
}

func (a *taking) Sessions() adapter.Sessions { return keeping{a.Adapter.Sessions(), a} }

type keeping struct {
	adapter.Sessions
	of *taking
}

func (k keeping) Position(nsp string) string {
	if f := k.of.position.Load(); f != nil {
		return (*f)(k.Sessions.Position(nsp))
	}
	return k.Sessions.Position(nsp)
}

func (k keeping) Take(ctx context.Context, f *adapter.FoundSession, as adapter.Session) (bool, error) {
	ok, err := k.Sessions.Take(ctx, f, as)
	if then := k.of.taken.Load(); then != nil && ok {
		(*then)()
	}
	return ok, err
}

func startStreams(t *testing.T, n int, change ...func(*socketio.Config)) *streaming {
	t.Helper()
	s := &streaming{T: t, redis: redistest.Start(t)}
	var configs []socketio.Config
	for i := range n {
		c := new(cable)
		client := goredis.NewClient(&goredis.Options{Addr: s.redis.Address, Dialer: c.dial})
		t.Cleanup(func() { _ = client.Close() })
		a, err := redis.New(client, redis.Config{Tag: "tag" + itoa(i), Streams: &redis.Streams{ClassicEmitters: true}})
		if err != nil {
			t.Fatal(err)
		}
		cfg := recovering()
		for _, f := range change {
			f(&cfg)
		}
		hooked := &taking{Adapter: a}
		cfg.Adapter, cfg.Engine.Tag = hooked, a.Tag
		s.cables, s.taking, configs = append(s.cables, c), append(s.taking, hooked), append(configs, cfg)
	}
	s.nodes, s.urls = run(t, configs)
	return s
}

// stored waits until the session of a client says that it is in a room.
func (s *streaming) stored(c *returning, room string) {
	s.Helper()
	eventually(s, "the session is stored", func() bool {
		text, _ := s.redis.Do("GET", "sio:session:"+c.pid).(string)
		raw, _ := base64.StdEncoding.DecodeString(text)
		return len(raw) > 0 && bytes.Contains(raw, []byte(room))
	})
}

// arriveStored connects a client to the first server, and waits until its session is stored.
func (s *streaming) arriveStored() *returning {
	s.Helper()
	connected := sockets(s.nodes[0].Of("/"))
	c := arrive(s.T, s.urls[0], "/")
	receive(s.T, connected)
	s.stored(c, c.sid)
	return c
}

func TestStreams_AClientOfAKilledNodeComesBackWithWhatItMissed(t *testing.T) {
	s := startStreams(t, 2)
	a, b := s.nodes[0].Of("/n"), s.nodes[1].Of("/n")
	connected, again := sockets(a), sockets(b)
	witness := arrive(t, s.urls[1], "/n")
	receive(t, again)
	c := arrive(t, s.urls[0], "/n")
	socket := receive(t, connected)
	socket.SetData(map[string]int{"score": 7})
	if err := socket.Join("red"); err != nil {
		t.Fatal(err)
	}
	emit(t, b.Emitter, "one", 1)
	c.expectEvents(`["one",1]`)
	s.stored(c, "red")
	if err := socket.Emit("own", 2); err != nil {
		t.Fatal(err)
	}
	c.expectEvents(`["own",2]`)

	s.cables[0].set(true)
	emit(t, b.To("red"), "missed", 3)
	emit(t, b.To("blue"), "not for it")
	emit(t, b.To(c.sid), "missed", 4)
	b.To("red").SocketsJoin("blue")
	emit(t, b.To("blue"), "missed", 5)
	emit(t, b.Volatile(), "volatile")
	witness.expectEvents(`["one",1]`, `["volatile"]`) // a client that is back before would receive the latter, too
	c.hangup()
	c.url = s.urls[1]
	sid := c.sid
	if !c.back() || c.sid != sid {
		t.Fatal("not recovered")
	}
	back := receive(t, again)
	if !back.Recovered() || !back.In("red") || !back.In("blue") {
		t.Errorf("recovered %v, in %q", back.Recovered(), back.Rooms(nil))
	}
	if got := fmt.Sprintf("%s", back.Data()); got != `{"score":7}` {
		t.Errorf("Data is %s", got)
	}
	emit(t, b.To("red"), "live", 6)
	c.expectEvents(`["missed",3]`, `["missed",4]`, `["missed",5]`, `["live",6]`)

	s.cables[0].set(false) // the node was not dead after all, and learns that the session is another's
	eventually(t, "the socket is out of its rooms at the node that had it", func() bool { return len(socket.Rooms(nil)) == 0 })
	emit(t, a.To("red"), "live", 7)
	c.expectEvents(`["live",7]`)
}

// TestStreams_KilledOnceAChangeIsConfirmed: a change of rooms or Data that was confirmed before the node died is there at the node
// that the client comes back to.
func TestStreams_KilledOnceAChangeIsConfirmed(t *testing.T) {
	confirmed := func(t *testing.T, change func(done func(error))) {
		t.Helper()
		done := make(chan error, 1)
		change(func(err error) { done <- err })
		if err := receive(t, done); err != nil {
			t.Fatal(err)
		}
	}
	for name, change := range map[string]func(*testing.T, *socketio.Socket, socketio.Emitter){
		"by its own node": func(t *testing.T, s *socketio.Socket, _ socketio.Emitter) {
			confirmed(t, func(done func(error)) { s.JoinThen(done, "in") })
			s.Leave("out")
			confirmed(t, s.Stored)
		},
		"by another node": func(t *testing.T, _ *socketio.Socket, other socketio.Emitter) {
			if n, err := other.To("all").ConfirmJoin(t.Context(), "in"); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			if n, err := other.To("all").ConfirmLeave(t.Context(), "out"); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		},
		"data": func(t *testing.T, s *socketio.Socket, other socketio.Emitter) {
			if n, err := other.To("all").ConfirmJoin(t.Context(), "in"); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			s.Leave("out")
			s.SetData("changed")
			confirmed(t, s.Stored)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := startStreams(t, 2)
			connected, again := sockets(s.nodes[0].Of("/")), sockets(s.nodes[1].Of("/"))
			c := arrive(t, s.urls[0], "/")
			socket := receive(t, connected)
			confirmed(t, func(done func(error)) { socket.JoinThen(done, "out", "all") })
			change(t, socket, s.nodes[1].Of("/").Emitter)
			s.cables[0].set(true)
			c.hangup()
			c.url = s.urls[1]
			if !c.back() {
				t.Fatal("not recovered")
			}
			back := receive(t, again)
			if !back.In("in") || !back.In("all") || back.In("out") {
				t.Errorf("it is in %q", back.Rooms(nil))
			}
			if name == "data" && fmt.Sprintf("%s", back.Data()) != `"changed"` {
				t.Errorf("Data is %s", back.Data())
			}
		})
	}
}

// TestStreams_TwoClaimsAtANodeThatTakesTheSession: the client has been cut again while the node took the session for it, and is back
// before that is over.
func TestStreams_TwoClaimsAtANodeThatTakesTheSession(t *testing.T) {
	s := startStreams(t, 2)
	c := s.arriveStored()
	c.hangup()
	taken, proceed := make(chan struct{}), make(chan struct{})
	pause := func() { close(taken); <-proceed }
	s.taking[1].taken.Store(&pause)
	first := dial(t, s.urls[1])
	first.send("40" + c.claim())
	receive(t, taken)
	s.taking[1].taken.Store(nil)
	first.hangup()
	c.peer = dial(t, s.urls[1])
	c.send("40" + c.claim())
	arrive(t, s.urls[1], "/") // meanwhile the node has begun with the claim
	close(proceed)
	sid := c.sid
	if c.answered(); c.sid != sid {
		t.Error("not recovered")
	}
}

// TestStreams_AClaimWaitsWhileTheSessionGoesElsewhere: an earlier claim of the client's at another node is carried out late. The claim
// fetches the session from there.
func TestStreams_AClaimWaitsWhileTheSessionGoesElsewhere(t *testing.T) {
	s := startStreams(t, 2)
	c := s.arriveStored()
	halfOpen := c.peer
	later := &returning{peer: dial(t, s.urls[0]), url: s.urls[0], nsp: "/", pid: c.pid}
	later.send("40" + later.claim())
	if _, got, err := halfOpen.ws.ReadMessage(); string(got) != "2" || err != nil { // and does not answer
		t.Fatalf("received %q instead of a ping, %v", got, err)
	}
	c.url = s.urls[1]
	if !c.back() {
		t.Fatal("the earlier claim is not granted")
	}
	if later.answered(); later.sid != c.sid {
		t.Error("not recovered")
	}
}

// TestStreams_ANamespaceThatIsOpenedWhileAnEventComes: the node has passed the event over, and has not noted yet that it has.
func TestStreams_ANamespaceThatIsOpenedWhileAnEventComes(t *testing.T) {
	s := startStreams(t, 3)
	a, b := s.nodes[0].Of("/n"), s.nodes[1].Of("/n")
	s.nodes[2].OfFunc(func(nsp string) bool { return nsp == "/n" }, func(*socketio.Namespace) {})
	connected := sockets(a)
	c := arrive(t, s.urls[0], "/n")
	receive(t, connected)
	s.stored(c, c.sid)
	emit(t, b.Emitter, "one")
	c.expectEvents(`["one"]`)
	s.cables[0].set(true)
	c.hangup()
	before := s.taking[2].Adapter.Sessions().Position("/n")
	emit(t, b.Emitter, "two")
	eventually(t, "passed over", func() bool { return s.taking[2].Adapter.Sessions().Position("/n") != before })
	looks := 0
	position := func(now string) string {
		if looks++; looks <= 3 {
			return before
		}
		return now
	}
	s.taking[2].position.Store(&position)
	c.url = s.urls[2]
	if !c.back() {
		t.Fatal("not recovered")
	}
	emit(t, b.Emitter, "three")
	c.expectEvents(`["two"]`, `["three"]`)
}

// TestStreams_AFormerSocketStoresNothing: the session is that of the socket with which its client has come back.
func TestStreams_AFormerSocketStoresNothing(t *testing.T) {
	s := startStreams(t, 2)
	a, b := s.nodes[0].Of("/"), s.nodes[1].Of("/")
	connected, again := sockets(a), sockets(b)
	c := arrive(t, s.urls[0], "/")
	former := receive(t, connected)
	if err := former.Join("red"); err != nil {
		t.Fatal(err)
	}
	c.hangup()
	gone(t, former)
	if !c.back() {
		t.Fatal("not recovered")
	}
	receive(t, connected).SetData("new")
	s.stored(c, "new")
	former.SetData("former")
	other := arrive(t, s.urls[0], "/") // what is stored for it is so behind the other
	receive(t, connected).SetData("other")
	s.stored(other, "other")
	s.cables[0].set(true)
	c.hangup()
	c.url = s.urls[1]
	if !c.back() {
		t.Fatal("not recovered at the other node")
	}
	if back := receive(t, again); !back.In("red") {
		t.Errorf("it is in %q with %s", back.Rooms(nil), back.Data())
	}
}

func TestStreams_WithoutAnOffsetFromTheBeginning(t *testing.T) {
	s := startStreams(t, 2)
	a, b := s.nodes[0].Of("/"), s.nodes[1].Of("/")
	connected := sockets(a)
	other := arrive(t, s.urls[0], "/")
	receive(t, connected)
	emit(t, a.Emitter, "before")
	other.expectEvents(`["before"]`)
	c := arrive(t, s.urls[0], "/")
	receive(t, connected)
	s.stored(c, c.sid)
	s.cables[0].set(true)
	emit(t, b.Emitter, "first")
	c.hangup()
	c.url = s.urls[1]
	if !c.back() {
		t.Fatal("not recovered")
	}
	c.expectEvents(`["first"]`)
}

func TestStreams_ABanWhileTheNodeIsDeadHolds(t *testing.T) {
	type ban struct {
		name, to, except string
		holds            bool
	}
	of := func(e socketio.Emitter, b ban) socketio.Emitter {
		if b.to != "" {
			e = e.To(b.to)
		}
		return e.Except(b.except)
	}
	ways := map[string]func(*streaming, ban){
		"published": func(s *streaming, b ban) { of(s.nodes[1].Of("/").Emitter, b).DisconnectSockets(false) },
		"confirmed": func(s *streaming, b ban) {
			_, _ = of(s.nodes[1].Of("/").Emitter, b).ConfirmDisconnect(s.Context(), false) // it says that the dead node is missing
		},
		"by a classic emitter": func(s *streaming, b ban) {
			before := s.redis.Do("XLEN", "socket.io")
			e := emitter.New(s.redis.NewClient(), emitter.Config{Namespace: "/"}).Except(b.except)
			if b.to != "" {
				e = e.In(b.to)
			}
			if err := e.DisconnectSockets(s.Context(), false); err != nil {
				s.Fatal(err)
			}
			eventually(s, "the node that is left has put it into the stream", func() bool { return s.redis.Do("XLEN", "socket.io") != before })
		},
	}
	for _, b := range []ban{
		{"a room", "user:1", "user:2", true}, {"all but others", "", "user:2", true}, {"all but it", "", "user:1", false},
		{"a room but it", "all", "user:1", false}, {"another room", "user:2", "user:3", false},
	} {
		for way, disconnect := range ways {
			t.Run(b.name+" "+way, func(t *testing.T) {
				t.Parallel()
				s := startStreams(t, 2)
				connected := sockets(s.nodes[0].Of("/"))
				s.nodes[1].Of("/")
				c := arrive(t, s.urls[0], "/")
				if err := receive(t, connected).Join("all", "user:1"); err != nil {
					t.Fatal(err)
				}
				s.stored(c, "user:1")
				s.cables[0].set(true)
				disconnect(s, b)
				c.hangup()
				c.url = s.urls[1]
				if recovered := c.backAtLast(); recovered == b.holds {
					t.Errorf("recovered: %v", recovered)
				}
				if !b.holds {
					return
				}
				if got := c.read(); got != "41" {
					t.Errorf("received %q instead of a DISCONNECT", got)
				}
			})
		}
	}
}

// TestStreams_AConfirmedBanCountsEachSocketOnce: those with a connection and those without, at any node, and one that is
// connected afterwards stays.
func TestStreams_AConfirmedBanCountsEachSocketOnce(t *testing.T) {
	s := startStreams(t, 2)
	a, b := s.nodes[0].Of("/"), s.nodes[1].Of("/")
	connected, again := sockets(a), sockets(b)
	join := func(from <-chan *socketio.Socket) *socketio.Socket {
		socket := receive(t, from)
		if err := socket.Join("user:1"); err != nil {
			t.Fatal(err)
		}
		return socket
	}
	first, away, moved := arrive(t, s.urls[0], "/"), arrive(t, s.urls[0], "/"), arrive(t, s.urls[0], "/")
	at := make(map[string]*socketio.Socket)
	for range 3 {
		socket := join(connected)
		at[socket.ID()] = socket
	}
	for _, c := range []*returning{first, away, moved} {
		s.stored(c, "user:1")
	}
	away.hangup()
	moved.hangup()
	moved.url = s.urls[1]
	if !moved.back() {
		t.Fatal("not recovered")
	}
	receive(t, again)
	eventually(t, "the node that had it lets it go", func() bool { return len(at[moved.sid].Rooms(nil)) == 0 })
	gone(t, at[away.sid])
	if n, err := a.To("user:1").ConfirmDisconnect(t.Context(), false); n != 3 || err != nil {
		t.Errorf("%d sockets, %v", n, err)
	}
	late := arrive(t, s.urls[1], "/")
	join(again)
	for _, c := range []*returning{first, moved} {
		if got := c.read(); got != "41" {
			t.Errorf("received %q instead of a DISCONNECT", got)
		}
	}
	emit(t, a.To("user:1"), "after")
	late.expectEvents(`["after"]`)
}

// TestStreams_TheLaterClaimHasASocketWhoseNodeLives: its first connection is half-open, or its client's no more.
func TestStreams_TheLaterClaimHasASocketWhoseNodeLives(t *testing.T) {
	s := startStreams(t, 2)
	a, b := s.nodes[0].Of("/"), s.nodes[1].Of("/")
	connected := sockets(a)
	c := arrive(t, s.urls[0], "/")
	first := receive(t, connected)
	emit(t, b.Emitter, "one")
	c.expectEvents(`["one"]`)
	s.stored(c, c.sid)
	old := c.peer
	c.url = s.urls[1]
	if !c.back() {
		t.Fatal("not recovered")
	}
	gone(t, first)
	old.hangup()
	emit(t, a.Emitter, "two")
	c.expectEvents(`["two"]`)
	// And back again.
	c.hangup()
	c.url = s.urls[0]
	if !c.back() {
		t.Fatal("not recovered where it began")
	}
	emit(t, b.Emitter, "three")
	c.expectEvents(`["three"]`)
}

// moving is a Logic that can move to another server. Moved calls moved, which may block.
type moving struct {
	remembering
	moved func()
}

func (*moving) Describe() ([]byte, bool)                         { return []byte("{}"), true }
func (*moving) Watch(func(), func())                             {}
func (*moving) Pack(context.Context) ([]byte, error)             { return []byte("{}"), nil }
func (*moving) Unpack(context.Context, []byte) error             { return nil }
func (*moving) Resume(context.Context, conn.Logic) (bool, error) { return true, nil }
func (l *moving) Moved()                                         { l.moved() }

// TestStreams_BackWhereItsFormerSocketIsStillOnItsWayOut: the session went to another node, and the client is back before this one has
// done all that it does about that.
func TestStreams_BackWhereItsFormerSocketIsStillOnItsWayOut(t *testing.T) {
	s := startStreams(t, 2)
	moved, proceed := make(chan struct{}, 4), make(chan struct{})
	events := make(chan string, 64)
	for _, node := range s.nodes {
		node.Of("/").SetLogic(func(socket *socketio.Socket, _ *socketio.Values) socketio.Logic {
			return &moving{remembering{s: socket, events: events, count: new(int)}, func() { moved <- struct{}{}; <-proceed }}
		})
	}
	t.Cleanup(func() { close(proceed) })
	c := arrive(t, s.urls[0], "/")
	s.stored(c, c.sid)
	c.hangup()
	for _, url := range []string{s.urls[1], s.urls[0]} {
		c.url = url
		if !c.back() {
			t.Fatal("not recovered")
		}
		if url == s.urls[1] {
			receive(t, moved)
		}
		c.hangup()
	}
}

func TestStreams_ASessionOfANodeServer(t *testing.T) {
	s := startStreams(t, 1)
	n := s.nodes[0].Of("/")
	connected := sockets(n)
	other := arrive(t, s.urls[0], "/")
	receive(t, connected)
	emit(t, n.Emitter, "one")
	other.expectEvents(`["one"]`)
	offset := other.offset
	emit(t, n.To("red"), "two")
	emit(t, n.To("blue"), "not for it")

	const sid = "NODEsocketNODEsocket"
	store := func(pid string) *returning {
		record := msgjson.AppendMap(nil, 4)
		for _, member := range []string{"sid", sid, "pid", pid} {
			record = msgjson.AppendString(record, member)
		}
		record = msgjson.AppendArray(msgjson.AppendString(record, "rooms"), 2)
		record = msgjson.AppendString(msgjson.AppendString(record, sid), "red")
		record = msgjson.AppendMap(msgjson.AppendString(record, "data"), 0)
		s.redis.Do("SET", "sio:session:"+pid, base64.StdEncoding.EncodeToString(record), "PX", 60_000)
		return &returning{peer: &peer{t: t}, url: s.urls[0], nsp: "/", pid: pid, offset: offset}
	}
	for i, offset := range []string{"1700000000000-0", "", "text", "@AAAAAAAAAAAAAAAAAAAAAA"} {
		c := store(fmt.Sprintf("NODEsecretNODEsecre%d", i))
		if c.offset = offset; c.back() {
			t.Errorf("recovered from %q, which is no entry of the stream", offset)
		}
	}
	c := store("NODEsecretNODEsecret")
	if !c.back() || c.sid != sid {
		t.Fatal("not recovered")
	}
	c.expectEvents(`["two"]`)
}

func TestStreams_AStoredSessionLivesForTheWindow(t *testing.T) {
	s := startStreams(t, 1)
	connected := sockets(s.nodes[0].Of("/"))
	c := arrive(t, s.urls[0], "/")
	socket := receive(t, connected)
	s.stored(c, c.sid)
	key := "sio:session:" + c.pid
	life := func() time.Duration { return time.Duration(s.redis.Do("PTTL", key).(int64)) * time.Millisecond }
	if got := life(); got < 2*time.Minute || got > 3*time.Minute {
		t.Errorf("while its client is connected it is stored for %v", got)
	}
	c.hangup()
	gone(t, socket)
	eventually(t, "no longer than the window", func() bool { l := life(); return l > 0 && l <= 2*time.Minute })
	if !c.back() {
		t.Fatal("not recovered")
	}
	receive(t, connected).Disconnect()
	eventually(t, "the session is gone", func() bool { return s.redis.Do("EXISTS", key).(int64) == 0 })
}
