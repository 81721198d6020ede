package rediswire_test

import (
	"reflect"
	"testing"
	"unsafe"

	"github.com/carillon-io/carillon/internal/msgjson"
	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
)

const (
	plainHead = `{"type":3,"data":{"opts":{"rooms":["red"],"except":[],"flags":{}},"packet":{"type":2,"data":`
	plainTail = `}},"uid":"u","nsp":"/"}`
)

func TestClusterBroadcast_TextStaysAsItIsSpelled(t *testing.T) {
	for _, text := range []string{
		`["x"]`, `["x",1.50,-0,1e400,"\u00e9\ud800",{"b":1,"a":[ ],"b":2}]`, "[\"x\", \"\u00e9\u2028\"]",
		`["x",{"_placeholder":true,"num":7}]`, `["x",18446744073709551616]`,
	} {
		payload := []byte(plainHead + text + plainTail)
		uid, b, ok := rediswire.ClusterBroadcast("/", "red", payload, rediswire.Limits{})
		if !ok || string(uid) != "u" || string(b.Args.JSON) != text || !reflect.DeepEqual(b.Target, to("red")) {
			t.Errorf("%s: %q %+v %v", text, uid, b, ok)
			continue
		}
		if unsafe.SliceData(b.Args.JSON) != &payload[len(plainHead)] || cap(b.Args.JSON) != len(text) {
			t.Errorf("%s is no part of the message, or more", text)
		}
	}
	flags := `{"uid":"u","type":3,"nsp":"/","data":{"packet":{"data":["x"],"type":2,"nsp":"/"},"opts":` +
		`{"flags":{"volatile":true,"compress":false},"except":["a","b"]}}}`
	_, b, ok := rediswire.ClusterBroadcast("/", "", []byte(flags), rediswire.Limits{})
	if !ok || !b.Volatile || !b.NoCompress || len(b.Target.Rooms) != 0 || len(b.Target.Except) != 2 {
		t.Errorf("%+v %v", b, ok)
	}
}

func TestClusterBroadcast_LeavesTheRestToDecodeCluster(t *testing.T) {
	for name, payload := range map[string]string{
		"empty":              ``,
		"truncated":          plainHead + `["x"]`,
		"trailing":           plainHead + `["x"]` + plainTail + `1`,
		"wrong bracket":      plainHead + `["x"]}},"uid":"u","nsp":"/"]`,
		"list mends":         `{"type":3,"data":{"opts":{"rooms":["red"}},"packet":{"type":2,"data":["x"]}},"uid":"u","nsp":"/"}`,
		"comma":              plainHead + `["x",]` + plainTail,
		"comma at end":       plainHead + `["x"]}},"uid":"u","nsp":"/",}`,
		"no list":            plainHead + `{"x":1}` + plainTail,
		"empty list":         plainHead + `[]` + plainTail,
		"numbered":           plainHead + `[1]` + plainTail,
		"reserved":           plainHead + `["connect"]` + plainTail,
		"escaped":            plainHead + `["\u0063onnect"]` + plainTail,
		"invalid UTF-8":      plainHead + "[\"x\",\"\xff\"]" + plainTail,
		"too deep":           plainHead + `["x",[[[[[1]]]]]]` + plainTail,
		"too long":           plainHead + `["x","0123456789012345678901234567890123456789012345678901234567890123456789"]` + plainTail,
		"namespace":          plainHead + `["x"]}},"uid":"u","nsp":"/other"}`,
		"packet's namespace": plainHead + `["x"],"nsp":"/other"` + plainTail,
		"asks":               plainHead + `["x"]},"requestId":"r"},"uid":"u","nsp":"/"}`,
		"asks with escape":   plainHead + `["x"]},"request\u0049d":"r"},"uid":"u","nsp":"/"}`,
		"packet twice":       plainHead + `["x"]},"packet":{"type":2}},"uid":"u","nsp":"/"}`,
		"data twice":         plainHead + `["x"]}},"data":{},"uid":"u","nsp":"/"}`,
		"no options":         `{"type":3,"data":{"packet":{"type":2,"data":["x"]}},"uid":"u","nsp":"/"}`,
		"one room":           `{"type":3,"data":{"opts":{"rooms":"red"},"packet":{"type":2,"data":["x"]}},"uid":"u","nsp":"/"}`,
		"another type":       `{"type":9,"data":{"opts":{},"packet":{"type":2,"data":["x"]}},"uid":"u","nsp":"/"}`,
	} {
		if _, b, ok := rediswire.ClusterBroadcast("/", "red", []byte(payload), rediswire.Limits{Bytes: 180, Depth: 5}); ok {
			t.Errorf("%s: %+v", name, b)
		}
	}
}

// Whatever is read quickly, DecodeCluster reads too, and as the same.
func FuzzClusterBroadcast(f *testing.F) {
	f.Add([]byte(plainHead + `["x",1.5,{"a":[null,true,false]}]` + plainTail))
	f.Add([]byte(`{"type":3,"data":{"opts":{"rooms":["a","b"],"except":["c"],"flags":{"volatile":true}},` +
		`"packet":{"type":2,"data":["é"],"nsp":"/"}},"uid":"u","nsp":"/"}`))
	for _, bomb := range bombs {
		f.Add(bomb(50))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		var uid []byte
		var quick adapter.Broadcast
		var ok bool
		expectLinear(t, payload, func() {
			uid, quick, ok = rediswire.ClusterBroadcast("/", "a", payload, rediswire.Limits{})
		})
		if !ok {
			return
		}
		m, err := rediswire.DecodeCluster("/", payload, rediswire.Limits{})
		if err != nil {
			t.Fatalf("%q: %v", payload, err)
		}
		b, isBroadcast := m.Command.(adapter.Broadcast)
		if !isBroadcast || m.UID != string(uid) {
			t.Fatalf("%q: %+v", payload, m)
		}
		packed, err := msgjson.AppendMsgpack(nil, quick.Args.JSON, nil, msgjson.DefaultDepth)
		if err != nil {
			t.Fatalf("%q: %v", quick.Args.JSON, err)
		}
		if quick.Args.JSON, _, err = msgjson.AppendJSON(nil, nil, packed, msgjson.DefaultDepth); err != nil {
			t.Fatal(err)
		}
		if fingerprint(quick) != fingerprint(b) {
			t.Errorf("%q: %s instead of %s", payload, fingerprint(quick), fingerprint(b))
		}
	})
}

func TestClusterBroadcast_AllocatesOnlyTheListOfRooms(t *testing.T) {
	payload := []byte(plainHead + `["message",{"from":"ada"}]` + plainTail)
	if n := testing.AllocsPerRun(100, func() {
		if _, _, ok := rediswire.ClusterBroadcast("/", "red", payload, rediswire.Limits{}); !ok {
			t.Fatal("not read")
		}
	}); n > 1 {
		t.Errorf("allocates %v times", n)
	}
}
