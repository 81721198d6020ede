package main

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
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

// client is one connection of Socket.IO, as a page of this machine would open it.
type client struct {
	t    *testing.T
	conn *websocket.Conn
}

func connect(t *testing.T, host string) *client {
	t.Helper()
	u := url.URL{Scheme: "ws", Host: host, Path: "/socket.io/", RawQuery: "EIO=4&transport=websocket"}
	conn, response, err := websocket.DefaultDialer.Dial(u.String(), http.Header{"Origin": {"http://localhost:5173"}})
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close() // nothing is left in it
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	c := &client{t, conn}
	c.hears("0{")
	c.sends("40")
	c.hears("40{")
	return c
}

func (c *client) sends(packet string) {
	c.t.Helper()
	if err := c.conn.WriteMessage(websocket.TextMessage, []byte(packet)); err != nil {
		c.t.Fatal(err)
	}
}

// hears waits for a packet that begins with prefix.
func (c *client) hears(prefix string) {
	c.t.Helper()
	for {
		_, packet, err := c.conn.ReadMessage()
		if err != nil {
			c.t.Fatalf("before %s: %v", prefix, err)
		}
		if strings.HasPrefix(string(packet), prefix) {
			return
		}
	}
}

func TestDev_ThePrintedCommandReachesEveryPage(t *testing.T) {
	t.Parallel()
	p, host := dev(t)
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
	c.hears(`42["announcement","Hello from a backend"]`)
	p.signal(os.Interrupt)
	if code := p.wait(); code != exitClean {
		t.Errorf("exit %d", code)
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
	c.sends(`421["ping"]`)
	c.hears(`431["before"]`)
	c.sends(`422["shout"]`)
	c.hears(`432[{"ok":false,`)
	p.says(`refused "shout" in /: `)
	p.says("(denied)")

	if err := os.WriteFile(file, fmt.Appendf(nil, rules, "after"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.says("reloaded " + file)
	c.sends(`423["ping"]`) // over the connection that was there before
	c.hears(`433["after"]`)

	if err := os.WriteFile(file, []byte("namespaces: {\"/\": {rules: [{evnt: ping}]}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.says("evnt")
	c.sends(`424["ping"]`)
	c.hears(`434["after"]`)
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != exitClean {
		t.Errorf("exit %d", code)
	}
}
