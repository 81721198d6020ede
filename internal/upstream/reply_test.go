package upstream_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/upstream"
)

// reply adds an answer to the inbox of the node that an entry names.
func (s *server) reply(entry goredis.XMessage, fields ...any) {
	s.t.Helper()
	err := s.Client.XAdd(s.t.Context(), &goredis.XAddArgs{
		Stream: "carillon:in:{" + entry.Values["node"].(string) + "}", NoMkStream: true, MaxLen: 10_000, Approx: true,
		Values: append([]any{"t", "ack", "a", entry.Values["ack"]}, fields...),
	}).Err()
	if err != nil {
		s.t.Fatal(err)
	}
}

// counts waits until answers with a result have been counted so often.
func counts(t *testing.T, n *node, result string, want float64) {
	t.Helper()
	eventually(t, result+" is counted", func() bool {
		families, err := n.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() != "carillon_upstream_answers_total" {
				continue
			}
			for _, m := range f.GetMetric() {
				if m.GetLabel()[0].GetValue() == result {
					return m.GetCounter().GetValue() == want
				}
			}
		}
		return false
	})
}

func TestAnswers_TheFirstValidOneCountsAndOthersAreCounted(t *testing.T) {
	s := startServer(t)
	n := startNode(t, s, route(nil))
	c := n.open(upstream.Client{ID: "sid"})
	answered := c.ask("[]")
	entry := s.await(1)[0]
	s.reply(entry, "data", `no JSON`)
	s.reply(entry, "data", strings.Repeat("[", 100)+strings.Repeat("]", 100))
	s.reply(entry, "data", `["`+strings.Repeat("x", 1<<20)+`"]`)
	s.reply(entry, "x", "y")
	s.reply(entry, "data", `["first"]`)
	s.reply(entry, "data", `["second"]`)
	if got := receive(t, "answer", answered); got.err != nil || string(got.args.JSON) != `["first"]` {
		t.Errorf("answered %s, %v", got.args.JSON, got.err)
	}
	counts(t, n, "malformed", 4)
	counts(t, n, "delivered", 1)
	counts(t, n, "unknown", 1)
	eventually(t, "the inbox is empty", func() bool {
		return s.Client.XLen(t.Context(), "carillon:in:{"+entry.Values["node"].(string)+"}").Val() == 0
	})
	select {
	case got := <-answered:
		t.Errorf("answered twice: %s", got.args.JSON)
	default:
	}
}

func TestAnswers_AnEventOfAnySizeMayWantOne(t *testing.T) {
	s := startServer(t)
	n := startNode(t, s, route(nil))
	c := n.open(upstream.Client{ID: "sid"})
	answered := c.ask(`["` + strings.Repeat("x", 1<<20) + `"]`)
	s.reply(s.await(1)[0], "data", `["got it"]`)
	if got := receive(t, "answer", answered); string(got.args.JSON) != `["got it"]` {
		t.Errorf("answered %s, %v", got.args.JSON, got.err)
	}
	n.leave(patience)
	if held := metric(t, n, "carillon_upstream_held_bytes"); held != 0 {
		t.Errorf("%v bytes are still held", held)
	}
}

func TestAnswers_ALateOneIsCountedAndTheClientGotATimeout(t *testing.T) {
	s := startServer(t)
	n := startNode(t, s, route(func(r *config.Route) { r.Deadline = 100 * time.Millisecond }))
	c := n.open(upstream.Client{ID: "sid"})
	var answered <-chan answer
	eventually(t, "the event is stored in time", func() bool {
		answered = c.ask("[]")
		return errors.Is(receive(t, "answer", answered).err, upstream.ErrTimeout)
	})
	entries := s.entries(orders)
	s.reply(entries[len(entries)-1], "data", `["late"]`)
	counts(t, n, "late", 1)
}

func TestAnswers_OneForASocketThatHasLeftIsCounted(t *testing.T) {
	s := startServer(t)
	n := startNode(t, s, route(nil))
	c := n.open(upstream.Client{ID: "sid"})
	c.ask("[]")
	entry := s.await(1)[0]
	c.leave("transport close")
	s.reply(entry, "data", `["too late"]`)
	counts(t, n, "gone", 1)
}

func TestAnswers_TheInboxIsThereAgainAfterRedisHasForgottenIt(t *testing.T) {
	s := startServer(t)
	n := startNode(t, s, route(nil))
	c := n.open(upstream.Client{ID: "sid"})
	receive(t, "outcome", c.send("orders", "e", "[]"))
	if err := s.Client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	answered := c.ask("[]")
	entry := s.await(1)[0]
	inbox := "carillon:in:{" + entry.Values["node"].(string) + "}"
	eventually(t, "there is an inbox", func() bool { return s.Client.Exists(t.Context(), inbox).Val() == 1 })
	s.reply(entry, "data", `["here"]`)
	if got := receive(t, "answer", answered); string(got.args.JSON) != `["here"]` {
		t.Errorf("answered %s, %v", got.args.JSON, got.err)
	}
	if entry.Values["seq"] != "2" {
		t.Errorf("the count begins anew at %v", entry.Values["seq"])
	}
}
