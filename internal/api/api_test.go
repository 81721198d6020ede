package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/carillon-io/carillon/internal/api"
	"github.com/carillon-io/carillon/pkg/socketio/socketiotest"
)

func TestEmit_ReachesWhoIsAddressedOnEveryNode(t *testing.T) {
	nodes := start(t, 2, nil)
	a, b := nodes[0].client("red"), nodes[1].client("red", "blue")
	c := nodes[1].client("blue")
	nodes[0].post("/v1/emit", `{"rooms":["red"],"event":"one","args":[1,{"$bytes":"AAE="}]}`).expect(t, 202, `{"accepted":1}`)
	a.Expect("one", 1, []byte{0, 1})
	b.Expect("one", 1, []byte{0, 1})
	nodes[0].post("/v1/emit", `[{"all":true,"event":"two"},
		{"rooms":["red","blue"],"except":["`+a.ID()+`"],"event":"three","args":[{"b":1.0,"a":null}],"volatile":true}]`).expect(t, 202, `{"accepted":2}`)
	a.Expect("two")
	for _, client := range []*socketiotest.Client{b, c} {
		client.Expect("two")
		client.Expect("three", map[string]any{"b": 1, "a": nil})
	}
	nodes[0].post("/v1/emit", `{"rooms":["`+c.ID()+`"],"namespace":"/","event":"four","args":["ä"]}`).expect(t, 202, ``)
	c.Expect("four", "ä")
	nodes[0].post("/v1/emit", `{"all":true,"namespace":"/nobody","event":"five"}`).expect(t, 202, ``)
	for _, client := range []*socketiotest.Client{a, b, c} {
		client.ExpectNone()
	}
	if len(nodes[0].socketio.Namespaces()) != 1 {
		t.Error("a namespace was made")
	}
}

// refusals are bodies that each call refuses, and what is said about them.
var refusals = map[string]map[string]string{
	"/v1/emit": {
		``:                                      "not valid JSON",
		`{`:                                     "not valid JSON",
		`null`:                                  "must be an object",
		`"x"`:                                   "must be an object",
		`[]`:                                    "must not be empty",
		`[null]`:                                "[0]: must be an object",
		`{"event":"e"}`:                         "which sockets",
		`{"event":"e","rooms":[]}`:              "rooms: must not be empty",
		`{"event":"e","rooms":null}`:            "rooms: must not be null",
		`{"event":"e","rooms":null,"all":true}`: "rooms: must not be null",
		`{"event":"e","rooms":"red"}`:           "rooms: must be a list",
		`{"event":"e","rooms":[""]}`:            "rooms: [0]: a room's name must not be empty",
		`{"event":"e","rooms":["a",7]}`:         "rooms: [1]: must be a text",
		`{"event":"e","rooms":[null]}`:          "rooms: [0]: must be a text",
		`{"event":"e","rooms":{}}`:              "rooms: must be a list",
		`{"event":"e","room":["red"]}`:          `unknown member \"room\"`,
		`{"event":"e","Rooms":["red"]}`:         `unknown member \"Rooms\"`,
		`{"event":"e","all":true,"excpet":["x"]}`:          `unknown member \"excpet\"`,
		`{"event":"e","all":false}`:                        "all: must be true",
		`{"event":"e","all":1}`:                            "all: must be true",
		`{"event":"e","all":"true"}`:                       "all: must be true",
		`{"event":"e","all":true,"rooms":["red"]}`:         "exclude each other",
		`{"event":"e","all":true,"all":true}`:              "not valid JSON",
		`{"all":true}`:                                     "event: is missing",
		`{"event":"","all":true}`:                          "event: must not be empty",
		`{"event":7,"all":true}`:                           "event: must be a text",
		`{"event":"disconnect","all":true}`:                "reserved",
		`{"event":"e","all":true,"args":{}}`:               "args: must be a list",
		`{"event":"e","all":true,"args":null}`:             "args: must not be null",
		`{"event":"e","all":true,"args":[1e999]}`:          "no double",
		`{"event":"e","all":true,"args":[{"$bytes":"?"}]}`: "$bytes",
		`{"event":"e","all":true,"volatile":"yes"}`:        "volatile: must be true or false",
		`{"event":"e","all":true,"namespace":"chat"}`:      "namespace: must begin with a slash",
		`{"event":"e","all":true,"namespace":"/a#b"}`:      "namespace: must not contain",
		`{"event":"e","all":true,"except":[""]}`:           "except: [0]",
		`{"event":"e","all":true,"timeout":5}`:             `unknown member \"timeout\"`,
		`{"event":"e","all":true} {}`:                      "something follows",
		`[{"event":"e","all":true}] 1`:                     "something follows",
		`[{"event":"e","all":true},{"event":"e"}]`:         "[1]: which sockets",
	},
	"/v1/emit-with-ack": {
		`[{"event":"e","all":true}]`:                "must be an object",
		`{"event":"e"}`:                             "which sockets",
		`{"event":"e","all":true,"timeout":0}`:      "timeout: must be milliseconds",
		`{"event":"e","all":true,"timeout":-1}`:     "timeout: must be milliseconds",
		`{"event":"e","all":true,"timeout":1.5}`:    "timeout: must be milliseconds",
		`{"event":"e","all":true,"timeout":60001}`:  "timeout: must be milliseconds",
		`{"event":"e","all":true,"timeout":"1h"}`:   "timeout: must be milliseconds",
		`{"event":"e","all":true,"timeout":"soon"}`: "timeout: must be milliseconds",
		`{"event":"e","all":true,"timeout":null}`:   "timeout: must not be null",
		`{"event":"e","all":true,"timeout":1e99}`:   "timeout: must be milliseconds",
	},
	"/v1/sockets/list": {
		`{}`:                          "which sockets",
		`{"all":true,"limit":0}`:      "limit: must be a whole number",
		`{"all":true,"limit":1001}`:   "limit: must be a whole number",
		`{"all":true,"limit":"10"}`:   "limit: must be a whole number",
		`{"all":true,"cursor":""}`:    "cursor",
		`{"all":true,"cursor":"?"}`:   "cursor",
		`{"all":true,"cursor":"e30"}`: "cursor",
		`{"all":true,"except":["x"]}`: `unknown member \"except\"`,
	},
	"/v1/sockets/join": {
		`{"all":true}`:               "join: is missing",
		`{"all":true,"join":[]}`:     "join: must not be empty",
		`{"all":true,"join":[""]}`:   "join: [0]",
		`{"all":true,"join":"x"}`:    "join: must be a list",
		`{"join":["x"]}`:             "which sockets",
		`{"rooms":[],"join":["x"]}`:  "rooms: must not be empty",
		`{"all":true,"leave":["x"]}`: `unknown member \"leave\"`,
	},
	"/v1/sockets/leave": {
		`{"all":true}`:    "leave: is missing",
		`{"leave":["x"]}`: "which sockets",
	},
	"/v1/sockets/disconnect": {
		`{}`:                     "which sockets",
		`{"rooms":[]}`:           "rooms: must not be empty",
		`{"all":true,"close":1}`: "close: must be true or false",
	},
}

func TestCalls_SayWhatTheyRefuseAndDoNothing(t *testing.T) {
	n := start(t, 1, nil)[0]
	c := n.client("red")
	for path, bodies := range refusals {
		for body, want := range bodies {
			r := n.post(path, body)
			if r.status != 400 || !strings.Contains(r.body, want) || !strings.Contains(r.body, `"code":"invalid"`) {
				t.Errorf("%s %s: %d %s, want %s", path, body, r.status, r.body, want)
			}
			var v any
			if err := json.Unmarshal([]byte(body), &v); err == nil && !isExtra(want) {
				if requestSchema(t, path).Validate(v) == nil {
					t.Errorf("%s %s: refused, and the contract allows it", path, body)
				}
			}
		}
	}
	long := strings.Repeat("r", 257)
	n.post("/v1/emit", `{"event":"e","rooms":["`+long+`"]}`).expect(t, 400, "longer than 256 bytes")
	n.post("/v1/emit", `{"event":"e","all":true,"namespace":"/`+long+`"}`).expect(t, 400, "longer than 256 bytes")
	n.post("/v1/emit", `{"event":"e","all":true,"args":`+strings.Repeat("[", 200)+strings.Repeat("]", 200)+`}`).expect(t, 400, "too deep")
	n.post("/v1/emit", `{"event":"e","all":true,"args":`+strings.Repeat("[", 200_000)+`}`).expect(t, 400, "invalid")
	n.post("/v1/emit", `[`+strings.Repeat(`{"event":"e","all":true},`, 1000)+`{"event":"e","all":true}]`).expect(t, 400, "more than 1000")
	n.post("/v1/emit", `{"event":"e","all":true,"args":[`+strings.Repeat(`{"$bytes":""},`, 10)+`{"$bytes":""}]}`).expect(t, 400, "more binary values")
	n.post("/v1/emit?all=true", `{"event":"e"}`).expect(t, 400, "no query")
	c.ExpectNone()
}

// isExtra marks rules that a schema cannot say.
func isExtra(want string) bool {
	for _, extra := range []string{"reserved", "no double", "$bytes", "cursor", "timeout"} {
		if strings.Contains(want, extra) {
			return true
		}
	}
	return false
}

func TestPaths_AreAnsweredWithProblems(t *testing.T) {
	n := start(t, 1, nil)[0]
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/", 404}, {"GET", "/v1/emit", 405}, {"PUT", "/v1/emit", 405}, {"POST", "/v1/emit/", 404}, {"POST", "/v2/emit", 404},
		{"POST", "/v1/rooms/red", 405}, {"GET", "/v1/rooms/", 404}, {"GET", "/v1/rooms/a/b", 404}, {"DELETE", "/v1/openapi.json", 405},
		{"OPTIONS", "/v1/emit", 405}, {"GET", "/v1/rooms/red?namespaces=/", 400}, {"GET", "/v1/rooms/red?namespace=/&namespace=/a", 400},
		{"GET", "/v1/rooms/red?namespace=chat", 400}, {"GET", "/v1/rooms/red?%zz", 400},
	} {
		r := n.call(c.method, c.path, "", nil)
		if r.status != c.status || !strings.Contains(r.body, fmt.Sprintf(`"status":%d`, c.status)) {
			t.Errorf("%s %s: %d %s", c.method, c.path, r.status, r.body)
		}
	}
}

func TestEmitWithAck_CollectsAnswersAndNamesWhoIsMissing(t *testing.T) {
	nodes := start(t, 2, nil)
	a, b := nodes[0].client("red"), nodes[1].client("red")
	answered := make(chan reply, 1)
	go func() {
		answered <- nodes[0].post("/v1/emit-with-ack", `{"rooms":["red"],"event":"q","args":[1],"timeout":"30s"}`)
	}()
	a.Expect("q", 1).Ack(map[string]any{"from": "a"}, "second")
	b.Expect("q", 1).Ack([]byte{255})
	r := <-answered
	var got struct {
		Answers []any
		Asked   int
		Missing []string
	}
	if err := json.Unmarshal([]byte(r.body), &got, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	if r.status != 200 || len(got.Answers) != 2 || got.Asked != 2 || len(got.Missing) != 0 {
		t.Errorf("%d %s", r.status, r.body)
	}
	for _, want := range []string{`{"from":"a"}`, `{"$bytes":"/w=="}`} {
		if !strings.Contains(r.body, want) {
			t.Errorf("%s lacks %s", r.body, want)
		}
	}
	go func() {
		answered <- nodes[0].post("/v1/emit-with-ack", `{"rooms":["red"],"event":"q2","timeout":200}`)
	}()
	a.Expect("q2").Ack()
	(<-answered).expect(t, 200, `{"answers":[null],"asked":2,"missing":["node-1"]}`)
	nodes[0].post("/v1/emit-with-ack", `{"rooms":["nobody"],"event":"q3","timeout":200}`).expect(t, 200, `{"answers":[],"asked":0,"missing":[]}`)
}

func TestSockets_AreCountedAndListedPageByPage(t *testing.T) {
	nodes := start(t, 3, nil)
	var want []string
	for i := range 7 {
		want = append(want, nodes[i%2].client("a b/c").ID())
	}
	nodes[2].client()
	nodes[2].call("GET", "/v1/rooms/a%20b%2Fc", "", nil).expect(t, 200, `{"sockets":7,"missing":[]}`)
	nodes[2].call("GET", "/v1/rooms/none?namespace=%2F", "", nil).expect(t, 200, `{"sockets":0,"missing":[]}`)
	type page struct {
		Sockets []struct {
			ID    string   `json:"id"`
			Rooms []string `json:"rooms"`
		} `json:"sockets"`
		Missing []string `json:"missing"`
		Cursor  string   `json:"cursor"`
	}
	fetch := func(n *node, cursor string) (p page) {
		body := `{"rooms":["a b/c"],"limit":2`
		if cursor != "" {
			body += `,"cursor":"` + cursor + `"`
		}
		r := n.post("/v1/sockets/list", body+"}")
		if err := json.Unmarshal([]byte(r.body), &p); r.status != 200 || err != nil {
			t.Fatalf("%d %s", r.status, r.body)
		}
		return p
	}
	var got []string
	for i, cursor := 0, ""; i == 0 || cursor != ""; i++ {
		p := fetch(nodes[i%3], cursor) // a balancer may ask another node for each page
		for _, s := range p.Sockets {
			got = append(got, s.ID)
			if !slices.Contains(s.Rooms, "a b/c") {
				t.Errorf("%s is in %q", s.ID, s.Rooms)
			}
		}
		cursor = p.Cursor
	}
	slices.Sort(want)
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q", got, want)
	}

	first := fetch(nodes[2], "")
	nodes[2].post("/v1/sockets/list", `{"all":true,"cursor":"`+first.Cursor+`"}`).expect(t, 400, "cursor")
	nodes[0].cluster.Adapter(0).Close("/") // the node leaves the namespace
	nodes[0].cluster.Adapter(1).Close("/")
	missing := map[string]bool{}
	for cursor := first.Cursor; cursor != ""; {
		p := fetch(nodes[2], cursor)
		for _, name := range p.Missing {
			missing[name] = true
		}
		cursor = p.Cursor
	}
	if len(missing) != 2 {
		t.Errorf("nodes gone in between: %v", missing)
	}
}

func TestCommands_AreAnsweredWhenConfirmed(t *testing.T) {
	nodes := start(t, 2, nil)
	a, b := nodes[0].client("red"), nodes[1].client("red")
	full := nodes[1].client("red", "2", "3", "4", "5")
	nodes[0].post("/v1/sockets/join", `{"rooms":["red"],"join":["new","newer"],"except":["none"]}`).expect(t, 200, `{"sockets":2}`)
	nodes[1].post("/v1/emit", `{"rooms":["new"],"event":"e"}`).expect(t, 202, ``)
	a.Expect("e")
	b.Expect("e")
	full.ExpectNone()
	nodes[0].post("/v1/sockets/leave", `{"rooms":["new"],"leave":["newer"]}`).expect(t, 200, `{"sockets":2}`)
	nodes[0].call("GET", "/v1/rooms/newer", "", nil).expect(t, 200, `{"sockets":0,`)
	nodes[0].post("/v1/sockets/disconnect", `{"rooms":["`+b.ID()+`"],"close":true}`).expect(t, 200, `{"sockets":1}`)
	b.Disconnected()
	nodes[0].post("/v1/sockets/disconnect", `{"all":true}`).expect(t, 200, `{"sockets":2}`)
	a.Disconnected()
	full.Disconnected()
}

func TestCommands_NameNodesThatDoNotConfirm(t *testing.T) {
	nodes := start(t, 2, func(c *api.Config) { c.Patience = 200e6 })
	nodes[0].client("red")
	nodes[0].cluster.Adapter(1).Pause()
	defer nodes[0].cluster.Adapter(1).Resume()
	nodes[0].post("/v1/sockets/join", `{"rooms":["red"],"join":["new"]}`).
		expect(t, 503, `"code":"unknown","detail":"not every node has confirmed; those that have not may do it all the same","sockets":1,"missing":["node-1"]`)
	nodes[0].call("GET", "/v1/rooms/red", "", nil).expect(t, 200, `{"sockets":1,"missing":["node-1"]}`)
}

func TestKeys_OnlyTheRightOnesOpen(t *testing.T) {
	n := start(t, 1, nil)[0]
	for name, header := range map[string][]string{
		"none": nil, "empty": {""}, "no scheme": {key}, "basic": {"Basic " + key}, "wrong": {"Bearer wrong"},
		"longer": {"Bearer " + key + "x"}, "shorter": {"Bearer " + key[1:]}, "no key": {"Bearer "}, "bearer alone": {"Bearer"},
	} {
		r := n.call("POST", "/v1/emit", `{"all":true,"event":"e"}`, http.Header{"Authorization": header})
		if r.status != 401 || r.header.Get("WWW-Authenticate") != "Bearer" || strings.Contains(r.body, key) {
			t.Errorf("%s: %d %s %v", name, r.status, r.body, r.header)
		}
	}
	n.call("POST", "/v1/emit", `{"all":true,"event":"e"}`, http.Header{"Authorization": {"bearer " + key}}).expect(t, 202, "")
}
