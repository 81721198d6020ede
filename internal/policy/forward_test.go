package policy_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/carillon-io/carillon/internal/policy"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// backends is a Backends whose answers a test decides.
type backends struct {
	lifecycle bool
	forward   func(f *policy.Forward) error // nil: stored at once as 7-0

	mu      sync.Mutex
	opened  []policy.BackendClient
	taken   []string
	reasons []string
	offers  []string // that were taken
	moved   int

	offering error // of Offer
	ended    bool  // of Taken
}

func (b *backends) Lifecycle() bool { return b.lifecycle }

func (b *backends) Open(c policy.BackendClient) policy.Upstream {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opened = append(b.opened, c)
	return b
}

func (b *backends) Forward(f *policy.Forward) error {
	b.mu.Lock()
	b.taken = append(b.taken, fmt.Sprintf("%s %q %s", f.Route, f.Event, f.Args.JSON))
	b.mu.Unlock()
	if b.forward != nil {
		return b.forward(f)
	}
	f.Stored("7-0", nil)
	if f.Answered != nil {
		f.Answered(packet.Args{JSON: []byte(`[{"price":1.50}]`)}, nil)
	}
	return nil
}

func (b *backends) Resume(context.Context, policy.BackendConnection) (bool, error) { return true, nil }

func (b *backends) Take(c policy.BackendClient, offer []byte) (policy.Upstream, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opened = append(b.opened, c)
	b.offers = append(b.offers, string(offer))
	return b, nil
}

func (b *backends) Offer(context.Context) ([]byte, error) { return []byte(`{"seq":7}`), b.offering }
func (b *backends) Taken(context.Context) (bool, error)   { return !b.ended, nil }

func (b *backends) Moved() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.moved++
}

func (b *backends) Leave(reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reasons = append(b.reasons, reason)
}

const forwardRules = `
- {event: plain, do: [{forward: orders}]}
- {event: accepted, do: [{forward: orders}], ack: accepted}
- {event: backend, do: [{forward: orders}], ack: backend}
- {event: own, do: [{forward: orders}], ack: ["${args[0]}"]}
- {event: both, do: [{forward: orders}, {reply: {event: after}}]}
- {event: bad, do: [{forward: orders}, {reply: {event: "${args[0]}"}}]}
- {event: last, do: [{disconnect: namespace}, {forward: orders}], ack: accepted}`

var forwardConfig = "redis: {url: 'redis://h'}\nroutes: {orders: {}}\n" + rules(forwardRules)

func TestForward_TheAckIsTheRules(t *testing.T) {
	b := &backends{}
	c := start(t, forwardConfig, setup{options: policy.Options{Backends: b}}).connect("/", `{"a":1,"token":"secret","b":2}`)
	for send, want := range map[string]string{
		`"plain",1.0`: ok, `"accepted",2`: `[{"ok":true,"id":"7-0"}]`, `"backend"`: `[{"price":1.50}]`, `"own","mine"`: `["mine"]`,
		`"bad","connect"`: refused("invalid", "reply: "+reservedName),
	} {
		if got := c.ask(send); got != want {
			t.Errorf("%s: %s, want %s", send, got, want)
		}
	}
	if len(b.taken) != 4 {
		t.Errorf("forwarded were %q", b.taken)
	}
	if len(b.opened) != 1 || string(b.opened[0].Auth) != `{"a":1,"b":2}` || b.opened[0].ID != c.sid || b.opened[0].Namespace != "/" {
		t.Errorf("backends know of %+v", b.opened)
	}
	if got := c.ask(`"last"`); got != `[{"ok":true,"id":"7-0"}]` {
		t.Error("the ack of a rule that disconnects:", got)
	}
	if packet := c.next(); packet != "1" {
		t.Error("then comes", packet)
	}
}

func TestForward_AFailureEndsTheRuleWithItsCode(t *testing.T) {
	for name, c := range map[string]struct {
		sync, async error
		code, label string
	}{
		"a backlog":          {policy.ErrBacklog, nil, "overloaded", "limited"},
		"too many bytes":     {policy.ErrTooLarge, nil, "invalid", "invalid"},
		"a route is gone":    {errors.New("gone"), nil, "unavailable", "failed"},
		"not stored in time": {nil, errors.New("late"), "unavailable", "failed"},
		"a full stream":      {nil, policy.ErrBacklog, "overloaded", "limited"},
	} {
		t.Run(name, func(t *testing.T) {
			b := &backends{forward: func(f *policy.Forward) error {
				if c.sync == nil {
					f.Stored("", c.async)
				}
				return c.sync
			}}
			w := start(t, forwardConfig, setup{options: policy.Options{Backends: b}})
			client := w.connect("/", "")
			for _, event := range []string{"plain", "accepted", "backend", "own", "both"} {
				if got := client.ask(`"` + event + `",1`); !strings.HasPrefix(got, `[{"ok":false,"error":{"code":"`+c.code) {
					t.Errorf("%s: %s", event, got)
				}
			}
			client.emit(`"plain"`) // nobody waits for it; it is counted all the same
			if after := client.events(); len(after) > 0 {
				t.Errorf("an action behind the one that failed was done: %q", after)
			}
			refusals := 0
			for _, d := range w.decisions {
				if d.Rule == "1 plain" && d.Code == policy.Code(c.code) {
					refusals++
				}
			}
			if refusals != 2 {
				t.Errorf("%d refusals of the plain rule are reported", refusals)
			}
		})
	}
}

func TestForward_ASilentBackendIsATimeout(t *testing.T) {
	b := &backends{forward: func(f *policy.Forward) error {
		f.Stored("7-0", nil)
		if f.Answered != nil {
			f.Answered(packet.Args{}, policy.ErrTimeout)
		}
		return nil
	}}
	c := start(t, forwardConfig, setup{options: policy.Options{Backends: b}}).connect("/", "")
	if got := c.ask(`"backend"`); got != refused("timeout", "the backend did not answer in time") {
		t.Error(got)
	}
}

func TestForward_WithoutBackendsEventsAreUnavailable(t *testing.T) {
	c := start(t, forwardConfig, setup{}).connect("/", "")
	if got := c.ask(`"plain"`); !strings.HasPrefix(got, `[{"ok":false,"error":{"code":"unavailable"`) {
		t.Error(got)
	}
}

func TestForward_LifecycleBeginsWithTheConnectAndEndsWithTheReason(t *testing.T) {
	b := &backends{lifecycle: true}
	w := start(t, forwardConfig, setup{options: policy.Options{Backends: b}})
	c := w.connect("/", "")
	c.ask(`"plain"`)
	if len(b.opened) != 1 {
		t.Errorf("opened %d times", len(b.opened))
	}
	c.write("41")
	c.dialAgain(w)
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.reasons) != 1 || b.reasons[0] != "client namespace disconnect" {
		t.Errorf("left for %q", b.reasons)
	}
}

// dialAgain connects the client's connection to the namespace again, which its server does after what came before.
func (c *client) dialAgain(*world) {
	c.t.Helper()
	c.write("40")
	for !strings.HasPrefix(c.next(), "0") {
	}
}

func TestForward_OnPaper(t *testing.T) {
	tester, err := policy.NewTester(load(t, forwardConfig), policy.Tokens{})
	if err != nil {
		t.Fatal(err)
	}
	client := &policy.Client{Namespace: "/", ID: "sid"}
	d := tester.Event(context.Background(), client, "accepted", packet.Args{}, 1)
	if text := d.Explanation(); !strings.Contains(text, `forward to route "orders"`) || !strings.Contains(text, `{"ok":true,"id":"0-1"}`) {
		t.Error(text)
	}
	d = tester.Event(context.Background(), client, "backend", packet.Args{}, 1)
	if text := d.Explanation(); !strings.Contains(text, "ack: what the backend answers") {
		t.Error(text)
	}
}
