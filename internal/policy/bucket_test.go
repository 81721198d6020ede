package policy

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/sio/conn"
)

func TestLimitOfEvents_BelongsToTheConnectionAndSurvivesAReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{
			Namespaces: map[string]config.Namespace{"/": {Rules: []config.Rule{{Event: config.Patterns{"a"}}}}, "/x": {}},
			Events:     config.Bucket{Rate: 1, Burst: 3},
		}
		p, err := New(cfg, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var shared conn.Values
		root := &logic{policy: p, client: client{socket: &quiet{nsp: "/"}}, shared: &shared}
		x := &logic{policy: p, client: client{socket: &quiet{nsp: "/x"}}, shared: &shared}
		other := &logic{policy: p, client: client{socket: &quiet{nsp: "/"}}, shared: new(conn.Values)}
		expect := func(l *logic, event string, want *refusal) {
			t.Helper()
			ack := &answers{wanted: true}
			l.event(event, noArgs, ack)
			if got := string(ack.args.JSON); want == nil && got != string(accepted.JSON) || want != nil && got != string(want.ack().JSON) {
				t.Errorf("%s in %s: %s, want %v", event, l.client.Nsp(), got, want)
			}
		}
		over := &refusal{code: Overloaded, message: "too many events"}
		expect(root, "a", nil)
		expect(root, "b", denied("no rule allows this event"))
		expect(x, "a", denied("no rule allows this event"))
		expect(x, "a", over)
		expect(root, "a", over)
		expect(other, "a", nil)
		time.Sleep(time.Second)
		expect(root, "a", nil)
		expect(root, "a", over)
		if err := p.Replace(cfg); err != nil {
			t.Fatal(err)
		}
		expect(root, "a", over)
		cfg.Events = config.Bucket{}
		if err := p.Replace(cfg); err != nil {
			t.Fatal(err)
		}
		expect(root, "a", nil)
		if n := len(root.connection().limiters); n > 1 {
			t.Errorf("%d buckets are kept", n)
		}
	})
}
