package rediswire_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/msgjson"
	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
)

func TestExtent_TravelsWithListsInBothDialects(t *testing.T) {
	for _, extent := range []rediswire.Extent{{}, {More: true}, {Parts: 7}, {Parts: 7, Cut: true}, {Cut: true}} {
		for kind, reply := range map[rediswire.Type]adapter.Reply{
			rediswire.TypeFetch:    adapter.Sockets{{ID: "a", Handshake: []byte("{}"), Data: []byte("{}")}},
			rediswire.TypeSockets:  adapter.Sockets{{ID: "a"}},
			rediswire.TypeAllRooms: adapter.RoomNames{"a"},
		} {
			response := rediswire.Response{ID: "r", UID: "u", Type: kind, Reply: reply, Extent: extent}
			text, err := rediswire.AppendResponse(nil, &response)
			if err != nil {
				t.Fatal(err)
			}
			if read, err := rediswire.DecodeResponse(text, rediswire.Limits{}); err != nil || read.Extent != extent {
				t.Errorf("%s is of extent %v, %v", text, read.Extent, err)
			}
			message := rediswire.ClusterMessage{ID: "r", UID: "u", Reply: reply, Extent: extent}
			if text, err = rediswire.AppendCluster(nil, "/", &message); err != nil {
				t.Fatal(err)
			}
			if read, err := rediswire.DecodeCluster("/", text, rediswire.Limits{}); err != nil || read.Extent != extent {
				t.Errorf("%s is of extent %v, %v", text, read.Extent, err)
			}
		}
	}
}

func TestAnswerID_IsFoundInFrontOfWhatIsTooLong(t *testing.T) {
	long := strings.Repeat(`{"id":"x"},`, 100)
	packed := func(text string) []byte {
		out, err := msgjson.AppendMsgpack(nil, []byte(text), nil, 10)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, text := range []string{
		`{"requestId":"r1","sockets":[` + long + `{}]}`,
		`{"requestId":"r1","rooms":["a"]}`,
		`{"type":6,"requestId":"r1","data":["a"]}`,
		`{"type":8,"data":{"requestId":"r1","sockets":[` + long + `{}]},"uid":"u","nsp":"/"}`,
		`{"type":12,"data":{"requestId":"r1","packet":{}},"uid":"u","nsp":"/"}`,
	} {
		for _, payload := range [][]byte{[]byte(text), packed(text)} {
			if id, ok := rediswire.AnswerID(payload); id != "r1" || !ok {
				t.Errorf("%.60q answers %q, %v", payload, id, ok)
			}
			if id, ok := rediswire.AnswerID(payload[:len(payload)/4]); ok && id != "r1" {
				t.Errorf("%.60q, cut, answers %q", payload, id)
			}
		}
	}
	for _, text := range []string{"", "{", "{}", `{"sockets":[]}`, `{"requestId":7}`, `{"requestId":""}`, `{"type":`, "\x81", "\xc1",
		strings.Repeat(`{"data":`, 1000), string(bytes.Repeat([]byte("\x81\xa4data"), 1000))} {
		if id, ok := rediswire.AnswerID([]byte(text)); ok {
			t.Errorf("%.60q answers %q", text, id)
		}
	}
}
