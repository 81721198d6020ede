package pythonbus_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/pythonbus"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// TestReceive_CapturedMessages: python-socketio 5.18.1 wrote these.
func TestReceive_CapturedMessages(t *testing.T) {
	captured, err := os.ReadFile("testdata/captured.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, adapter.Local{})
	want := []string{
		`/ ["news",{"a": 1}] [] to ["chat:1"] except []`,
		`/ ["news"] [] to [] except []`,
		`/chat ["news","x", 2] [] to ["a" "b"] except ["` + sid + `"]`,
		`/ ["news",[1, 2]] [] to [] except ["` + sid + `"]`,
		`/ ["news",{"b":{"_placeholder":true,"num":0}}] ["\x01\x02"] to ["7"] except []`,
		`adapter.Join {Namespace:/ Target:{Rooms:[` + sid + `] Except:[]} Rooms:[r]}`,
		`adapter.Leave {Namespace:/ Target:{Rooms:[` + sid + `] Except:[]} Rooms:[r]}`,
		`adapter.Disconnect {Namespace:/ Target:{Rooms:[` + sid + `] Except:[]} Close:false}`,
		`adapter.Leave {Namespace:/ Target:{Rooms:[r] Except:[]} Rooms:[r]}`,
		`ask / ["ask","x"] [] to ["` + sid + `"] except []`,
	}
	lines := strings.Split(strings.TrimSpace(string(captured)), "\n")
	for i, line := range lines {
		w.python(line)
		if got := w.delivered(); got != want[i] {
			t.Errorf("%s\ngot  %s\nwant %s", line, got, want[i])
		}
	}
}

func TestReceive_WhatIsForNobodyIsNobodys(t *testing.T) {
	w := newWorld(t, adapter.Local{})
	for _, message := range []string{
		`{"method":"emit","event":"a","data":[1],"room":[]}`,                           // an empty list is not everybody
		`{"method":"emit","event":"a","data":[1],"room":"absent"}`,                     // no socket of this node is there
		`{"method":"disconnect","sid":"lobby"}`,                                        // a room is no id
		`{"method":"enter_room","sid":"lobby","room":"x"}`,                             //
		`{"method":"callback","host_id":"other","sid":"x","id":1,"args":[]}`,           // another process waits for it
		`{"host_id":"carillon:socket.io:n2","method":"emit","event":"a","data":[1]}`,   // a node of this cluster
		`{"host_id":"carillon:socket.io:n1","method":"close_room","room":"everybody"}`, // this one
	} {
		w.python(message)
	}
	w.python(`{"method":"emit","event":"last","data":[]}`)
	if got := w.delivered(); got != `/ ["last"] [] to [] except []` {
		t.Errorf("delivered %s", got)
	}
}

func TestReceive_ANodeOfAnotherClusterIsAPeer(t *testing.T) {
	w := newWorld(t, adapter.Local{})
	w.python(`{"host_id":"carillon:socket.io2:n2","method":"emit","event":"a","data":[1]}`)
	if got := w.delivered(); got != `/ ["a",1] [] to [] except []` {
		t.Errorf("delivered %s", got)
	}
}

func TestReceive_BadMessagesAreDroppedAndCounted(t *testing.T) {
	deep := strings.Repeat("[", 200) + strings.Repeat("]", 200)
	for name, c := range map[string]struct{ reason, payload string }{
		"pickle":               {"pickle", "\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}\x94."},
		"pickle of protocol 0": {"pickle", "(dp0\nVmethod\np1\nVemit\np2\ns."},
		"empty":                {"malformed", ""},
		"no JSON":              {"malformed", "hello"},
		"half an object":       {"malformed", `{"method":"emit","event":"a"`},
		"a list":               {"malformed", `["emit"]`},
		"no method":            {"malformed", `{"event":"a"}`},
		"method of a number":   {"malformed", `{"method":1}`},
		"no event":             {"malformed", `{"method":"emit","data":[1]}`},
		"event of a list":      {"malformed", `{"method":"emit","event":["a"],"data":[1]}`},
		"reserved event":       {"malformed", `{"method":"emit","event":"disconnect","data":[1]}`},
		"NaN":                  {"malformed", `{"method":"emit","event":"a","data":[NaN]}`},
		"not UTF-8":            {"malformed", "{\"method\":\"emit\",\"event\":\"a\",\"data\":[\"\xff\"]}"},
		"too deep":             {"malformed", `{"method":"emit","event":"a","data":[` + deep + `]}`},
		"deeper than a stack":  {"malformed", `{"method":"emit","event":"a","data":` + strings.Repeat("[", 100_000)},
		"binary without parts": {"malformed", `{"method":"emit","event":"a","data":[],"binary":true}`},
		"binary of an object":  {"malformed", `{"method":"emit","event":"a","data":{},"binary":true}`},
		"attachment no base64": {"malformed", `{"method":"emit","event":"a","data":[[{"_placeholder":true,"num":0}],"%"],"binary":true}`},
		"attachment null":      {"malformed", `{"method":"emit","event":"a","data":[[{"_placeholder":true,"num":0}],null],"binary":true}`},
		"placeholder too many": {"malformed", `{"method":"emit","event":"a","data":[[{"_placeholder":true,"num":1}],"AA=="],"binary":true}`},
		"very many parts":      {"malformed", `{"method":"emit","event":"a","data":[[]` + strings.Repeat(`,""`, 1001) + `],"binary":true}`},
		"very many rooms":      {"malformed", `{"method":"emit","event":"a","data":[],"room":[0` + strings.Repeat(`,0`, 10_000) + `]}`},
		"room of an object":    {"malformed", `{"method":"emit","event":"a","data":[],"room":{}}`},
		"rooms of lists":       {"malformed", `{"method":"emit","event":"a","data":[],"room":[[]]}`},
		"skip of an object":    {"malformed", `{"method":"emit","event":"a","data":[],"skip_sid":{}}`},
		"callback of one part": {"malformed", `{"method":"emit","event":"a","data":[],"host_id":"h","callback":[1]}`},
		"callback of nobody":   {"malformed", `{"method":"emit","event":"a","data":[],"callback":["r","/",1]}`},
		"enter without room":   {"malformed", `{"method":"enter_room","sid":"` + sid + `"}`},
		"close without room":   {"malformed", `{"method":"close_room"}`},
		"disconnect of a list": {"malformed", `{"method":"disconnect","sid":[]}`},
		"long host id":         {"malformed", `{"method":"emit","event":"a","host_id":"` + strings.Repeat("h", 257) + `"}`},
		"answer without args":  {"malformed", `{"method":"callback","host_id":"carillon:socket.io:n1","id":1}`},
		"answer without id":    {"malformed", `{"method":"callback","host_id":"carillon:socket.io:n1","args":[]}`},
		"answer to nothing":    {"unasked", `{"method":"callback","host_id":"carillon:socket.io:n1","id":1,"args":[]}`},
		"unknown method":       {"unknown_method", `{"method":"teleport"}`},
		"too large":            {"too_large", `{"method":"emit","event":"a","data":["` + strings.Repeat("x", 1<<20) + `"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, adapter.Local{})
			w.python(c.payload)
			w.await("carillon_python_dropped_total", dropped("in", c.reason), 1)
			w.python(`{"method":"emit","event":"next","data":[]}`)
			if got := w.delivered(); got != `/ ["next"] [] to [] except []` {
				t.Errorf("delivered %s", got)
			}
		})
	}
}

func TestReceive_TheFirstAcknowledgementGoesBack(t *testing.T) {
	w := newWorld(t, adapter.Local{})
	w.node.acks = []packet.Args{{JSON: []byte(`["yes",2]`)}, {JSON: []byte(`["no"]`)}}
	w.python(`{"method":"emit","event":"ask","data":[],"room":"chat:1","callback":["chat:1","/n",7],"host_id":"python1"}`)
	w.delivered()
	w.published() // the question itself
	sameJSON(t, w.published(), `{"method":"callback","host_id":"python1","sid":"chat:1","namespace":"/n","id":7,"args":["yes",2]}`)
	w.bus.Publish(adapter.Disconnect{Namespace: "/", Target: target(sid)}, nil)
	if got := w.published(); !strings.Contains(got, "disconnect") {
		t.Errorf("a second callback: %s", got)
	}
}

func TestReceive_AnAcknowledgementWithBytesHasNoForm(t *testing.T) {
	w := newWorld(t, adapter.Local{})
	w.node.acks = []packet.Args{{JSON: []byte(`[{"_placeholder":true,"num":0}]`), Attachments: [][]byte{{1}}}}
	w.python(`{"method":"emit","event":"ask","data":[],"room":"chat:1","callback":["chat:1","/",7],"host_id":"python1"}`)
	w.await("carillon_python_dropped_total", dropped("out", "unsupported"), 1)
}

func TestNew_RefusesWhatIsNotSet(t *testing.T) {
	if _, err := pythonbus.New(adapter.Local{}, nil, pythonbus.Config{}); err == nil {
		t.Error("an empty configuration is taken")
	}
}

func TestReceive_OneMessageOfAMegabyteIsDelivered(t *testing.T) {
	w := newWorld(t, adapter.Local{})
	long := string(bytes.Repeat([]byte("x"), 1<<20-100))
	w.python(`{"method":"emit","event":"a","data":["` + long + `"]}`)
	if got := w.delivered(); len(got) < len(long) {
		t.Errorf("%d bytes arrived", len(got))
	}
}
