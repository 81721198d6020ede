package upstream_test

import (
	"os"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/upstream"
)

// rights are those that docs/redis.md says a gateway needs for routes.
func rights(t *testing.T) []any {
	t.Helper()
	page, err := os.ReadFile("../../docs/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(page), "    ACL SETUSER gateway ~carillon:up:")
	if !found {
		t.Fatal("docs/redis.md has no line for routes")
	}
	text, _, _ = strings.Cut(text, "\n\n")
	var words []any
	for word := range strings.FieldsSeq("~carillon:up:" + text) {
		if word != `\` {
			words = append(words, word)
		}
	}
	return words
}

func TestACL_TheRightsOnThePageAreEnough(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	do(t, s.Client, append([]any{"ACL", "SETUSER", "gateway", "on", ">secret", "resetkeys", "-@all", "+ping", "+hello"}, rights(t)...)...)
	start := func() *node {
		return startWith(t, goredis.NewClient(&goredis.Options{
			Addr: s.Address, Username: "gateway", Password: "secret", Protocol: 2, MaxRetries: -1, DisableIdentity: true,
		}), route(func(r *config.Route) { r.Lifecycle, r.Keep, r.Groups = true, 0, []string{"g"} }))
	}
	n, dies := start(), start()
	c := n.open(upstream.Client{ID: "sid"})
	if got := receive(t, "outcome", c.send("orders", "e", "[]")); got.err != nil {
		t.Fatal(got.err)
	}
	dead := dies.open(upstream.Client{ID: "dead"})
	receive(t, "outcome", dead.send("orders", "e", "[]"))
	dies.die()
	answered := c.ask("[]")
	var asked goredis.XMessage
	eventually(t, "the event is stored", func() bool {
		for _, e := range s.entries(orders) {
			if e.Values["ack"] != nil {
				asked = e
			}
		}
		return asked.ID != ""
	})
	s.reply(asked, "data", `["answer"]`)
	if got := receive(t, "answer", answered); got.err != nil {
		t.Error(got.err)
	}
	eventually(t, "the dead are ended", func() bool { return s.live(1) == 1 })
	if err := s.Client.XGroupCreate(t.Context(), orders, "g", "0").Err(); err != nil {
		t.Fatal(err)
	}
	s.ack("g", s.read("g", 100)...)
	eventually(t, "the stream is trimmed", func() bool { return s.Client.XLen(t.Context(), orders).Val() == 0 })
	c.leave("bye")
	n.leave(patience)
	if log := do(t, s.Client, "ACL", "LOG").([]any); len(log) != 0 {
		t.Errorf("refused: %v", log)
	}
}

func TestACL_WithoutThemEventsAreUnavailableAtTheDeadlineAndItIsCounted(t *testing.T) {
	s := startServer(t)
	do(t, s.Client, "ACL", "SETUSER", "gateway", "on", ">secret", "resetkeys", "-@all", "+ping", "+hello")
	n := startWith(t, goredis.NewClient(&goredis.Options{
		Addr: s.Address, Username: "gateway", Password: "secret", Protocol: 2, MaxRetries: -1, DisableIdentity: true,
	}), route(func(r *config.Route) { r.Deadline = 100 * time.Millisecond }))
	c := n.open(upstream.Client{ID: "sid"})
	if got := receive(t, "outcome", c.send("orders", "e", "[]")); got.err == nil {
		t.Error("stored without the right to")
	}
	if metric(t, n, "carillon_upstream_refused_total") == 0 {
		t.Error("no refusal is counted")
	}
	n.leave(time.Millisecond)
}
