package policy_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/policy"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/carillon-io/carillon/test/await"
	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a server that follows a policy.
type world struct {
	t        *testing.T
	url      string
	io       *socketio.Server
	policy   *policy.Policy
	registry *prometheus.Registry

	mu        sync.Mutex
	decisions []*policy.Decision
}

// setup is what a world is made of beside its rules.
type setup struct {
	config  socketio.Config
	options policy.Options
}

// load reads what a policy follows from a configuration in YAML.
func load(t testing.TB, yaml string) policy.Config {
	t.Helper()
	c, _, err := config.Load(config.Source{Name: "test.yaml", File: []byte(yaml)})
	if err != nil {
		t.Fatalf("the configuration is refused: %v\n%s", err, yaml)
	}
	return policy.Config{Namespaces: c.Namespaces, Events: c.Limits.Events}
}

// rules is the configuration of the namespace / with these rules, indented by nothing.
func rules(yaml string) string {
	return "namespaces:\n  \"/\":\n    rules:\n      " + strings.ReplaceAll(strings.TrimSpace(yaml), "\n", "\n      ") + "\n"
}

func start(t *testing.T, yaml string, s setup) *world {
	t.Helper()
	w := &world{t: t, registry: prometheus.NewRegistry()}
	s.options.Registry = w.registry
	s.options.OnDecision = func(d *policy.Decision) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.decisions = append(w.decisions, d)
	}
	var err error
	if w.policy, err = policy.New(load(t, yaml), s.options); err != nil {
		t.Fatalf("the policy is refused: %v\n%s", err, yaml)
	}
	if w.io, err = socketio.New(s.config); err != nil {
		t.Fatal(err)
	}
	w.policy.Install(w.io)
	server := httptest.NewServer(w.io)
	w.url = "ws" + strings.TrimPrefix(server.URL, "http") + "/socket.io/?EIO=4&transport=websocket"
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.io.Run(ctx) }()
	t.Cleanup(func() {
		w.io.Close()
		server.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return w
}

// client is one connection, with one socket in one namespace.
type client struct {
	t       *testing.T
	ws      *websocket.Conn
	nsp     string // as packets carry it: "" or "/nsp,"
	sid     string
	nextAck int
	heard   []string // packets read on the way to another, without type 4
	binary  [][]byte
}

func (w *world) dial(header http.Header) *client {
	w.t.Helper()
	ws, answer, err := websocket.DefaultDialer.Dial(w.url, header)
	if err != nil {
		w.t.Fatalf("dial: %v", err)
	}
	_ = answer.Body.Close()
	c := &client{t: w.t, ws: ws}
	w.t.Cleanup(func() { _ = ws.Close() })
	_ = ws.SetReadDeadline(await.Deadline())
	c.readFrame() // the handshake
	return c
}

// connect connects to a namespace, which must succeed.
func (w *world) connect(nsp, auth string) *client {
	w.t.Helper()
	c := w.dial(nil)
	c.join(nsp, auth)
	return c
}

func (c *client) join(nsp, auth string) {
	c.t.Helper()
	answer := c.tryJoin(nsp, auth)
	sid, ok := strings.CutPrefix(answer, "0"+c.nsp+`{"sid":"`)
	if !ok || len(sid) < 20 {
		c.t.Fatalf("CONNECT is answered by %s", answer)
	}
	c.sid = sid[:20]
}

// tryJoin returns the answer to CONNECT.
func (c *client) tryJoin(nsp, auth string) string {
	c.t.Helper()
	if nsp != "/" {
		c.nsp = nsp + ","
	}
	c.write("40" + c.nsp + auth)
	return c.next()
}

func (c *client) write(text string) {
	c.t.Helper()
	if err := c.ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

func (c *client) readFrame() string {
	c.t.Helper()
	for {
		kind, data, err := c.ws.ReadMessage()
		if err != nil {
			c.t.Fatalf("read: %v; heard before: %q", err, c.heard)
		}
		if kind == websocket.BinaryMessage {
			c.binary = append(c.binary, data)
			continue
		}
		return string(data)
	}
}

// next returns the next Socket.IO packet.
func (c *client) next() string {
	c.t.Helper()
	for {
		frame := c.readFrame()
		if frame == "2" {
			c.write("3")
		} else if strings.HasPrefix(frame, "4") {
			return frame[1:]
		}
	}
}

// emit sends an event nobody waits for; args is the list without its brackets.
func (c *client) emit(args string) { c.t.Helper(); c.write("42" + c.nsp + "[" + args + "]") }

// ask sends an event and returns the arguments of its acknowledgement.
func (c *client) ask(args string, attachments ...[]byte) string {
	c.t.Helper()
	c.nextAck++
	id := strconv.Itoa(c.nextAck)
	if len(attachments) == 0 {
		c.write("42" + c.nsp + id + "[" + args + "]")
	} else {
		c.write(fmt.Sprintf("45%d-%s%s[%s]", len(attachments), c.nsp, id, args))
		for _, a := range attachments {
			if err := c.ws.WriteMessage(websocket.BinaryMessage, a); err != nil {
				c.t.Fatal(err)
			}
		}
	}
	for {
		packet := c.next()
		if ack, ok := strings.CutPrefix(packet, "3"+c.nsp+id); ok {
			return ack
		}
		if strings.HasPrefix(packet, "6") {
			if _, ack, ok := strings.Cut(packet, "-"+c.nsp+id); ok {
				return ack
			}
		}
		c.heard = append(c.heard, packet)
	}
}

// events returns the events heard so far. What was on its way when the call began is among them: the client asks
// something no rule allows, and events come before that answer.
func (c *client) events() []string {
	c.t.Helper()
	c.ask(`"auth:flush"`)
	var events []string
	for _, packet := range c.heard {
		event, ok := strings.CutPrefix(packet, "2"+c.nsp)
		if !ok {
			c.t.Fatalf("an unexpected packet: %s", packet)
		}
		events = append(events, event)
	}
	c.heard = nil
	return events
}

func refused(code, message string) string {
	return fmt.Sprintf(`[{"ok":false,"error":{"code":%q,"message":%q}}]`, code, message)
}

const (
	ok             = `[{"ok":true}]`
	badExpression  = "an expression cannot be evaluated"
	reservedName   = "a reserved event name"
	roomEmpty      = "a room's name is empty"
	badCondition   = "the condition cannot be evaluated"
	noRule         = "no rule allows this event"
	gatewaysOwn    = "events beginning auth: belong to the gateway"
	tooCostly      = "the event takes too much work to decide: send less"
	badSchema      = "the arguments do not fit the schema"
	badAck         = "the acknowledgement cannot be evaluated"
	tooManyEvents  = "too many events"
	tooManyRooms   = "too many rooms"
	clusterAway    = "the cluster is unavailable"
	clusterFull    = "too much is waiting for the cluster"
	connectRefused = "not allowed"
)

// cluster is an adapter whose answers a test decides.
type cluster struct {
	adapter.Adapter

	publish func(done func(error)) // nil: taken at once
	confirm func(done func(error)) // nil: confirmed at once
}

func newCluster() *cluster { return &cluster{Adapter: &adapter.Local{}} }

func (c *cluster) Publish(_ adapter.Command, done func(error)) {
	switch {
	case done == nil:
	case c.publish == nil:
		done(nil)
	default:
		c.publish(done)
	}
}

func (c *cluster) Confirm(_ string, _ []string, done func(error)) {
	if c.confirm == nil {
		done(nil)
		return
	}
	c.confirm(done)
}
