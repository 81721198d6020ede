package packet_test

import (
	"testing"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

func TestAppendText_WritesTheOfficialBytes(t *testing.T) {
	one, two := [][]byte{{1}}, [][]byte{{1}, {2}}
	for _, c := range []struct {
		p    packet.Packet
		want string
	}{
		{packet.Packet{Type: packet.Connect, Namespace: "/"}, "0"},
		{packet.Packet{Type: packet.Connect, Namespace: "/foo"}, "0/foo,"},
		{packet.Packet{Type: packet.Connect, Namespace: "/", Data: []byte(`{"sid":"x"}`)}, `0{"sid":"x"}`},
		{packet.Packet{Type: packet.Connect, Namespace: "/foo", Data: []byte(`{"sid":"x"}`)}, `0/foo,{"sid":"x"}`},
		{packet.Packet{Type: packet.Disconnect, Namespace: "/foo"}, "1/foo,"},
		{packet.Packet{Type: packet.Disconnect, Namespace: "/"}, "1"},
		{packet.Packet{Type: packet.Event, Namespace: "/", Data: []byte(`["echo",1]`)}, `2["echo",1]`},
		{packet.Packet{Type: packet.Event, Namespace: "/foo", Data: []byte(`["echo",2]`)}, `2/foo,["echo",2]`},
		{packet.Packet{Type: packet.Event, Namespace: "/", HasID: true, Data: []byte(`["echo","q"]`)}, `20["echo","q"]`},
		{packet.Packet{Type: packet.Event, Namespace: "/"}, "2"},
		{packet.Packet{Type: packet.Ack, Namespace: "/", HasID: true, Data: []byte(`["q"]`)}, `30["q"]`},
		{packet.Packet{Type: packet.Ack, Namespace: "/", HasID: true}, "30[]"},
		{packet.Packet{Type: packet.Ack, Namespace: "/foo", ID: 18446744073709551615, HasID: true, Data: []byte(`[]`)},
			"3/foo,18446744073709551615[]"},
		{packet.Packet{Type: packet.ConnectError, Namespace: "/nope", Data: []byte(`{"message":"Invalid namespace"}`)},
			`4/nope,{"message":"Invalid namespace"}`},
		{packet.Packet{Type: packet.ConnectError, Namespace: "/deny", Data: []byte(`"denied"`)}, `4/deny,"denied"`},
		{packet.Packet{Type: packet.Event, Namespace: "/", Attachments: one,
			Data: []byte(`["echo",{"_placeholder":true,"num":0}]`)}, `51-["echo",{"_placeholder":true,"num":0}]`},
		{packet.Packet{Type: packet.Ack, Namespace: "/", Attachments: one, HasID: true, ID: 7,
			Data: []byte(`[{"_placeholder":true,"num":0}]`)}, `61-7[{"_placeholder":true,"num":0}]`},
		{packet.Packet{Type: packet.Event, Namespace: "/foo", Attachments: two, HasID: true, ID: 7,
			Data: []byte(`["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`)},
			`52-/foo,7["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`},
		{packet.Packet{Type: packet.Event, Namespace: "/", Data: []byte(`["e",{"_placeholder":true,"num":0}]`)},
			`2["e",{"_placeholder":true,"num":0}]`},
	} {
		if got := packet.AppendText([]byte("4"), &c.p); string(got) != "4"+c.want {
			t.Errorf("got %s, want 4%s", got, c.want)
		}
	}
}
