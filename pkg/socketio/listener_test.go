package socketio_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/prometheus/client_golang/prometheus"
)

func TestUse_EventsPassListenersThenMiddlewaresThenTheHandler(t *testing.T) {
	registry := prometheus.NewRegistry()
	server, url := serve(t, socketio.Config{Registry: registry})
	server.Of("/").OnConnect(func(s *socketio.Socket) {
		var steps []string
		s.OnAny(func(e socketio.Event) { steps = append(steps[:0], "any "+e.Name) })
		s.Use(func(e socketio.Event) error {
			steps = append(steps, "first")
			if e.Name == "forbidden" {
				_ = e.Ack.Send("no")
				return errors.New("forbidden")
			}
			return nil
		})
		s.Use(func(socketio.Event) error { steps = append(steps, "second"); return nil })
		s.On("e", func(n int, ack socketio.Ack) { _ = ack.Send(strings.Join(steps, ", "), n) })
		s.On("off", func(ack socketio.Ack) { _ = ack.Send("still on") })
		s.On("silence", func() { s.Off("off", "unknown") })
	})
	p, _ := join(t, url)
	p.send(`421["e",7]`, `422["forbidden"]`, `423["off"]`, `42["silence"]`, `424["off"]`, `425["e",8]`)
	p.expect(`431["any e, first, second",7]`, `432["no"]`, `433["still on"]`, `435["any e, first, second",8]`)
	if got := value(t, registry, "carillon_inbound_dropped_total", "refused"); got != 1 {
		t.Errorf("%v events refused", got)
	}
}

func TestOnAnyOutgoing_HearsEventsAndBroadcastsButNoAcks(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	n := server.Of("/")
	heard := make(chan string, 16)
	n.OnConnect(func(s *socketio.Socket) {
		s.OnAnyOutgoing(func(e socketio.Event) { heard <- e.Name + string(e.Args.JSON) })
		s.OnAnyOutgoing(func(socketio.Event) { panic("listener") })
		s.On("go", func(ack socketio.Ack) {
			_ = ack.Send("ack")
			_ = s.Emit("own", 1)
			_ = n.Emit("all", 2, "x")
			_ = s.To("nobody").Emit("others")
			_ = n.To("r").Emit("room")
			_, _ = s.EmitWithAck(within(t), "asked")
			_, _ = n.EmitWithAck(within(t), "everybody asked")
		})
	})
	p, _ := join(t, url)
	p.send(`421["go"]`)
	p.expect(`431["ack"]`, `42["own",1]`, `42["all",2,"x"]`, `420["asked"]`)
	p.send(`430[]`)
	p.expect(`421["everybody asked"]`)
	p.send(`431[]`)
	for _, want := range []string{`own[1]`, `all[2,"x"]`, `asked`, `everybody asked`} {
		if got := receive(t, heard); got != want {
			t.Errorf("heard %s, want %s", got, want)
		}
	}
	nothing(t, heard)
}

func TestOnRoom_TellsHowRoomsComeFillEmptyAndGo(t *testing.T) {
	t.Parallel()
	server, url := serve(t, socketio.Config{})
	n := server.Of("/")
	changes := make(chan socketio.RoomEvent, 64)
	n.OnRoom(func(e socketio.RoomEvent) { changes <- e })
	n.OnRoom(func(socketio.RoomEvent) { panic("handler") })
	connected := sockets(n)
	expect := func(want ...socketio.RoomEvent) {
		t.Helper()
		for _, w := range want {
			if got := receive(t, changes); got != w {
				t.Errorf("told %v, want %v", got, w)
			}
		}
	}
	const (
		created, joined = socketio.RoomCreated, socketio.RoomJoined
		left, deleted   = socketio.RoomLeft, socketio.RoomDeleted
	)
	p, a := join(t, url)
	first := receive(t, connected)
	_, b := join(t, url)
	second := receive(t, connected)
	expect(
		socketio.RoomEvent{Change: created, Room: a}, socketio.RoomEvent{Change: joined, Room: a, Socket: a},
		socketio.RoomEvent{Change: created, Room: b}, socketio.RoomEvent{Change: joined, Room: b, Socket: b})
	for _, s := range []*socketio.Socket{first, second, first} {
		if err := s.Join("r", "r"); err != nil {
			t.Fatal(err)
		}
	}
	expect(socketio.RoomEvent{Change: created, Room: "r"}, socketio.RoomEvent{Change: joined, Room: "r", Socket: a},
		socketio.RoomEvent{Change: joined, Room: "r", Socket: b})
	n.To("r").Except(b).SocketsLeave("r", "unknown")
	expect(socketio.RoomEvent{Change: left, Room: "r", Socket: a})
	second.Leave("r")
	expect(socketio.RoomEvent{Change: left, Room: "r", Socket: b}, socketio.RoomEvent{Change: deleted, Room: "r"})
	p.hangup()
	expect(socketio.RoomEvent{Change: left, Room: a, Socket: a}, socketio.RoomEvent{Change: deleted, Room: a})
	server.Close()
	expect(socketio.RoomEvent{Change: left, Room: b, Socket: b}, socketio.RoomEvent{Change: deleted, Room: b})
	nothing(t, changes)
}

func TestOnRoom_WhatIsUndoneBeforeItsTurnIsNotTold(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	n := server.Of("/")
	changes, release := make(chan socketio.RoomEvent, 64), make(chan struct{})
	n.OnRoom(func(e socketio.RoomEvent) {
		if e.Room == "hold" && e.Change == socketio.RoomCreated {
			<-release
		}
		if e.Room == "r" || e.Room == "last" {
			changes <- e
		}
	})
	connected := sockets(n)
	join(t, url)
	s := receive(t, connected)
	_ = s.Join("hold")
	for range 1000 {
		_ = s.Join("r")
		s.Leave("r")
	}
	_ = s.Join("last")
	close(release)
	if got := receive(t, changes); got.Room != "last" {
		t.Errorf("told %v", got)
	}
}

func TestAttachments_ThatDoNotComeCloseTheConnection(t *testing.T) {
	registry := prometheus.NewRegistry()
	server, url := serve(t, socketio.Config{Registry: registry, AttachmentTimeout: 50 * time.Millisecond})
	n := server.Of("/")
	echo(n)
	causes := make(chan error, 1)
	n.OnConnect(func(s *socketio.Socket) {
		if s.Cause() != nil {
			t.Error("a cause before the end")
		}
		s.OnDisconnect(func(socketio.Reason) { causes <- s.Cause() })
	})
	p, _ := join(t, url)
	p.send(`452-1["echo",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, `b:x`, `b:y`)
	p.expect(`462-1[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, `b:x`, `b:y`)
	p.send(`451-["echo",{"_placeholder":true,"num":0}]`)
	p.expect("closed")
	if err := receive(t, causes); err == nil || !strings.Contains(err.Error(), "attachments") {
		t.Errorf("cause %v", err)
	}
	if got := value(t, registry, "carillon_inbound_dropped_total", "attachments"); got != 1 {
		t.Errorf("counted %v", got)
	}
}

func TestCause_SaysWhatWasWrong(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	causes := make(chan error, 1)
	server.Of("/").OnConnect(func(s *socketio.Socket) {
		s.On("boom", func() { panic("boom") })
		s.OnDisconnect(func(socketio.Reason) { causes <- s.Cause() })
	})
	for send, want := range map[string]string{
		`42{`: "invalid JSON", `40`: "joined already", `42/foo,["a"]`: "not joined", `44{}`: "packet type",
		`42["boom"]`: "panic in a handler: boom", `41`: "",
	} {
		p, _ := join(t, url)
		p.send(send)
		err := receive(t, causes)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: cause %v", send, err)
		}
	}
}
