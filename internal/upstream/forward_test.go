package upstream_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/upstream"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

func TestForward_EntriesAreWhatTheContractSays(t *testing.T) {
	s := startServer(t)
	n := startNode(t, s, route(func(r *config.Route) { r.Lifecycle = true }))
	c := n.open(upstream.Client{
		ID: "sid-1", Namespace: "/shop", User: "ann", Address: "192.0.2.7", Auth: []byte(`{"a": 1}`), Claims: []byte(`{"sub":"ann"}`),
	})
	stored := make(chan outcome, 1)
	began := time.Now().UnixMilli()
	err := c.Forward(&upstream.Event{
		Route: "orders", Name: "order:new",
		Args: packet.Args{
			JSON: []byte(`[{"_placeholder":true,"num":0}, 1.0]`), Attachments: [][]byte{{0, 0xff, '\n'}},
		},
		Stored:   func(id string, err error) { stored <- outcome{id, err} },
		Answered: func(packet.Args, error) {},
		Trace:    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	})
	if err != nil {
		t.Fatal(err)
	}
	got := receive(t, "outcome", stored)
	c.leave("transport close")
	entries := s.await(3)
	if got.err != nil || got.id != entries[1].ID {
		t.Errorf("stored as %q, %v; the entry is %s", got.id, got.err, entries[1].ID)
	}
	node := entries[0].Values["node"].(string)
	for i, want := range []map[string]any{
		{"v": "1", "t": "connected", "nsp": "/shop", "sid": "sid-1", "seq": "1", "node": node, "ip": "192.0.2.7", "auth": `{"a": 1}`,
			"user": "ann", "claims": `{"sub":"ann"}`},
		{"v": "1", "t": "event", "nsp": "/shop", "sid": "sid-1", "seq": "2", "node": node, "ev": "order:new",
			"data": `[{"_placeholder":true,"num":0}, 1.0]`, "b0": "\x00\xff\n", "user": "ann",
			"tp": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		{"v": "1", "t": "disconnected", "nsp": "/shop", "sid": "sid-1", "seq": "3", "node": node, "reason": "transport close", "user": "ann"},
	} {
		have := maps.Clone(entries[i].Values)
		ts, err := strconv.ParseInt(have["ts"].(string), 10, 64)
		if err != nil || ts < began-60_000 || ts > time.Now().UnixMilli() {
			t.Errorf("entry %d: ts is %v", i, have["ts"])
		}
		delete(have, "ts")
		if i == 1 {
			token, dl := have["ack"].(string), have["dl"].(string)
			if len(token) == 0 || len(token) > 128 || dl != strconv.FormatInt(ts+10_000, 10) {
				t.Errorf("ack is %q, dl %s with ts %d", token, dl, ts)
			}
			if h := have["h"].(string); len(h) != 32 {
				t.Errorf("h is %q", h)
			}
			delete(have, "ack")
			delete(have, "dl")
			delete(have, "h")
		}
		if !maps.Equal(have, want) {
			t.Errorf("entry %d is %v, want %v", i, have, want)
		}
	}
	if live := s.Client.HGetAll(t.Context(), "carillon:live:{orders.0}").Val(); len(live) > 0 {
		t.Errorf("the live set still holds %v", live)
	}
	if p := s.Client.HGet(t.Context(), "carillon:routes", "orders").Val(); p != "1" {
		t.Errorf("the route has %q partitions", p)
	}
}

func TestForward_NamesAndSizesOfAnyKindArriveAsTheyAre(t *testing.T) {
	s := startServer(t)
	n := startNode(t, s, route(nil))
	c := n.open(upstream.Client{ID: "sid"})
	names := []string{"a\x00b", "line\nline\r\n", "🛎", "__proto__", strings.Repeat("n", 10_000)}
	big := `["` + strings.Repeat("x", 1_000_000) + `"]`
	for i, name := range names {
		if got := receive(t, "outcome", c.send("orders", name, `[]`)); got.err != nil {
			t.Errorf("%d: %v", i, got.err)
		}
	}
	if got := receive(t, "outcome", c.send("orders", "big", big)); got.err != nil {
		t.Error(got.err)
	}
	ten := packet.Args{JSON: []byte(`[]`)}
	for i := range 10 {
		ten.Attachments = append(ten.Attachments, []byte{byte(i)})
	}
	stored := make(chan outcome, 1)
	if err := c.Forward(&upstream.Event{Route: "orders", Name: "ten", Args: ten, Stored: func(id string, err error) { stored <- outcome{id, err} }}); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, "outcome", stored); got.err != nil {
		t.Error(got.err)
	}
	entries := s.entries(orders)
	for i, name := range names {
		if entries[i].Values["ev"] != name || entries[i].Values["seq"] != strconv.Itoa(i+1) {
			t.Errorf("%q is stored as %q, seq %v", name, entries[i].Values["ev"], entries[i].Values["seq"])
		}
	}
	if entries[len(names)].Values["data"] != big || entries[len(names)+1].Values["b9"] != "\x09" {
		t.Error("the large event or its attachments differ")
	}
	many := packet.Args{JSON: []byte(`[]`), Attachments: make([][]byte, 2000)}
	if err := c.Forward(&upstream.Event{Route: "orders", Name: "many", Args: many, Stored: func(string, error) { t.Error("stored") }}); !errors.Is(err, upstream.ErrInvalid) {
		t.Errorf("2,000 attachments: %v", err)
	}
}

func TestForward_KeepsTheOrderOfEachSocketOverPartitions(t *testing.T) {
	t.Parallel()
	const sockets, events, partitions = 40, 100, 4
	s := startServer(t)
	n := startNode(t, s, route(func(r *config.Route) { r.Partitions, r.Lifecycle = partitions, true }))
	var sending sync.WaitGroup
	for i := range sockets {
		sending.Go(func() {
			c := n.open(upstream.Client{ID: fmt.Sprintf("sid-%d", i)})
			var last <-chan outcome
			for e := range events {
				last = c.send("orders", "e", "["+strconv.Itoa(e)+"]")
			}
			c.leave("bye")
			receive(t, "outcome", last)
		})
	}
	sending.Wait()
	n.leave(patience)
	seen := map[any]int{}
	used := 0
	for p := range partitions {
		entries := s.entries(fmt.Sprintf("carillon:up:{orders.%d}", p))
		if len(entries) > 0 {
			used++
		}
		for _, e := range entries {
			sid := e.Values["sid"]
			seen[sid]++
			if e.Values["seq"] != strconv.Itoa(seen[sid]) {
				t.Fatalf("%v: entry %d has seq %v", sid, seen[sid], e.Values["seq"])
			}
			if e.Values["t"] == "event" && e.Values["data"] != "["+strconv.Itoa(seen[sid]-2)+"]" {
				t.Fatalf("%v: seq %v holds %v", sid, e.Values["seq"], e.Values["data"])
			}
		}
	}
	for sid, n := range seen {
		if n != events+2 {
			t.Errorf("%v has %d entries", sid, n)
		}
	}
	if len(seen) != sockets || used < 2 {
		t.Errorf("%d sockets in %d partitions", len(seen), used)
	}
}

func TestForward_AFullStreamRefusesAloudAndKeepsSeqWithoutGaps(t *testing.T) {
	s := startServer(t)
	n := startNode(t, s, route(func(r *config.Route) { r.MaxEntries, r.Lifecycle = 4, true }))
	c := n.open(upstream.Client{ID: "sid"})
	var outcomes []<-chan outcome
	for range 6 {
		outcomes = append(outcomes, c.send("orders", "e", "[]"))
	}
	var refused int
	for _, o := range outcomes {
		switch got := receive(t, "outcome", o); {
		case errors.Is(got.err, upstream.ErrOverloaded):
			refused++
		case got.err != nil:
			t.Error(got.err)
		}
	}
	c.leave("bye")
	n.leave(patience)
	entries := s.entries(orders)
	var kinds, seqs []any
	for _, e := range entries {
		kinds, seqs = append(kinds, e.Values["t"]), append(seqs, e.Values["seq"])
	}
	if refused != 3 || !slices.Equal(kinds, []any{"connected", "event", "event", "event", "disconnected"}) ||
		!slices.Equal(seqs, []any{"1", "2", "3", "4", "5"}) {
		t.Errorf("%d refused; the stream holds %v with seq %v", refused, kinds, seqs)
	}
}

func TestForward_ASocketKeepsItsPartitionAndConsumersLearnOfMore(t *testing.T) {
	s := startServer(t)
	n := startNode(t, s, route(lifecycle))
	c := n.open(upstream.Client{ID: "sid-old"})
	receive(t, "outcome", c.send("orders", "e", "[]"))
	announced := func(want string) {
		t.Helper()
		eventually(t, want+" partitions are announced", func() bool {
			return s.Client.HGet(t.Context(), "carillon:routes", "orders").Val() == want
		})
	}
	announced("1")
	n.up.Replace(route(func(r *config.Route) { r.Lifecycle, r.Partitions = true, 4 }))
	announced("4")
	for i := range 20 {
		receive(t, "outcome", n.open(upstream.Client{ID: fmt.Sprint("sid-", i)}).send("orders", "e", "[]"))
	}
	receive(t, "outcome", c.send("orders", "e", "[]"))
	n.up.Replace(route(func(r *config.Route) { r.Partitions = 2 }))
	c.leave("bye") // it was connected, whatever the route says now
	n.up.Replace(nil)
	n.leave(patience)
	announced("4")
	spread, old := 0, 0
	for p := range 4 {
		for _, e := range s.entries(fmt.Sprintf("carillon:up:{orders.%d}", p)) {
			switch {
			case e.Values["sid"] == "sid-old" && p > 0:
				t.Errorf("a socket has moved to partition %d", p)
			case e.Values["sid"] == "sid-old":
				old++
			case p > 0:
				spread++
			}
		}
	}
	if old != 4 || spread == 0 {
		t.Errorf("%d entries of the old socket, %d of new ones in new partitions", old, spread)
	}
}

func TestForward_EqualEventsHaveAnEqualHashAndSeqOfTheirOwn(t *testing.T) {
	s := startServer(t)
	n := startNode(t, s, route(nil))
	c := n.open(upstream.Client{ID: "sid"})
	for _, e := range [][2]string{{"a", "[1]"}, {"a", "[1]"}, {"a", "[2]"}, {"a[", "1]"}} {
		receive(t, "outcome", c.send("orders", e[0], e[1]))
	}
	entries := s.entries(orders)
	var hashes []any
	for i, e := range entries {
		hashes = append(hashes, e.Values["h"])
		if e.Values["seq"] != strconv.Itoa(i+1) {
			t.Errorf("entry %d has seq %v", i, e.Values["seq"])
		}
	}
	if hashes[0] != hashes[1] || hashes[0] == hashes[2] || hashes[0] == hashes[3] || hashes[2] == hashes[3] {
		t.Errorf("hashes %v", hashes)
	}
}

func TestForward_AnUnknownRouteIsAnError(t *testing.T) {
	s := startServer(t)
	n := startNode(t, s, route(nil))
	c := n.open(upstream.Client{ID: "sid"})
	if got := receive(t, "outcome", c.send("none", "e", "[]")); !errors.Is(got.err, upstream.ErrRoute) {
		t.Errorf("%v", got.err)
	}
}
