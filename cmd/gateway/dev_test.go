package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/carillon-io/carillon/pkg/socketio/socketiotest"
)

// dev starts a development system on whatever ports are free and returns the demo's host and port.
func dev(t *testing.T, args ...string) (*process, string) {
	t.Helper()
	environ := []string{"CARILLON_OPS_ADDRESS=127.0.0.1:0"}
	p := start(t, environ, append([]string{"dev", "--address", "127.0.0.1:0"}, args...)...)
	p.says("Publish from another shell")
	demo := regexp.MustCompile(`demo +http://(\S+)/\n`).FindStringSubmatch(p.output.String())
	if demo == nil {
		t.Fatalf("names no demo:\n%s", p.output.String())
	}
	return p, demo[1]
}

// connect opens a connection as a page of this machine would.
func connect(t *testing.T, host string) *socketiotest.Client {
	t.Helper()
	return socketiotest.Dial(t, "http://"+host, socketiotest.Options{
		Header: http.Header{"Origin": {"http://localhost:5173"}}, Patience: time.Minute,
	})
}

// asks sends an event, and wants an answer that begins with prefix.
func asks(t *testing.T, c *socketiotest.Client, prefix, event string) {
	t.Helper()
	if got := c.EmitWithAck(event); !strings.HasPrefix(string(got.JSON), prefix) {
		t.Fatalf("%s was answered %s, want %s", event, got.JSON, prefix)
	}
}

func TestDev_RoutesStandOnTheEmbeddedRedis(t *testing.T) {
	t.Parallel()
	_, host := dev(t, "--config", write(t, `
routes: {orders: {lifecycle: true}}
namespaces: {"/": {rules: [{event: order, do: [{forward: orders}], ack: accepted}]}}
`))
	asks(t, connect(t, host), `[{"ok":true,"id":"`, "order")
}

// TestDev_ClientsWithoutALibraryChatWithThePage: dev opens the doors that serve keeps shut until they have a path.
func TestDev_ClientsWithoutALibraryChatWithThePage(t *testing.T) {
	t.Parallel()
	_, host := dev(t)
	page := connect(t, host)
	stream, err := http.Get("http://" + host + "/sse")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Body.Close() }()
	page.Receive() // joined
	ws, response, err := websocket.DefaultDialer.Dial("ws://"+host+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	defer func() { _ = ws.Close() }()
	page.Receive() // joined
	if err := ws.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if e := page.Receive(); e.Name != "message" || !strings.Contains(string(e.Args.JSON), `"text":"hello"`) {
		t.Errorf("the page receives %s %s", e.Name, e.Args.JSON)
	}
	for lines := bufio.NewScanner(stream.Body); ; {
		if !lines.Scan() {
			t.Fatal("the stream has ended")
		}
		if strings.HasPrefix(lines.Text(), "data:") && strings.Contains(lines.Text(), `"text":"hello"`) {
			break
		}
	}
}

func TestDev_ThePrintedCommandReachesEveryPage(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"as it is":             nil,
		"another channel name": {"--config", write(t, "adapter: {key: my chimes}\n")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, host := dev(t, args...)
			c := connect(t, host)
			command := regexp.MustCompile(`\n    (.* emit .*)\n`).FindStringSubmatch(p.output.String())
			if command == nil {
				t.Fatalf("prints no command:\n%s", p.output.String())
			}
			shell := exec.Command("sh", "-c", command[1])
			shell.Env = []string{asGateway + "=1"}
			if out, err := shell.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", command[1], err, out)
			}
			c.Expect("announcement", "Hello from a backend")
			p.signal(os.Interrupt)
			if code := p.wait(); code != exitClean {
				t.Errorf("exit %d", code)
			}
		})
	}
}

func TestDev_ABusyPortMovesOn(t *testing.T) {
	t.Parallel()
	var taken []net.Listener
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		taken = append(taken, l)
	}
	p := start(t, []string{"CARILLON_OPS_ADDRESS=" + taken[0].Addr().String()}, "dev", "--address", taken[1].Addr().String())
	p.says("Publish from another shell")
	for _, l := range taken {
		if port := l.Addr().(*net.TCPAddr).Port; strings.Contains(p.output.String(), fmt.Sprintf("localhost:%d/", port)) {
			t.Errorf("names port %d, which is somebody else's:\n%s", port, p.output.String())
		}
	}
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != exitClean {
		t.Errorf("exit %d", code)
	}
}

func TestDev_RunsYourRulesReloadsThemOnSaveAndPrintsRefusals(t *testing.T) {
	t.Parallel()
	const rules = `namespaces: {"/": {rules: [{event: ping, ack: [%s]}]}}` + "\n"
	file := write(t, fmt.Sprintf(rules, "before"))
	p, host := dev(t, "--config", file)
	c := connect(t, host)
	asks(t, c, `["before"]`, "ping")
	asks(t, c, `[{"ok":false,`, "shout")
	p.says(`refused "shout" in /: `)
	p.says(`(denied); rule "no rule", socket `)

	if err := os.WriteFile(file, fmt.Appendf(nil, rules, "after"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.says("reloaded " + file)
	asks(t, c, `["after"]`, "ping") // over the connection that was there before

	if err := os.WriteFile(file, []byte("namespaces: {\"/\": {rules: [{evnt: ping}]}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.says("evnt")
	asks(t, c, `["after"]`, "ping")
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != exitClean {
		t.Errorf("exit %d", code)
	}
}
