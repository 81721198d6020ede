package pythonbus_test

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/pythonbus"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"github.com/carillon-io/carillon/test/await"
)

func target(names ...string) rooms.Target { return rooms.Target{Rooms: names} }

const us = `"host_id":"carillon:socket.io:n1",`

func TestPublish_WritesWhatPythonReads(t *testing.T) {
	args := func(text string, attachments ...[]byte) packet.Args {
		return packet.Args{JSON: []byte(text), Attachments: attachments}
	}
	const tail = `"skip_sid":null,"callback":null}`
	for name, c := range map[string]struct {
		command adapter.Command
		want    []string
	}{
		"everybody": {
			adapter.Broadcast{Namespace: "/", Args: args(`["news",{"a":1},2]`)},
			[]string{`{` + us + `"method":"emit","namespace":"/","event":"news","data":[{"a":1},2],"binary":false,"room":null,` + tail},
		},
		"no arguments": {
			adapter.Broadcast{Namespace: "/", Args: args(`["news"]`), Target: target("r")},
			[]string{`{` + us + `"method":"emit","namespace":"/","event":"news","data":[],"binary":false,"room":"r",` + tail},
		},
		"rooms except sockets": {
			adapter.Broadcast{Namespace: "/", Args: args(`["news"]`), Target: rooms.Target{Rooms: []string{"r", "s"}, Except: []string{sid}}},
			[]string{`{` + us + `"method":"emit","namespace":"/","event":"news","data":[],"binary":false,"room":["r","s"],"skip_sid":"` + sid + `","callback":null}`},
		},
		"binary": {
			adapter.Broadcast{Namespace: "/b", Args: args(`["pic",{"_placeholder":true,"num":0}]`, []byte{1, 2})},
			[]string{`{` + us + `"method":"emit","namespace":"/b","event":"pic","data":[[{"_placeholder":true,"num":0}],"AQI="],"binary":true,"room":null,` + tail},
		},
		"disconnect": {
			adapter.Disconnect{Namespace: "/", Target: target(sid)},
			[]string{`{` + us + `"method":"disconnect","namespace":"/","sid":"` + sid + `"}`},
		},
		"join": {
			adapter.Join{Namespace: "/", Target: target(sid), Rooms: []string{"a", "b"}},
			[]string{
				`{` + us + `"method":"enter_room","namespace":"/","sid":"` + sid + `","room":"a"}`,
				`{` + us + `"method":"enter_room","namespace":"/","sid":"` + sid + `","room":"b"}`,
			},
		},
		"leave": {
			adapter.Leave{Namespace: "/", Target: target(sid), Rooms: []string{"a"}},
			[]string{`{` + us + `"method":"leave_room","namespace":"/","sid":"` + sid + `","room":"a"}`},
		},
		"close room": {
			adapter.Leave{Namespace: "/", Target: target("a"), Rooms: []string{"a"}},
			[]string{`{` + us + `"method":"close_room","namespace":"/","room":"a"}`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, adapter.Local{})
			w.bus.Publish(c.command, nil)
			for _, want := range c.want {
				sameJSON(t, w.published(), want)
			}
			w.await("carillon_python_messages_total", map[string]string{"direction": "out"}, float64(len(c.want)))
		})
	}
}

// TestPublish_WhatPythonHasNoWordsForIsCounted: an event that a room must not receive is rather not sent.
func TestPublish_WhatPythonHasNoWordsForIsCounted(t *testing.T) {
	w := newWorld(t, adapter.Local{})
	event := packet.Args{JSON: []byte(`["news"]`)}
	commands := []adapter.Command{
		adapter.Broadcast{Namespace: "/", Args: event, Target: rooms.Target{Except: []string{"blocked"}}},
		adapter.Disconnect{Namespace: "/"},
		adapter.Disconnect{Namespace: "/", Target: target("room")},
		adapter.Join{Namespace: "/", Target: target("room"), Rooms: []string{"other"}},
		adapter.Leave{Namespace: "/", Target: target("room"), Rooms: []string{"other"}},
	}
	for _, c := range commands {
		w.bus.Publish(c, nil)
	}
	w.await("carillon_python_dropped_total", dropped("out", "unsupported"), float64(len(commands)))
	w.bus.Publish(adapter.ServerEmit{Namespace: "/", Args: event}, nil)
	w.bus.Publish(adapter.Broadcast{Namespace: "/last", Args: event}, nil)
	if got := w.published(); !strings.Contains(got, "/last") {
		t.Errorf("published %s", got)
	}
}

// asked is an adapter whose nodes answer a question with replies.
type asked struct {
	adapter.Local
	replies []adapter.Reply
}

func (a asked) Ask(_ context.Context, _ adapter.Query, reply func(adapter.Reply)) ([]string, error) {
	for _, r := range a.replies {
		reply(r)
	}
	return nil, nil
}

func question(room string) adapter.BroadcastAsk {
	return adapter.BroadcastAsk{
		Broadcast: adapter.Broadcast{Namespace: "/", Args: packet.Args{JSON: []byte(`["ask",1]`)}, Target: target(room)},
		Timeout:   time.Minute,
	}
}

const elsewhere = "absentabsentabsenttt"

func TestAsk_AClientInPythonAnswers(t *testing.T) {
	w := newWorld(t, asked{replies: []adapter.Reply{adapter.Count(0)}})
	replies := make(chan []adapter.Reply)
	go func() {
		var list []adapter.Reply
		_, _ = w.bus.Ask(t.Context(), question(elsewhere), func(r adapter.Reply) { list = append(list, r) })
		replies <- list
	}()
	var m struct{ Callback []any }
	if err := json.Unmarshal([]byte(w.published()), &m); err != nil || len(m.Callback) != 3 || m.Callback[0] != elsewhere {
		t.Fatalf("callback %v, %v", m.Callback, err)
	}
	id := strconv.Itoa(int(m.Callback[2].(float64)))
	w.python(`{"method":"callback","host_id":"carillon:socket.io:n1","sid":"` + elsewhere + `","namespace":"/","id":` + id + `,"args":["yes"]}`)
	list := <-replies
	if len(list) != 3 || list[1] != adapter.Count(1) || string(list[2].(adapter.Acked).Args.JSON) != `["yes"]` {
		t.Errorf("replies %v", list)
	}
}

// TestAsk_ASocketOfANodeIsNotLookedForInPython: the answer does not wait for Python's time-out.
func TestAsk_ASocketOfANodeIsNotLookedForInPython(t *testing.T) {
	acked := adapter.Acked{Args: packet.Args{JSON: []byte(`["here"]`)}}
	w := newWorld(t, asked{replies: []adapter.Reply{adapter.Count(1), acked}})
	count := 0
	if _, err := w.bus.Ask(t.Context(), question(elsewhere), func(adapter.Reply) { count++ }); err != nil || count != 2 {
		t.Errorf("%d replies, %v", count, err)
	}
	if _, err := w.bus.Ask(t.Context(), question(sid), func(adapter.Reply) {}); err != nil {
		t.Error(err)
	}
}

func TestAsk_AnIDOfNobodyCostsTheTimeout(t *testing.T) {
	w := newWorld(t, asked{replies: []adapter.Reply{adapter.Count(0)}})
	q := question(elsewhere)
	q.Timeout = time.Millisecond
	missing, err := w.bus.Ask(t.Context(), q, func(adapter.Reply) {})
	if err != nil || len(missing) > 0 {
		t.Errorf("%v, %v", missing, err)
	}
}

// TestAsk_ARoomInPythonIsSentTheEvent: nothing says how many would answer, so no answer is asked for.
func TestAsk_ARoomInPythonIsSentTheEvent(t *testing.T) {
	w := newWorld(t, adapter.Local{})
	if _, err := w.bus.Ask(t.Context(), question("chat:1"), func(adapter.Reply) {}); err != nil {
		t.Fatal(err)
	}
	sameJSON(t, w.published(), `{`+us+`"method":"emit","namespace":"/","event":"ask","data":[1],"binary":false,"room":"chat:1","skip_sid":null,"callback":null}`)
	if _, err := w.bus.Ask(t.Context(), adapter.AllRooms{Namespace: "/"}, func(adapter.Reply) {}); err != nil {
		t.Fatal(err)
	}
}

// TestAsk_ACommandThatIsConfirmedReachesPythonToo: nothing confirms it there.
func TestAsk_ACommandThatIsConfirmedReachesPythonToo(t *testing.T) {
	w := newWorld(t, asked{replies: []adapter.Reply{adapter.Counted{Sockets: 1}}})
	counted := 0
	q := adapter.Perform{Command: adapter.Disconnect{Namespace: "/", Target: target(sid)}}
	if _, err := w.bus.Ask(t.Context(), q, func(adapter.Reply) { counted++ }); err != nil || counted != 1 {
		t.Errorf("%d answers, %v", counted, err)
	}
	sameJSON(t, w.published(), `{`+us+`"method":"disconnect","namespace":"/","sid":"`+sid+`"}`)
	if got := w.bus.NodeID(); got != "n1" {
		t.Errorf("the node is called %s", got)
	}
}

func TestQueue_OverABoundTheOldestAreDropped(t *testing.T) {
	w := newWorld(t, adapter.Local{}, func(c *pythonbus.Config) { c.Messages = 3 })
	w.server.Close()
	event := adapter.Broadcast{Namespace: "/", Args: packet.Args{JSON: []byte(`["news"]`)}}
	w.await("carillon_python_up", nil, 0)
	for range 10 {
		w.bus.Publish(event, nil)
	}
	await.True(t, "7 of 10 are accounted for; 3 may wait", func() bool { return sum(w) >= 7 })
}

func sum(w *world) float64 {
	return value(w, "carillon_python_dropped_total", dropped("out", "full")) + value(w, "carillon_python_dropped_total", dropped("out", "unknown"))
}

func TestRun_ComesBackAfterRedisWasAway(t *testing.T) {
	w := newWorld(t, adapter.Local{})
	w.server.Close()
	w.await("carillon_python_up", nil, 0)
	if err := w.server.Restart(); err != nil {
		t.Fatal(err)
	}
	w.await("carillon_python_up", nil, 1)
	w.python(`{"method":"emit","event":"back","data":[]}`)
	if got := w.delivered(); got != `/ ["back"] [] to [] except []` {
		t.Errorf("delivered %s", got)
	}
}
