package docs_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/gateway"
	"github.com/carillon-io/carillon/pkg/socketio/socketiotest"
)

// TestHTTP_TheFirstLinesWorkWhenPasted runs the block that the page begins with, line by line, as a shell does.
func TestHTTP_TheFirstLinesWorkWhenPasted(t *testing.T) {
	text, err := os.ReadFile("http.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```sh\n(.*?)```").FindStringSubmatch(string(text))
	lines := strings.Split(strings.TrimSpace(block[1]), "\n")
	if len(lines) != 3 || strings.Index(string(text), block[0]) > 300 {
		t.Fatalf("the page begins with %d lines", len(lines))
	}
	cfg, _, err := config.Load(config.Source{File: []byte("api: {address: '127.0.0.1:9092', keys: [dev]}\ndrain: {delay: 0s, window: 0s}\n")})
	if err != nil {
		t.Fatal(err)
	}
	api, clients, ops := loopback(t), loopback(t), loopback(t)
	g, err := gateway.New(gateway.Options{Config: cfg, API: api, Clients: clients, Ops: ops})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	c := socketiotest.Dial(t, "http://"+clients.Addr().String(), socketiotest.Options{})
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		c.Await("are-you-there").Ack("yes")
	}()
	for i, want := range []string{`{"accepted":1}`, `{"answers":["yes"],"asked":1,"missing":[]}`, `"id":"` + c.ID() + `"`} {
		line := strings.Replace(lines[i], "localhost:9092", api.Addr().String(), 1)
		output, err := exec.Command("sh", "-c", line+" -sS").CombinedOutput()
		if err != nil || !strings.Contains(string(output), want) {
			t.Errorf("%s: %v, %s", lines[i], err, output)
		}
	}
	<-answered
}

func loopback(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}
