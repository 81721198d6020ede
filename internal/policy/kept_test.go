package policy_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/auth"
	"github.com/carillon-io/carillon/internal/policy"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
	"github.com/carillon-io/carillon/test/redistest"
)

// TestKept_UntilThereIsAWayToBackends: an event that is acknowledged opens none; one that is forwarded does. From then on the
// session is not stored: when its node dies, the backends receive a disconnect for the socket, so it must not come back.
func TestKept_UntilThereIsAWayToBackends(t *testing.T) {
	server, s := withStreams(t, setup{options: policy.Options{Backends: &backends{}}})
	w := start(t, "redis: {url: 'redis://h'}\nroutes: {orders: {}}\n"+rules(`
- {event: join, do: [{join: "${args[0]}"}]}
- {event: order, do: [{forward: orders}], ack: accepted}`), s)
	eventually(t, "ready", func() bool { return s.config.Adapter.State().Ready })
	c := w.dial(nil)
	sid, pid := c.secret("")
	stored := func() []byte { return storedSession(server, pid) }
	for _, room := range []string{"red", "blue"} {
		if got := c.ask(fmt.Sprintf(`"join",%q`, room)); got != ok {
			t.Fatal(got)
		}
		eventually(t, "stored with the room "+room, func() bool { return bytes.Contains(stored(), []byte(room)) })
		c.cut()
		c = w.dial(nil)
		if again, _ := c.secret(fmt.Sprintf(`{"pid":%q}`, pid)); again != sid {
			t.Fatalf("came back as %s, not as %s", again, sid)
		}
	}
	if got := c.ask(`"order",1`); !strings.HasPrefix(got, `[{"ok":true`) {
		t.Fatal(got)
	}
	eventually(t, "removed", func() bool { return len(stored()) == 0 })
}

// withStreams is a setup whose sessions are kept in Redis.
func withStreams(t *testing.T, s setup) (*redistest.Server, setup) {
	t.Helper()
	server := redistest.Start(t)
	a, err := redis.New(server.NewClient(), redis.Config{Tag: "node", Streams: &redis.Streams{}})
	if err != nil {
		t.Fatal(err)
	}
	s.config = recovering()
	s.config.Adapter, s.config.Engine.Tag = a, a.Tag
	return server, s
}

// storedSession is what is stored of a session; empty: nothing.
func storedSession(server *redistest.Server, pid string) []byte {
	text, _ := server.Do("GET", "sio:session:"+pid).(string)
	record, _ := base64.StdEncoding.DecodeString(text)
	return record
}

// TestKept_WhenAChangeIsAcknowledged the session is stored with it: the node may be killed in the next moment.
func TestKept_WhenAChangeIsAcknowledged(t *testing.T) {
	server, s := withStreams(t, withTokens(t, bySecret, auth.Options{}))
	w := start(t, "redis: {url: 'redis://h'}\n"+jwtKey+inRoot(`
connect: {require: token}
rules:
- {event: join, do: [{join: "${args[0]}"}]}
- {event: leave, do: [{leave: "${args[0]}"}]}`), s)
	eventually(t, "ready", func() bool { return s.config.Adapter.State().Ready })
	c := w.dial(nil)
	_, pid := c.secret(withToken(token(t, time.Hour, map[string]any{"sub": "ann", "role": "guest"})))
	has := func(what string) bool { return bytes.Contains(storedSession(server, pid), []byte(what)) }
	for i := range 20 {
		room := fmt.Sprintf("room-%d", i)
		if got := c.ask(fmt.Sprintf(`"join",%q`, room)); got != ok || !has(room) {
			t.Fatalf("join is acknowledged with %s, stored: %v", got, has(room))
		}
		if got := c.ask(fmt.Sprintf(`"leave",%q`, room)); got != ok || has(room) {
			t.Fatalf("leave is acknowledged with %s, still stored: %v", got, has(room))
		}
	}
	for _, role := range []string{"member", "admin"} {
		renewed := token(t, time.Hour, map[string]any{"sub": "ann", "role": role})
		if got := c.ask(fmt.Sprintf(`"auth:refresh",%q`, renewed)); got != ok || !has(role) {
			t.Fatalf("a refresh is acknowledged with %s, stored: %v", got, has(role))
		}
	}
}
