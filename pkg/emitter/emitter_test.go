package emitter_test

import (
	"context"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/emitter"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"github.com/carillon-io/carillon/test/await"
)

// ear hears everything that is published on a Redis of its own.
type ear struct {
	client   *goredis.Client
	messages <-chan *goredis.Message
}

func newEar(t *testing.T) *ear {
	t.Helper()
	server := miniredis.RunT(t)
	client := goredis.NewClient(&goredis.Options{Addr: server.Addr(), MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	subscription := client.PSubscribe(t.Context(), "*")
	t.Cleanup(func() { _ = subscription.Close() })
	if _, err := subscription.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &ear{client: client, messages: subscription.Channel()}
}

func (e *ear) hear(t *testing.T) (channel, payload string) {
	t.Helper()
	m := await.Value(t, "message", e.messages)
	return m.Channel, m.Payload
}

// What @socket.io/redis-emitter 5.1.0 published for the same calls; hex where it is msgpack.
func TestEmitter_PublishesTheBytesOfTheOfficialEmitter(t *testing.T) {
	ctx := t.Context()
	type call func(e emitter.Emitter) error
	emit := func(event string, args ...any) call {
		return func(e emitter.Emitter) error { return e.Emit(ctx, event, args...) }
	}
	tests := []struct {
		name, channel, payload string
		call                   call
	}{
		{"emit", "socket.io#/#",
			"93a7656d697474657283a47479706502a46461746192a568656c6c6fa5776f726c64a36e7370a12f83a5726f6f6d7390" +
				"a5666c61677380a665786365707490",
			emit("hello", "world")},
		{"to a room", "socket.io#/#room1#",
			"93a7656d697474657283a47479706502a46461746192a2686901a36e7370a12f83a5726f6f6d7391a5726f6f6d31a566" +
				"6c61677380a665786365707490",
			func(e emitter.Emitter) error { return e.To("room1").Emit(ctx, "hi", 1) }},
		{"in a room, twice", "socket.io#/#room1#",
			"93a7656d697474657283a47479706502a46461746191a26869a36e7370a12f83a5726f6f6d7391a5726f6f6d31a5666c" +
				"61677380a665786365707490",
			func(e emitter.Emitter) error { return e.In("room1").To("room1", "room1").Emit(ctx, "hi") }},
		{"to two rooms", "socket.io#/#",
			"93a7656d697474657283a47479706502a46461746191a26869a36e7370a12f83a5726f6f6d7392a5726f6f6d31a5726f" +
				"6f6d32a5666c61677380a665786365707490",
			func(e emitter.Emitter) error { return e.To("room1", "room2").Emit(ctx, "hi") }},
		{"except a room", "socket.io#/#",
			"93a7656d697474657283a47479706502a46461746191a26869a36e7370a12f83a5726f6f6d7390a5666c61677380a665" +
				"786365707491a5726f6f6d31",
			func(e emitter.Emitter) error { return e.Except("room1").Emit(ctx, "hi") }},
		{"to a room except two", "socket.io#/#a#",
			"93a7656d697474657283a47479706502a46461746192a2686982a178cb3ff8000000000000a17992c3c0a36e7370a12f" +
				"83a5726f6f6d7391a161a5666c61677380a665786365707492a162a163",
			func(e emitter.Emitter) error {
				return e.To("a").Except("b", "c").Emit(ctx, "hi", map[string]any{"x": 1.5, "y": []any{true, nil}})
			}},
		{"volatile", "socket.io#/#",
			"93a7656d697474657283a47479706502a46461746191a26869a36e7370a12f83a5726f6f6d7390a5666c61677381a876" +
				"6f6c6174696c65c3a665786365707490",
			func(e emitter.Emitter) error { return e.Volatile().Emit(ctx, "hi") }},
		{"not compressed", "socket.io#/#",
			"93a7656d697474657283a47479706502a46461746191a26869a36e7370a12f83a5726f6f6d7390a5666c61677381a863" +
				"6f6d7072657373c2a665786365707490",
			func(e emitter.Emitter) error { return e.Compress(false).Emit(ctx, "hi") }},
		{"compressed after all", "socket.io#/#",
			"93a7656d697474657283a47479706502a46461746191a26869a36e7370a12f83a5726f6f6d7390a5666c61677380a665" +
				"786365707490",
			func(e emitter.Emitter) error { return e.Compress(false).Compress(true).Emit(ctx, "hi") }},
		{"binary in another namespace", "socket.io#/foo#r#",
			"93a7656d697474657283a47479706502a46461746192a362696ec403010203a36e7370a42f666f6f83a5726f6f6d7391" +
				"a172a5666c61677380a665786365707490",
			func(e emitter.Emitter) error { return e.Of("foo").In("r").Emit(ctx, "bin", []byte{1, 2, 3}) }},
		{"encoded arguments", "socket.io#/foo#r#",
			"93a7656d697474657283a47479706502a46461746192a362696ec403010203a36e7370a42f666f6f83a5726f6f6d7391" +
				"a172a5666c61677380a665786365707490",
			func(e emitter.Emitter) error {
				args := packet.Args{JSON: []byte(`[{"_placeholder":true,"num":0}]`), Attachments: [][]byte{{1, 2, 3}}}
				return e.Of("/foo").In("r").EmitArgs(ctx, "bin", args)
			}},
		{"no arguments", "socket.io#/#",
			"93a7656d697474657283a47479706502a46461746191a26869a36e7370a12f83a5726f6f6d7390a5666c61677380a665" +
				"786365707490",
			func(e emitter.Emitter) error { return e.EmitArgs(ctx, "hi", packet.Args{}) }},
		{"join", "socket.io-request#/#", `{"type":2,"opts":{"rooms":[],"except":[]},"rooms":["room1"]}`,
			func(e emitter.Emitter) error { return e.SocketsJoin(ctx, "room1") }},
		{"join of some", "socket.io-request#/#",
			`{"type":2,"opts":{"rooms":["a","b"],"except":["c"]},"rooms":["r1","é\""]}`,
			func(e emitter.Emitter) error { return e.In("a", "b").Except("c").SocketsJoin(ctx, "r1", `é"`) }},
		{"leave", "socket.io-request#/#", `{"type":3,"opts":{"rooms":["a"],"except":["b"]},"rooms":["r1"]}`,
			func(e emitter.Emitter) error { return e.In("a").Except("b").SocketsLeave(ctx, "r1") }},
		{"disconnect", "socket.io-request#/#", `{"type":4,"opts":{"rooms":[],"except":[]},"close":false}`,
			func(e emitter.Emitter) error { return e.DisconnectSockets(ctx, false) }},
		{"disconnect and close", "socket.io-request#/#", `{"type":4,"opts":{"rooms":["a"],"except":[]},"close":true}`,
			func(e emitter.Emitter) error { return e.In("a").DisconnectSockets(ctx, true) }},
		{"server-side emit", "socket.io-request#/#", `{"uid":"emitter","type":6,"data":["hello",1,{"a":1}]}`,
			func(e emitter.Emitter) error { return e.ServerSideEmit(ctx, "hello", 1, map[string]any{"a": 1}) }},
		{"server-side emit of bytes", "socket.io-request#/#",
			"{\"uid\":\"emitter\",\"type\":6,\"data\":[\"s\",1,{\"a\":\"</script>\u2028\"}," +
				"{\"type\":\"Buffer\",\"data\":[1]},null]}",
			func(e emitter.Emitter) error {
				return e.ServerSideEmit(ctx, "s", 1.0, map[string]string{"a": "</script>\u2028"}, []byte{1}, nil)
			}},
		{"server-side emit in another namespace", "socket.io-request#/foo#",
			`{"uid":"emitter","type":6,"data":["hello"]}`,
			func(e emitter.Emitter) error { return e.Of("/foo").ServerSideEmit(ctx, "hello") }},
	}
	ear := newEar(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if err := test.call(emitter.New(ear.client, emitter.Config{})); err != nil {
				t.Fatal(err)
			}
			channel, payload := ear.hear(t)
			if payload[0] != '{' {
				payload = hex.EncodeToString([]byte(payload))
			}
			if channel != test.channel || payload != test.payload {
				t.Errorf("published on %s\n%s, want on %s\n%s", channel, payload, test.channel, test.payload)
			}
		})
	}
}

func TestEmitter_KeyAndNamespaceAreConfigured(t *testing.T) {
	ear := newEar(t)
	e := emitter.New(ear.client, emitter.Config{Key: "other", Namespace: "chat"})
	if err := e.Emit(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if channel, _ := ear.hear(t); channel != "other#/chat#" {
		t.Errorf("published on %s", channel)
	}
	if err := e.SocketsJoin(t.Context(), "r"); err != nil {
		t.Fatal(err)
	}
	if channel, _ := ear.hear(t); channel != "other-request#/chat#" {
		t.Errorf("requested on %s", channel)
	}
}

// A node subscribes to the channel of a room only once a socket has joined.
func TestEmitter_RoomsJustJoinedAreReachedThroughTheNamespace(t *testing.T) {
	ear := newEar(t)
	e := emitter.New(ear.client, emitter.Config{})
	expect := func(e emitter.Emitter, want string) {
		t.Helper()
		if err := e.Emit(t.Context(), "e"); err != nil {
			t.Fatal(err)
		}
		channel, payload := ear.hear(t)
		if channel != want {
			t.Errorf("published on %s, want %s", channel, want)
		}
		nsp := "/"
		if strings.HasPrefix(channel, "socket.io#/other#") {
			nsp = "/other"
		}
		b, err := rediswire.DecodeBroadcast(nsp, "", []byte(payload), rediswire.Limits{})
		if err != nil || len(b.Target.Rooms) != 1 {
			t.Errorf("to %q, %v", b.Target.Rooms, err)
		}
	}
	if err := e.In("user:1").SocketsJoin(t.Context(), "r1", "r2"); err != nil {
		t.Fatal(err)
	}
	ear.hear(t)
	expect(e.To("r1"), "socket.io#/#")
	expect(e.In("r2").Except("x").Volatile(), "socket.io#/#")
	expect(e.To("r3"), "socket.io#/#r3#")
	expect(e.Of("/other").To("r1"), "socket.io#/other#r1#")
	if err := e.In().SocketsJoin(t.Context(), "r4"); err != nil {
		t.Fatal(err)
	}
	expect(e.To("r4"), "socket.io#/#r4#")
}

func TestEmitter_OperatorsLeaveTheirReceiverAsItWas(t *testing.T) {
	ear := newEar(t)
	base := emitter.New(ear.client, emitter.Config{}).To("a", "b").Except("x")
	_ = base.To("c").Except("y").Volatile().Compress(false).Of("/other")
	_ = base.To("d").Except("z")
	if err := base.Emit(t.Context(), "e"); err != nil {
		t.Fatal(err)
	}
	_, payload := ear.hear(t)
	b, err := rediswire.DecodeBroadcast("/", "", []byte(payload), rediswire.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Target.Rooms) != 2 || len(b.Target.Except) != 1 || b.Volatile || b.NoCompress {
		t.Errorf("published %+v", b)
	}
}

func TestEmitter_ReservedEventsAreNotPublished(t *testing.T) {
	ear := newEar(t)
	e := emitter.New(ear.client, emitter.Config{})
	for _, event := range []string{"connect", "connect_error", "disconnect", "disconnecting", "newListener",
		"removeListener"} {
		if err := e.Emit(t.Context(), event); !errors.Is(err, emitter.ErrReserved) {
			t.Errorf("%s: %v", event, err)
		}
		if err := e.EmitArgs(t.Context(), event, packet.Args{}); !errors.Is(err, emitter.ErrReserved) {
			t.Errorf("%s: %v", event, err)
		}
	}
	for _, event := range []string{"connect", "connection", "new_namespace"} {
		if err := e.ServerSideEmit(t.Context(), event); !errors.Is(err, emitter.ErrReserved) {
			t.Errorf("%s: %v", event, err)
		}
	}
	expectSilence(t, ear, e)
}

func TestEmitter_WhatCannotBeEncodedIsNotPublished(t *testing.T) {
	ear := newEar(t)
	e := emitter.New(ear.client, emitter.Config{})
	if err := e.Emit(t.Context(), "e", func() {}); err == nil {
		t.Error("a function was emitted")
	}
	if err := e.ServerSideEmit(t.Context(), "e", func() {}); err == nil {
		t.Error("a function was emitted to servers")
	}
	if err := e.EmitArgs(t.Context(), "e", packet.Args{JSON: []byte(`[1,]`)}); err == nil {
		t.Error("malformed arguments were emitted")
	}
	if err := e.To("r").ServerSideEmit(t.Context(), "e"); !errors.Is(err, emitter.ErrTargeted) {
		t.Errorf("a server-side emit to a room: %v", err)
	}
	expectSilence(t, ear, e)
}

// A list of rooms that turns out empty must not address everyone.
func TestEmitter_NoRoomsAreNobody(t *testing.T) {
	ear := newEar(t)
	var none []string
	for name, e := range map[string]emitter.Emitter{
		"To":                 emitter.New(ear.client, emitter.Config{}).To(none...),
		"In":                 emitter.New(ear.client, emitter.Config{}).In(),
		"To, Except":         emitter.New(ear.client, emitter.Config{}).To().Except("x"),
		"Except, To, To, Of": emitter.New(ear.client, emitter.Config{}).Except("x").To().To(none...).Of("/other"),
	} {
		for call, err := range map[string]error{
			"emit":       e.Emit(t.Context(), "e"),
			"join":       e.SocketsJoin(t.Context(), "r"),
			"leave":      e.SocketsLeave(t.Context(), "r"),
			"disconnect": e.DisconnectSockets(t.Context(), true),
		} {
			if err != nil {
				t.Errorf("%s, %s: %v", name, call, err)
			}
		}
		if err := e.Emit(t.Context(), "disconnect"); !errors.Is(err, emitter.ErrReserved) {
			t.Errorf("%s: a reserved event: %v", name, err)
		}
	}
	if err := emitter.New(ear.client, emitter.Config{}).To().ServerSideEmit(t.Context(), "e"); !errors.Is(err, emitter.ErrTargeted) {
		t.Errorf("a server-side emit to no rooms: %v", err)
	}
	expectSilence(t, ear, emitter.New(ear.client, emitter.Config{}))
}

func TestEmitter_RoomsNamedAfterNoneCount(t *testing.T) {
	ear := newEar(t)
	expectSilence(t, ear, emitter.New(ear.client, emitter.Config{}).To()) // which names one more room
	if err := emitter.New(ear.client, emitter.Config{}).To("a").To().Except().Emit(t.Context(), "e"); err != nil {
		t.Fatal(err)
	}
	if channel, _ := ear.hear(t); channel != "socket.io#/#a#" {
		t.Errorf("published on %s", channel)
	}
}

// expectSilence makes sure that the next message is the one published now.
func expectSilence(t *testing.T, ear *ear, e emitter.Emitter) {
	t.Helper()
	if err := e.To("next").Emit(t.Context(), "next", math.Pi); err != nil {
		t.Fatal(err)
	}
	if channel, _ := ear.hear(t); channel != "socket.io#/#next#" {
		t.Errorf("published on %s", channel)
	}
}

func TestEmitter_FailuresOfRedisAreTheCallers(t *testing.T) {
	server := miniredis.RunT(t)
	client := goredis.NewClient(&goredis.Options{Addr: server.Addr(), MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	e := emitter.New(client, emitter.Config{})

	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Emit(cancelled, "e"); !errors.Is(err, context.Canceled) {
		t.Errorf("with a cancelled context: %v", err)
	}
	server.Close()
	for name, err := range map[string]error{
		"emit":             e.Emit(t.Context(), "e"),
		"join":             e.SocketsJoin(t.Context(), "r"),
		"server-side emit": e.ServerSideEmit(t.Context(), "e"),
	} {
		if err == nil {
			t.Errorf("%s without Redis succeeded", name)
		}
	}
}
