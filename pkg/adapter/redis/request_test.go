package redis_test

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// publishRaw publishes bytes as another program would.
func (s *server) publishRaw(channel, payload string) {
	s.t.Helper()
	s.command("PUBLISH", channel, payload)
}

const requests = "socket.io-request#/#"

func TestRequest_CommandsOfEmittersAndNodesAreDelivered(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := readyNode(t, s, redis.Config{NodeID: "this"})
	red := rooms.Target{Rooms: []string{"red"}, Except: []string{}}
	cases := []struct {
		payload string
		want    adapter.Command
	}{
		{`{"type":2,"opts":{"rooms":["red"],"except":[]},"rooms":["blue"]}`,
			adapter.Join{Namespace: "/", Target: red, Rooms: []string{"blue"}}},
		{`{"uid":"7ODgax","type":3,"opts":{"rooms":["red"],"except":[]},"rooms":["blue"]}`,
			adapter.Leave{Namespace: "/", Target: red, Rooms: []string{"blue"}}},
		{`{"uid":"7ODgax","type":4,"opts":{"rooms":["red"],"except":[]},"close":true}`,
			adapter.Disconnect{Namespace: "/", Target: red, Close: true}},
		{`{"uid":"emitter","type":6,"data":["hello",1,{"a":1}]}`,
			adapter.ServerEmit{Namespace: "/", Args: packet.Args{JSON: []byte(`["hello",1,{"a":1}]`)}}},
	}
	for i, c := range cases {
		s.publishRaw(requests, c.payload)
		eventually(t, "delivered", func() bool { return len(n.delivered()) == i+1 })
		if got := describe(n.delivered()[i]); got != describe(c.want) {
			t.Errorf("%s\n got %s\nwant %s", c.payload, got, describe(c.want))
		}
	}
}

// describe spells empty and missing lists alike.
func describe(c adapter.Command) string {
	return strings.ReplaceAll(strings.ReplaceAll(fmt.Sprintf("%#v", c), "[]string(nil)", "[]string{}"), " ", "")
}

func TestRequest_OwnCommandsAreIgnoredWhenTheyComeBack(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := readyNode(t, s, redis.Config{NodeID: "this"})
	other := readyNode(t, s, redis.Config{})
	for _, c := range []adapter.Command{
		adapter.Join{Namespace: "/", Rooms: []string{"x"}},
		adapter.Leave{Namespace: "/", Rooms: []string{"x"}},
		adapter.Disconnect{Namespace: "/"},
		adapter.ServerEmit{Namespace: "/", Args: packet.Args{JSON: []byte(`["x"]`)}},
		broadcast(`["x"]`),
	} {
		n.mustPublish(c)
	}
	eventually(t, "the other has all", func() bool { return len(other.delivered()) == 5 })
	eventually(t, "all came back", func() bool { return n.metric("redis_receive_dropped_total", "reason", "own") == 5 })
	if got := n.delivered(); len(got) != 0 {
		t.Errorf("delivered to ourselves: %v", got)
	}
}

func TestRequest_OldFormForOneSocketIsAnsweredWhereTheSocketIs(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := readyNode(t, s, redis.Config{})
	other := readyNode(t, s, redis.Config{})
	n.hold("sid1")
	answers := s.listen("socket.io-response#/#")
	s.publishRaw(requests, `{"requestId":"r2","type":2,"sid":"sid1","room":"x"}`)
	if got := decodeJSON(t, <-answers); got["requestId"] != "r2" || got["sockets"] != nil {
		t.Errorf("answer %v", got)
	}
	want := adapter.Join{Namespace: "/", Target: rooms.Target{Rooms: []string{"sid1"}}, Rooms: []string{"x"}}
	if got := n.delivered(); len(got) != 1 || describe(got[0]) != describe(want) {
		t.Errorf("delivered %v", got)
	}
	eventually(t, "the other is not concerned", func() bool {
		return other.metric("redis_receive_dropped_total", "reason", "no_member") == 1
	})
}

// listen returns what is published on a channel from now on.
func (s *server) listen(channel string) <-chan string {
	s.t.Helper()
	return s.receiveFrom(s.client().Subscribe(context.Background(), channel))
}

// listenSharded is listen for a sharded channel.
func (s *server) listenSharded(channel string) <-chan string {
	s.t.Helper()
	return s.receiveFrom(s.client().SSubscribe(context.Background(), channel))
}

func (s *server) receiveFrom(pubsub *goredis.PubSub) <-chan string {
	s.t.Helper()
	if _, err := pubsub.Receive(context.Background()); err != nil {
		s.t.Fatal(err)
	}
	payloads := make(chan string, 100)
	ended := make(chan struct{})
	messages := pubsub.Channel(goredis.WithChannelHealthCheckInterval(0))
	go func() {
		defer close(ended)
		for m := range messages {
			payloads <- m.Payload
		}
	}()
	s.t.Cleanup(func() {
		_ = pubsub.Close()
		<-ended
	})
	return payloads
}

func decodeJSON(t *testing.T, text string) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return v
}

func TestRequest_QueriesOfNodeAreAnsweredAsNodeDoes(t *testing.T) {
	t.Parallel()
	const shared, specific = "socket.io-response#/#", "socket.io-response#/#asker#"
	cases := []struct {
		name, payload string
		own           bool
		channel       string
		want          []string // JSON, or hex of msgpack
	}{
		{"ids", `{"uid":"asker","requestId":"r","type":0,"rooms":["red"]}`, false, shared,
			[]string{`{"requestId":"r","sockets":["s1"]}`}},
		{"rooms", `{"uid":"asker","requestId":"r","type":1}`, true, specific,
			[]string{`{"requestId":"r","rooms":["s1","red"]}`}},
		{"sockets", `{"uid":"asker","requestId":"r","type":5,"opts":{"rooms":[],"except":[]}}`, true, specific,
			[]string{`{"requestId":"r","sockets":[{"id":"s1","handshake":{"a":1},"rooms":["s1","red"],"data":{}}]}`}},
		{"server-side emit", `{"uid":"asker","type":6,"data":["ping"],"requestId":"r"}`, true, shared,
			[]string{`{"type":6,"requestId":"r","data":"pong"}`}},
		{"broadcast with ack", `{"uid":"asker","requestId":"r","type":7,"packet":{"type":2,"data":["q"],"nsp":"/"},` +
			`"opts":{"rooms":[],"except":[],"flags":{"timeout":800}}}`, false, shared,
			[]string{`{"type":8,"requestId":"r","clientCount":1}`}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			n := readyNode(t, s, redis.Config{NodeID: "this", OwnResponses: c.own})
			n.answers(answerEverything)
			answers := s.listen(c.channel)
			s.publishRaw(requests, c.payload)
			for _, want := range c.want {
				got, expected := decodeJSON(t, <-answers), decodeJSON(t, want)
				delete(got, "uid") // ours alone
				if !reflect.DeepEqual(got, expected) {
					t.Errorf("answer %v instead of %v", got, expected)
				}
			}
			if strings.Contains(c.payload, `"type":7`) {
				if got := <-answers; !strings.Contains(got, "\xa6packet\xa4pong") {
					t.Errorf("acknowledgement %x", got)
				}
			}
		})
	}
}

// answerEverything is a server with one client that answers.
func answerEverything(q adapter.Query, reply func(adapter.Reply)) {
	pong := adapter.Acked{Args: packet.Args{JSON: []byte(`["pong"]`)}}
	switch q.(type) {
	case adapter.FetchSockets:
		rooms := []string{"s1", "red"}
		reply(adapter.Sockets{{ID: "s1", Handshake: []byte(`{"a":1}`), Rooms: rooms, Data: []byte(`{}`)}})
	case adapter.AllRooms:
		reply(adapter.RoomNames{"s1", "red"})
	case adapter.ServerAsk:
		reply(pong)
	case adapter.BroadcastAsk:
		reply(adapter.Count(1))
		reply(pong)
	}
}

func TestAsk_AnswersInNodesFormAreTakenAndSilenceIsMissing(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := readyNode(t, s, redis.Config{RequestTimeout: 2 * time.Second})
	foreign := s.listen(requests) // counts as a node
	go func() {
		q := decodeJSON(t, <-foreign)
		s.publishRaw("socket.io-response#/#", fmt.Sprintf(`{"requestId":%q,"rooms":["a","b"]}`, q["requestId"]))
	}()
	var replies []adapter.Reply
	q := adapter.AllRooms{Namespace: "/"}
	missing, err := n.Ask(t.Context(), q, func(r adapter.Reply) { replies = append(replies, r) })
	if err != nil || len(missing) != 0 || !reflect.DeepEqual(replies, []adapter.Reply{adapter.RoomNames{"a", "b"}}) {
		t.Errorf("replies %v, missing %q, %v", replies, missing, err)
	}
	// The foreign node says nothing this time.
	missing, err = n.Ask(t.Context(), q, func(r adapter.Reply) { t.Errorf("reply %v", r) })
	if err != nil || !slices.Equal(missing, []string{"?"}) {
		t.Errorf("missing %q, %v", missing, err)
	}
	// Its answer comes too late.
	asked := decodeJSON(t, <-foreign)
	s.publishRaw("socket.io-response#/#", fmt.Sprintf(`{"requestId":%q,"rooms":["late"]}`, asked["requestId"]))
}

func TestReceive_WhatIsNotUnderstoodIsCountedAndDropped(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := readyNode(t, s, redis.Config{MaxMessage: 1000})
	cases := []struct{ channel, payload, reason string }{
		{"socket.io#/#", "garbage", "malformed"},
		{"socket.io#/#", "\x93\xa1x", "malformed"},
		{"socket.io#/#", "\x93\xa3uid\x83\xa4type\x02\xa4data\x91\xa1e\xa3nsp\xa4/foo" +
			"\x83\xa5rooms\x90\xa6except\x90\xa5flags\x80", "namespace"},
		{"socket.io#/#", strings.Repeat("x", 1001), "too_large"},
		{requests, `{"type":2`, "malformed"},
		{requests, `{"type":99,"uid":"x"}`, "unknown_type"},
		{"socket.io-response#/#" + "?#", `{"requestId":"nobody asked","rooms":[]}`, "unasked"},
	}
	own := s.command("PUBSUB", "CHANNELS", "socket.io-response#/#*").Val().([]any)[0].(string)
	for _, c := range cases {
		if strings.HasSuffix(c.channel, "?#") {
			c.channel = own
		}
		before := n.metric("redis_receive_dropped_total", "reason", c.reason)
		s.publishRaw(c.channel, c.payload)
		eventually(t, c.reason, func() bool {
			return n.metric("redis_receive_dropped_total", "reason", c.reason) == before+1
		})
	}
	if got := n.delivered(); len(got) != 0 {
		t.Errorf("delivered %v", got)
	}
}

func TestReceiveSharded_WhatIsNotUnderstoodIsCountedAndDropped(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	cfg := dynamic()
	cfg.MaxMessage = 1000
	n := readyNode(t, s, cfg)
	for _, c := range []struct{ payload, reason string }{
		{"garbage", "malformed"},
		{`{"type":3,"data":{},"uid":"x","nsp":"/"}`, "malformed"},
		{`{"type":8,"data":{"requestId":"r","sockets":["id"]},"uid":"x","nsp":"/"}`, "malformed"},
		{`{"type":3,"data":{"packet":{"type":2,"data":["e"]},"opts":{"rooms":[],"except":[]}},"uid":"x","nsp":"/foo"}`,
			"namespace"},
		{strings.Repeat("x", 1001), "too_large"},
		{`{"type":2,"uid":"x","nsp":"/"}`, "unknown_type"},
		{`{"type":11,"data":{"requestId":"nobody asked","clientCount":0},"uid":"x","nsp":"/"}`, "unasked"},
	} {
		before := n.metric("redis_receive_dropped_total", "reason", c.reason)
		s.command("SPUBLISH", "socket.io#/#", c.payload)
		eventually(t, c.reason, func() bool {
			return n.metric("redis_receive_dropped_total", "reason", c.reason) == before+1
		})
	}
	if got := n.delivered(); len(got) != 0 {
		t.Errorf("delivered %v", got)
	}
}
