package redis_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
)

// longList is an answer of many times 10,000 bytes to either question.
func longList(q adapter.Query) adapter.Reply {
	var sockets adapter.Sockets
	var names adapter.RoomNames
	for i := range 1000 {
		sockets = append(sockets, adapter.SocketInfo{
			ID:        fmt.Sprint(i),
			Handshake: []byte(`{"padding":"` + strings.Repeat("x", i%200) + `"}`),
			Data:      []byte(`{}`),
		})
		names = append(names, fmt.Sprintf("%0100d", i))
	}
	if _, ok := q.(adapter.AllRooms); ok {
		return names
	}
	return sockets
}

// entries asks a question and returns how many entries the answers hold.
func (n *node) entries(q adapter.Query) (entries int, missing []string) {
	n.t.Helper()
	missing, err := n.Ask(n.t.Context(), q, func(r adapter.Reply) {
		switch list := r.(type) {
		case adapter.Sockets:
			entries += len(list)
		case adapter.RoomNames:
			entries += len(list)
		}
	})
	if err != nil {
		n.t.Error(err)
	}
	return entries, missing
}

func TestAnswer_OverTheLimitComesInParts(t *testing.T) {
	t.Parallel()
	inEachDialect(t, func(t *testing.T, s *server, config func() redis.Config) {
		cfg := config()
		cfg.MaxMessage = 10_000
		n := readyNode(t, s, cfg)
		n.answers(func(q adapter.Query, reply func(adapter.Reply)) { reply(longList(q)) })
		cfg = config()
		cfg.MaxMessage = 10_000
		other := readyNode(t, s, cfg)
		n.knows(2)
		other.knows(2)
		for _, q := range []adapter.Query{adapter.FetchSockets{Namespace: "/"}, adapter.AllRooms{Namespace: "/"}} {
			if entries, missing := other.entries(q); entries != 1000 || len(missing) > 0 {
				t.Errorf("%T: %d entries, missing %q", q, entries, missing)
			}
		}
		if got := n.metric("redis_publish_dropped_total", "reason", "trimmed"); got != 0 {
			t.Errorf("%v answers counted as trimmed", got)
		}
	})
}

// An entry that does not fit alone is left out, and the node is named.
func TestAnswer_AnEntryThatDoesNotFitIsNotMissedInSilence(t *testing.T) {
	t.Parallel()
	inEachDialect(t, func(t *testing.T, s *server, config func() redis.Config) {
		cfg := config()
		cfg.MaxMessage, cfg.NodeID = 10_000, "long"
		n := readyNode(t, s, cfg)
		n.answers(func(_ adapter.Query, reply func(adapter.Reply)) {
			reply(adapter.Sockets{{ID: "a"}, {ID: "b", Data: []byte(`"` + strings.Repeat("x", 10_000) + `"`)}, {ID: "c"}})
		})
		other := readyNode(t, s, config())
		n.knows(2)
		entries, missing := other.entries(adapter.FetchSockets{Namespace: "/"})
		if entries != 2 || !slices.Equal(missing, []string{"long"}) {
			t.Errorf("%d entries, missing %q", entries, missing)
		}
		if got := n.metric("redis_publish_dropped_total", "reason", "trimmed"); got != 1 {
			t.Errorf("%v answers counted as trimmed", got)
		}
	})
}

// Node's servers take each message for an answer, so theirs is cut, and counted.
func TestAnswer_ToNodeIsOneMessage(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := readyNode(t, s, redis.Config{MaxMessage: 10_000})
	n.answers(func(q adapter.Query, reply func(adapter.Reply)) { reply(longList(q)) })
	answers := s.listen("socket.io-response#/#")
	s.command("PUBLISH", "socket.io-request#/#", `{"uid":"node","requestId":"q1","type":5,"opts":{"rooms":[],"except":[]}}`)
	s.command("PUBLISH", "socket.io-request#/#", `{"uid":"node","requestId":"q2","type":1}`)
	for _, id := range []string{"q1", "q2"} {
		payload := <-answers
		r, err := rediswire.DecodeResponse([]byte(payload), rediswire.Limits{})
		if err != nil || r.ID != id || !r.Extent.Cut || len(payload) > 10_000 || len(payload) < 3_000 {
			t.Errorf("%d bytes answer %q, %+v, %v", len(payload), r.ID, r.Extent, err)
		}
	}
	if got := n.metric("redis_publish_dropped_total", "reason", "trimmed"); got != 2 {
		t.Errorf("%v answers counted as trimmed", got)
	}
}

// An answer of a Node server that is over the limit is an answer whose content is missing.
func TestAsk_AnAnswerOverTheLimitIsNamed(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := readyNode(t, s, redis.Config{MaxMessage: 10_000})
	requests := s.listen("socket.io-request#/#")
	answered := make(chan error, 1)
	go func() {
		r, err := rediswire.DecodeRequest("/", []byte(<-requests), rediswire.Limits{})
		s.command("PUBLISH", "socket.io-response#/#", `{"requestId":"`+r.ID+`","sockets":[{"id":"`+strings.Repeat("x", 10_000)+`"}]}`)
		answered <- err
	}()
	entries, missing := n.entries(adapter.FetchSockets{Namespace: "/"})
	if entries != 0 || !slices.Equal(missing, []string{"?"}) {
		t.Errorf("%d entries, missing %q", entries, missing)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
}
