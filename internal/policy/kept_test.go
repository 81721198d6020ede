package policy_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/policy"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
	"github.com/carillon-io/carillon/test/redistest"
)

// TestKept_UntilThereIsAWayToBackends: an event that is acknowledged opens none; one that is forwarded does, and then the
// session is not to survive its node, as backends are told that the socket ended with it.
func TestKept_UntilThereIsAWayToBackends(t *testing.T) {
	server := redistest.Start(t)
	a, err := redis.New(server.NewClient(), redis.Config{Tag: "node", Streams: &redis.Streams{}})
	if err != nil {
		t.Fatal(err)
	}
	s := setup{config: recovering(), options: policy.Options{Backends: &backends{}}}
	s.config.Adapter, s.config.Engine.Tag = a, a.Tag
	w := start(t, "redis: {url: 'redis://h'}\nroutes: {orders: {}}\n"+rules(`
- {event: join, do: [{join: "${args[0]}"}]}
- {event: order, do: [{forward: orders}], ack: accepted}`), s)
	eventually(t, "ready", func() bool { return a.State().Ready })
	c := w.dial(nil)
	sid, pid := c.secret("")
	stored := func() []byte {
		text, _ := server.Do("GET", "sio:session:"+pid).(string)
		record, _ := base64.StdEncoding.DecodeString(text)
		return record
	}
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
