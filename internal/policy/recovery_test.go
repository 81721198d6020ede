package policy_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio"
)

// recovering is a server whose clients may come back. It pings only when it is asked to.
func recovering() socketio.Config {
	return socketio.Config{
		Recovery: socketio.Recovery{Enabled: true},
		Engine:   engine.Config{PingInterval: time.Hour, PingTimeout: time.Hour},
	}
}

// secret connects to / and returns the socket's id and its session's secret.
func (c *client) secret(auth string) (sid, pid string) {
	c.t.Helper()
	answer := c.tryJoin("/", auth)
	var data struct{ SID, PID string }
	text, ok := strings.CutPrefix(answer, "0")
	if !ok || json.Unmarshal([]byte(text), &data) != nil || data.PID == "" {
		c.t.Fatalf("CONNECT is answered by %s", answer)
	}
	return data.SID, data.PID
}

// cut breaks the connection, without a word.
func (c *client) cut() { _ = c.ws.UnderlyingConn().Close() }

func TestRecovery_TheBackendThatIsAskedSaysWhoTheClientIs(t *testing.T) {
	answers := make(chan string, 1)
	says := func(sub string) { answers <- fmt.Sprintf(`{"rooms":["user:%[1]s"],"claims":{"sub":%[1]q}}`, sub) }
	w, _ := askedIn(t, recovering(), "", func() (int, string) {
		select {
		case body := <-answers:
			return 200, body
		default:
			t.Error("asked more than once")
			return 500, ""
		}
	})
	says("ada")
	c := w.dial(nil)
	sid, pid := c.secret(`{"ticket":"a"}`)
	c.cut()

	says("ada")
	c = w.dial(nil)
	again, _ := c.secret(fmt.Sprintf(`{"ticket":"b","pid":%q}`, pid))
	if again != sid {
		t.Errorf("ada came back as %s, not as %s", again, sid)
	}
	c.cut()

	says("bob")
	c = w.dial(nil)
	if other, _ := c.secret(fmt.Sprintf(`{"ticket":"c","pid":%q}`, pid)); other == sid {
		t.Error("bob has ada's socket")
	}
	if got := c.ask(`"who"`); strings.Contains(got, "ada") || !strings.Contains(got, "user:bob") {
		t.Errorf("bob is %s", got)
	}
}
