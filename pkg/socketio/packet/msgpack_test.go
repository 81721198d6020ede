package packet_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

func TestMsgpack_AgreesWithOfficialParser(t *testing.T) {
	for _, c := range msgpackVerdicts {
		d := packet.Decoder{Parser: packet.MsgpackParser}
		if got := verdictOf(t, &d, "bin:"+c.message); got != c.verdict {
			t.Errorf("%s: got %s, want %s", c.message, got, c.verdict)
		}
	}
}

// listMessage is an event of the msgpack parser whose list is the given MessagePack array.
func listMessage(list string) string { return "83a47479706502a36e7370a12fa464617461" + list }

func TestMsgpack_RefusesMoreThanOfficialParserWhereDocumented(t *testing.T) {
	const echo = "a46563686f"
	placeholder := "82ac5f706c616365686f6c646572c3a36e756d00"
	for _, c := range []struct {
		name    string
		message string
		want    error
	}{
		{"reserved event", listMessage("91aa646973636f6e6e656374"), packet.ErrMalformed},
		{"event named nil", listMessage("91c0"), packet.ErrMalformed},
		{"event named by bytes", listMessage("91c40161"), packet.ErrMalformed},
		{"event named by a list", listMessage("9190"), packet.ErrMalformed},
		{"extension as a list", listMessage("d40501"), packet.ErrMalformed},
		{"negative id", "83a47479706501a36e7370a12fa26964ff", packet.ErrMalformed},
		{"id over 64 bits", "83a47479706501a36e7370a12fa26964cb43f0000000000000", packet.ErrLimit},
		{"namespace not UTF-8", "82a47479706501a36e7370a22fff", packet.ErrMalformed},
		{"namespace too long", "82a47479706501a36e7370da2001" + strings.Repeat("2f", packet.MaxNamespace+1),
			packet.ErrLimit},
		{"list as a member's name", listMessage("92" + echo + "819001"), packet.ErrMalformed},
		{"look of a placeholder beside an attachment", listMessage("93" + echo + placeholder + "c400"),
			packet.ErrMalformed},
		{"too deep", listMessage("92" + echo + strings.Repeat("91", packet.DefaultMaxDepth) + "c0"), packet.ErrLimit},
		{"too many attachments", listMessage("9c" + echo + strings.Repeat("c400", packet.DefaultMaxAttachments+1)),
			packet.ErrLimit},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := packet.Decoder{Parser: packet.MsgpackParser}
			_, done, err := d.Binary(unhex(t, c.message))
			if done || !errors.Is(err, c.want) {
				t.Errorf("got %v, %v, want %v", done, err, c.want)
			}
		})
	}
}

func TestMsgpack_LimitsAreTheDecodersOwn(t *testing.T) {
	message := unhex(t, listMessage("93a46563686f"+"c40101"+"c40102"))
	d := packet.Decoder{Parser: packet.MsgpackParser, MaxAttachments: 2, MaxDepth: 2}
	p, _, err := d.Binary(message)
	if want := [][]byte{{1}, {2}}; err != nil || !reflect.DeepEqual(p.Attachments, want) {
		t.Fatalf("got %x, %v", p.Attachments, err)
	}
	for _, d := range []packet.Decoder{
		{Parser: packet.MsgpackParser, MaxAttachments: 1}, {Parser: packet.MsgpackParser, MaxDepth: 1},
	} {
		if _, _, err := d.Binary(message); !errors.Is(err, packet.ErrLimit) {
			t.Errorf("%+v: got %v", d, err)
		}
	}
}

func TestMsgpack_PacketOwnsItsMemory(t *testing.T) {
	message := unhex(t, listMessage("92a46563686fc40101"))
	d := packet.Decoder{Parser: packet.MsgpackParser}
	p, _, err := d.Binary(message)
	if err != nil {
		t.Fatal(err)
	}
	clear(message)
	if _, _, err := d.Binary(unhex(t, listMessage("92a46f746872c40102"))); err != nil {
		t.Fatal(err)
	}
	if want := `["echo",` + ph0 + `]`; string(p.Data) != want || !bytes.Equal(p.Attachments[0], []byte{1}) {
		t.Errorf("got %s, %x", p.Data, p.Attachments)
	}
}

func TestMsgpack_EventWithoutNameCanBeRelayedAsText(t *testing.T) {
	d := packet.Decoder{Parser: packet.MsgpackParser}
	p, done, err := d.Binary(unhex(t, listMessage("90")))
	if !done || err != nil {
		t.Fatal(done, err)
	}
	if got := packet.AppendText(nil, &p); string(got) != "2" {
		t.Errorf("got %s, want the one form that official clients do not refuse", got)
	}
}

func TestMsgpack_BytesOutsideOfListsAreSpelledAsJSON(t *testing.T) {
	d := packet.Decoder{Parser: packet.MsgpackParser}
	got := verdictOf(t, &d, "bin:83a47479706500a36e7370a12fa46461746181a16bc4020102")
	if want := `0 / - {"k":{"data":[1,2],"type":"Buffer"}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestMsgpack_RefusesText(t *testing.T) {
	d := packet.Decoder{Parser: packet.MsgpackParser}
	if _, _, err := d.Text([]byte("0")); !errors.Is(err, packet.ErrMalformed) {
		t.Errorf("got %v", err)
	}
}

func TestMsgpack_QueryOfOldClientReplacesTheData(t *testing.T) {
	d := packet.Decoder{Parser: packet.MsgpackParser, NamespaceQuery: true}
	got := verdictOf(t, &d, "bin:83a47479706500a36e7370a82f666f6f3f613d62a46461746181a17401")
	if want := `0 /foo - {"a":"b"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAutoParser_FirstMessageDecides(t *testing.T) {
	const packed = "bin:82a47479706500a36e7370a12f"
	for _, c := range []struct {
		name     string
		d        packet.Decoder
		messages []string
		verdict  string
		parser   packet.Parser
	}{
		{"text", packet.Decoder{}, []string{"0"}, "0 / - -", packet.DefaultParser},
		{"binary", packet.Decoder{}, []string{packed}, "0 / - -", packet.MsgpackParser},
		{"binary, then text", packet.Decoder{}, []string{packed, "0"}, "refused", packet.MsgpackParser},
		{"text, then binary", packet.Decoder{}, []string{"0", packed}, "refused", packet.DefaultParser},
		{"2.x client", packet.Decoder{NamespaceQuery: true}, []string{"0"}, "0 / - -", packet.DefaultParser},
		{"binary from a 2.x client", packet.Decoder{NamespaceQuery: true}, []string{packed}, "refused",
			packet.DefaultParser},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.d.Parser = packet.AutoParser
			if got := verdictOf(t, &c.d, c.messages...); got != c.verdict || c.d.Parser != c.parser {
				t.Errorf("got %s by parser %d, want %s by %d", got, c.d.Parser, c.verdict, c.parser)
			}
		})
	}
}

// The bytes are what Node's server with socket.io-msgpack-parser 3.0.2 was seen to send.
func TestAppendMsgpack_WritesTheOfficialBytes(t *testing.T) {
	for _, c := range []struct {
		name string
		p    packet.Packet
		want string
	}{
		{"connect", packet.Packet{Type: packet.Connect, Namespace: "/", Data: []byte(`{"sid":"Dzb35djYKTlAo61iAAAA"}`)},
			"83a47479706500a46461746182a3736964b4447a623335646a594b546c416f36316941414141a3706964d40000a36e7370a12f"},
		{"connect of a namespace",
			packet.Packet{Type: packet.Connect, Namespace: "/foo", Data: []byte(`{"sid":"-8wntcEaF4a5q465AAAC"}`)},
			"83a47479706500a46461746182a3736964b42d38776e74634561463461357134363541414143a3706964d40000" +
				"a36e7370a42f666f6f"},
		{"connect that can be recovered",
			packet.Packet{Type: packet.Connect, Namespace: "/", Data: []byte(`{"sid":"a","pid":"b"}`)},
			"83a47479706500a46461746182a3736964a161a3706964a162a36e7370a12f"},
		{"connect of a 2.x client", packet.Packet{Type: packet.Connect, Namespace: "/"}, "82a47479706500a36e7370a12f"},
		{"connect from a client",
			packet.Packet{Type: packet.Connect, Namespace: "/foo", Data: []byte(`{"t":1}`)},
			"83a47479706500a46461746181a17401a36e7370a42f666f6f"},
		{"event", packet.Packet{Type: packet.Event, Namespace: "/", Data: []byte(`["echo","€",` + ph0 + `]`),
			Attachments: [][]byte{{1, 2}}}, "83a47479706502a46461746193a46563686fa3e282acc4020102a36e7370a12f"},
		{"event with id", packet.Packet{Type: packet.Event, Namespace: "/", HasID: true, Data: []byte(`["q",1]`)},
			"84a47479706502a46461746192a17101a2696400a36e7370a12f"},
		{"event without list", packet.Packet{Type: packet.Event, Namespace: "/"}, "83a47479706502a46461746190a36e7370a12f"},
		{"broadcast", packet.Packet{Type: packet.Event, Namespace: "/", Data: []byte(`["bcast",{"a":[1]}]`)},
			"83a47479706502a46461746192a5626361737481a1619101a36e7370a12f"},
		{"look of a placeholder", packet.Packet{Type: packet.Event, Namespace: "/", Data: []byte(`["e",` + ph0 + `]`)},
			"83a47479706502a46461746192a16582ac5f706c616365686f6c646572c3a36e756d00a36e7370a12f"},
		{"ack", packet.Packet{Type: packet.Ack, Namespace: "/", ID: 5, HasID: true, Data: []byte(`[1]`)},
			"84a2696405a47479706503a4646174619101a36e7370a12f"},
		{"ack without list", packet.Packet{Type: packet.Ack, Namespace: "/", ID: 5, HasID: true},
			"84a2696405a47479706503a46461746190a36e7370a12f"},
		{"disconnect", packet.Packet{Type: packet.Disconnect, Namespace: "/"}, "82a47479706501a36e7370a12f"},
		{"no namespace", packet.Packet{Type: packet.Disconnect}, "82a47479706501a36e7370a12f"},
		{"refusal with data", packet.Packet{Type: packet.ConnectError, Namespace: "/mw",
			Data: []byte(`{"message":"no","data":{"a":1}}`)},
			"83a47479706504a46461746182a76d657373616765a26e6fa46461746181a16101a36e7370a32f6d77"},
		{"refusal without data", packet.Packet{Type: packet.ConnectError, Namespace: "/mw",
			Data: []byte(`{"message":"no"}`)},
			"83a47479706504a46461746182a76d657373616765a26e6fa464617461d40000a36e7370a32f6d77"},
		{"refusal of a namespace", packet.Packet{Type: packet.ConnectError, Namespace: "/nope",
			Data: []byte(`{"message":"Invalid namespace"}`)},
			"83a47479706504a36e7370a52f6e6f7065a46461746181a76d657373616765b1496e76616c6964206e616d657370616365"},
		{"refusal of a 2.x client",
			packet.Packet{Type: packet.ConnectError, Namespace: "/mw", Data: []byte(`"no"`)},
			"83a47479706504a464617461a26e6fa36e7370a32f6d77"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := packet.AppendMsgpack([]byte{4}, &c.p)
			if hex.EncodeToString(got) != "04"+c.want || err != nil {
				t.Errorf("got %x, %v, want 04%s", got, err, c.want)
			}
		})
	}
}

func TestAppendMsgpack_RefusesWhatIsNoPacket(t *testing.T) {
	for _, p := range []packet.Packet{
		{Type: packet.Event, Data: []byte(`["a"`)},
		{Type: packet.Event, Data: []byte(`["a",{"_placeholder":true,"num":1}]`), Attachments: [][]byte{{1}}},
	} {
		if got, err := packet.AppendMsgpack([]byte("kept"), &p); err == nil || string(got) != "kept" {
			t.Errorf("%s: got %q, %v", p.Data, got, err)
		}
	}
}
