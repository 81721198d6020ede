package streamsession

import (
	"encoding/base64"
	"reflect"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/pkg/adapter"
)

// nodes is what @socket.io/redis-streams-adapter 0.3.1 stores.
const nodes = "hKNzaWS0c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3OjcGlktHBwcHBwcHBwcHBwcHBwcHBwcHBwpXJvb21zk7Rzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc6NyZWSmw6Twn46IpGRhdGGDpXNjb3Jl" +
	"B6RsaXN0kwGheMChZss/+AAAAAAAAA=="

func session() adapter.Session {
	id := strings.Repeat("s", 20)
	return adapter.Session{
		ID: id, PID: strings.Repeat("p", 20), Rooms: []string{id, "red", "ä🎈"}, Data: []byte(`{"score":7,"list":[1,"x",null],"f":1.5}`),
	}
}

func TestRecord_OfNodeIsRead(t *testing.T) {
	got, node, err := decode(nodes)
	if err != nil || node != "" || !reflect.DeepEqual(got, session()) {
		t.Errorf("read %+v of %q, %v", got, node, err)
	}
}

// TestRecord_BeginsWithWhoseItIs for names of any length, and has Node's members as Node writes them.
func TestRecord_BeginsWithWhoseItIs(t *testing.T) {
	want := session()
	want.Namespace, want.Begin, want.At, want.State = "/n", "1-0", "2-0", []byte(`{"a":1}`)
	for n := range 80 {
		node := strings.Repeat("n", n+1)
		text, err := encode(owner(node), &want)
		if err != nil || !strings.HasPrefix(text, owner(node)) || strings.HasPrefix(text, owner(node+"x")) {
			t.Fatalf("%q: %s, %v", node, text, err)
		}
		got, of, err := decode(text)
		if err != nil || of != node || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: read %+v of %q, %v", node, got, of, err)
		}
		raw, _ := base64.StdEncoding.DecodeString(text)
		theirs, _ := base64.StdEncoding.DecodeString(nodes)
		if !strings.HasSuffix(string(raw), string(theirs[1:])) {
			t.Fatal("the members of Node are not as Node writes them")
		}
	}
}

func TestRecord_WithoutDataHasAnObject(t *testing.T) {
	s := session()
	s.Data = nil
	text, err := encode(owner("n"), &s)
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := decode(text); err != nil || string(got.Data) != "{}" {
		t.Errorf("data is %s, %v", got.Data, err)
	}
}

func TestRecord_RefusesWhatIsNoSession(t *testing.T) {
	pack := func(raw string) string { return base64.StdEncoding.EncodeToString([]byte(raw)) }
	for name, text := range map[string]string{
		"nothing": "", "no base64": "!", "no map": pack("\x93"), "cut": nodes[:40], "no id": pack("\x80"), "long": strings.Repeat("A", maxRecord+4),
		"more": pack("\x82\xa3sid\xa1s\xa3pid\xa1p\xc0"), "rooms": pack("\x81\xa5rooms\xdd\xff\xff\xff\xff"), "a number for an id": pack("\x81\xa3sid\x01"),
	} {
		if s, _, err := decode(text); err == nil {
			t.Errorf("%s: read as %+v", name, s)
		}
	}
}

func FuzzRecord(f *testing.F) {
	f.Add(nodes)
	s := session()
	text, _ := encode(owner("node"), &s)
	f.Add(text)
	f.Fuzz(func(t *testing.T, text string) {
		s, _, err := decode(text)
		if err != nil {
			return
		}
		again, err := encode(owner("node"), &s)
		if err != nil || len(again) > maxRecord {
			return // data that cannot be written again, as deeper than is read
		}
		if back, node, err := decode(again); err != nil || node != "node" || back.ID != s.ID || !reflect.DeepEqual(back.Rooms, s.Rooms) {
			t.Errorf("%+v became %+v, %v", s, back, err)
		}
	})
}
