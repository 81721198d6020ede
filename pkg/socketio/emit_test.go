package socketio_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

func TestEmitter_ReachesWhomItAddressesOnce(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	n := server.Of("/")
	connected := sockets(n)
	echo(n)
	server.Of("/other")
	peers, members := map[string]*peer{}, map[string]*socketio.Socket{}
	for name, rooms := range map[string][]string{"a": {"r1", "r2"}, "b": {"r2"}, "c": {"r3"}, "d": nil} {
		peers[name], _ = join(t, url)
		members[name] = receive(t, connected)
		if err := members[name].Join(rooms...); err != nil {
			t.Fatal(err)
		}
	}
	outsider, _ := join(t, url, "/other")
	a, d := members["a"], members["d"]
	for name, c := range map[string]struct {
		emitter socketio.Emitter
		heard   string
	}{
		"everyone":               {n.Except(), "abcd"},
		"everyone on this node":  {n.Local(), "abcd"},
		"one room":               {n.To("r1"), "a"},
		"several rooms":          {n.To("r1", "r2").To("r3"), "abc"},
		"same room twice":        {n.To("r2", "r2"), "ab"},
		"one socket":             {n.To(d.ID()), "d"},
		"room and its member":    {n.To("r1", a.ID()), "a"},
		"unknown room":           {n.To("nobody"), ""},
		"no room at all":         {n.To(), ""},
		"empty list, then one":   {n.To().To("r3"), "c"},
		"all but a room":         {n.Except("r2"), "cd"},
		"room but a room":        {n.To("r2").Except("r1"), "b"},
		"room but a socket":      {n.To("r2").Except(a.ID()), "b"},
		"room but unknown":       {n.To("r1").Except("nobody"), "a"},
		"sender's room":          {a.To("r2"), "b"},
		"all but sender":         {a.Broadcast(), "bcd"},
		"all but sender, a room": {a.Except("r3"), "bd"},
		"volatile":               {n.Volatile().To("r3"), "c"},
	} {
		if err := c.emitter.Emit("e", name); err != nil {
			t.Fatal(err)
		}
		for who, p := range peers {
			if strings.Contains(c.heard, who) {
				p.expect(`42["e","` + name + `"]`)
			}
			p.sync() // and nothing else
		}
	}
	outsider.send(`40`)
	if got := outsider.read(); !strings.HasPrefix(got, "40{") {
		t.Errorf("outsider heard %q", got)
	}
}

func TestEmitter_OperatorsDoNotTouchTheirReceiver(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	n := server.Of("/")
	connected := sockets(n)
	echo(n)
	p, _ := join(t, url)
	if err := receive(t, connected).Join("r"); err != nil {
		t.Fatal(err)
	}
	base := n.To("x", "y", "z")
	with, without := base.To("r"), base.To("other")
	if err := errors.Join(without.Emit("no"), base.Emit("no"), with.Emit("yes")); err != nil {
		t.Fatal(err)
	}
	p.expect(`42["yes"]`)
	p.sync()
}

func TestEmit_CarriesValuesAndAttachments(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	n := server.Of("/foo")
	connected := sockets(n)
	p, _ := join(t, url, "/foo")
	s := receive(t, connected)
	long := strings.Repeat("x", 70_000)
	blob := []byte{0, 255}
	for _, emit := range []func(string, ...any) error{s.Emit, n.Emit, n.To(s.ID()).Emit} {
		if err := emit("e", 1, "😀<&>", map[string]any{"b": blob, "a": []any{nil, 1.5}}, blob); err != nil {
			t.Fatal(err)
		}
		p.expect(
			`452-/foo,["e",1,"😀<&>",{"a":[null,1.5],"b":{"_placeholder":true,"num":0}},{"_placeholder":true,"num":1}]`,
			"b:\x00\xff", "b:\x00\xff")
		if err := emit("long", long); err != nil {
			t.Fatal(err)
		}
		p.expect(`42/foo,["long","` + long + `"]`)
	}
	s.EmitArgs(packet.Args{JSON: []byte(`["as", 1.0]`)}, false)
	if err := n.To(s.ID()).EmitArgs(packet.Args{JSON: []byte(`["as", 2.0]`)}); err != nil {
		t.Fatal(err)
	}
	p.expect(`42/foo,["as", 1.0]`, `42/foo,["as", 2.0]`)
}

func TestEmit_RefusesWhatNoClientWouldTake(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	n := server.Of("/")
	connected := sockets(n)
	join(t, url)
	s := receive(t, connected)
	done, called := settled()
	for _, name := range []string{
		"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener",
	} {
		_, asked := s.EmitWithAck(within(t), name)
		for _, err := range []error{
			s.Emit(name), n.Emit(name), n.To("r").Published(done).Emit(name), asked,
			n.To("r").EmitArgs(packet.Args{JSON: []byte(`["` + name + `"]`)}),
		} {
			if !errors.Is(err, socketio.ErrReservedEvent) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if n.Emit("e", make(chan int)) == nil || n.To("r").EmitArgs(packet.Args{JSON: []byte(`[{}]`)}) == nil {
		t.Error("taken")
	}
	nothing(t, called)
}

func TestEmit_ToASocketThatHasGoneFails(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	n := server.Of("/")
	connected := sockets(n)
	p, _ := join(t, url)
	s := receive(t, connected)
	s.Disconnect()
	p.expect(`41`)
	if err := s.Emit("e"); !errors.Is(err, socketio.ErrDisconnected) {
		t.Error(err)
	}
}

func TestPublished_TellsOnce(t *testing.T) {
	server, _ := serve(t, socketio.Config{})
	n := server.Of("/")
	for name, e := range map[string]socketio.Emitter{"all": n.To("r"), "local": n.Local(), "nobody": n.To()} {
		done, called := settled()
		if err := e.Published(done).Emit("e"); err != nil {
			t.Fatal(err)
		}
		if err := receive(t, called); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEmit_EverythingOneGoroutineSendsArrivesInOrder(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	n := server.Of("/")
	connected := sockets(n)
	p, id := join(t, url)
	s := receive(t, connected)
	const rounds = 200
	var sender sync.WaitGroup
	sender.Go(func() {
		for i := range rounds {
			_ = n.Emit("all", i)
			_ = s.Emit("one", i)
			_ = n.To(id).Emit("room", i)
		}
	})
	for i := range rounds {
		p.expect(`42["all",`+itoa(i)+`]`, `42["one",`+itoa(i)+`]`, `42["room",`+itoa(i)+`]`)
	}
	sender.Wait()
}

func TestBroadcast_ReachesASocketFromItsAnswerOn(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	n := server.Of("/")
	stop := make(chan struct{})
	var noise sync.WaitGroup
	noise.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = n.Volatile().Emit("noise") // volatile, so as not to fill outboxes
			}
		}
	})
	for range 50 {
		p := dial(t, url)
		p.send(`40`)
		if got := p.read(); !strings.HasPrefix(got, `40{"sid":`) {
			t.Fatalf("before the answer came %q", got)
		}
		p.expect(`42["noise"]`)
		p.hangup()
	}
	close(stop)
	noise.Wait()
}

func TestJoin_LimitAndLeave(t *testing.T) {
	server, url := serve(t, socketio.Config{MaxRooms: 2})
	n := server.Of("/")
	connected := sockets(n)
	join(t, url)
	s := receive(t, connected)
	if err := s.Join("a", "b", "a", s.ID()); err != nil {
		t.Fatal(err)
	}
	if err := s.Join("c"); !errors.Is(err, socketio.ErrTooManyRooms) || s.In("c") {
		t.Errorf("third room: %v", err)
	}
	done, joined := settled()
	s.JoinThen(done, "c")
	if err := receive(t, joined); !errors.Is(err, socketio.ErrTooManyRooms) {
		t.Error(err)
	}
	s.Leave("a", "unknown")
	s.Leave()
	if got := strings.Join(s.Rooms(nil), " "); got != s.ID()+" b" {
		t.Errorf("rooms %s", got)
	}
	s.JoinThen(done, "c")
	if err := receive(t, joined); err != nil || !s.In("c") {
		t.Error(err)
	}
	if err := s.Join("d"); !errors.Is(err, socketio.ErrTooManyRooms) {
		t.Errorf("third room again: %v", err)
	}
	server.SetLimits(socketio.Limits{Rooms: 3})
	if err := s.Join("d"); err != nil {
		t.Errorf("third room of three: %v", err)
	}
	server.SetLimits(socketio.Limits{})
	if err := s.Join("e", "f", "g"); err != nil {
		t.Errorf("without a limit: %v", err)
	}
	server.SetLimits(socketio.Limits{Rooms: 1})
	if err := s.Join("h"); !errors.Is(err, socketio.ErrTooManyRooms) || !s.In("g") {
		t.Errorf("over a limit that was lowered: %v", err)
	}
}
