package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/carillon-io/carillon/test/program"
)

// TestDoors_EventStreamsBehindNginx: nginx holds answers back that say nothing else. It heeds X-Accel-Buffering, so a reader behind it
// sees an event at once; told to ignore that header it delivers late, but whole, and the gateway is none the worse.
func TestDoors_EventStreamsBehindNginx(t *testing.T) {
	t.Parallel()
	n := node{address: program.FreeAddress(t), ops: program.FreeAddress(t)}
	n.Program = start(t, "gateway", gatewayBinary, "serve", "--config", program.WriteFile(t, "gateway.yaml", fmt.Sprintf(
		"server: {address: %q}\nops: {address: %q}\nsse: {path: /sse}\ndrain: {delay: 0s, window: 100ms}\n", n.address, n.ops)+`
namespaces: {"/": {connect: {do: [{broadcast: {event: joined, args: ["${query.name}"]}}]}}}
`))
	n.Await(func() bool { return program.Answers200("http://" + n.ops + "/readyz") })
	nginx := func(more string) string {
		return startNginx(t, "server {\nlisten 8000;\nlocation / { proxy_pass http://"+n.address+"; proxy_http_version 1.1; proxy_set_header Host $http_host; "+more+" }\n}\n")
	}
	usual, stubborn := nginx(""), nginx("proxy_ignore_headers X-Accel-Buffering;")
	read := func(url string) *bufio.Scanner {
		ctx, cancel := context.WithCancel(context.Background())
		t.Cleanup(cancel)
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = response.Body.Close() })
		return bufio.NewScanner(response.Body)
	}
	reader := read(usual + "/sse?name=reader")
	late := make(chan string, 1)
	go func() { // its answer begins when nginx has enough, or all
		response, err := http.Get(stubborn + "/sse?name=late")
		if err != nil {
			late <- err.Error()
			return
		}
		defer func() { _ = response.Body.Close() }()
		text := ""
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			text += lines.Text() + "\n"
		}
		late <- text
	}()
	wants := func(lines *bufio.Scanner, want string) {
		t.Helper()
		for lines.Scan() {
			if lines.Text() == want {
				return
			}
		}
		t.Fatalf("no %s: %v", want, lines.Err())
	}
	wants(reader, `data: ["late"]`)
	read("http://" + n.address + "/sse?name=another")
	wants(reader, `data: ["another"]`)
	select {
	case text := <-late:
		t.Fatalf("the stubborn proxy has answered already: %s", text)
	default:
	}
	go n.Stop(syscall.SIGTERM) // a drain ends the streams, and with them the proxy's waiting
	select {
	case text := <-late:
		if !strings.Contains(text, `data: ["another"]`) {
			t.Errorf("late, it says %s", text)
		}
	case <-time.After(patience):
		t.Error("nothing comes through the stubborn proxy")
	}
}
