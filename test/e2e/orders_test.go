package e2e

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/test/program"
)

// TestExamples_Orders has pages in Chromium order on two gateways, with each of the three backends, and ends the backend that
// works so that the one that stands by takes over.
func TestExamples_Orders(t *testing.T) {
	t.Parallel()
	directory, err := filepath.Abs("../../examples/orders")
	if err != nil {
		t.Fatal(err)
	}
	packages, err := filepath.Abs("../node_modules")
	if err != nil {
		t.Fatal(err)
	}
	// The backends in the folder of the example find the packages that the tests have.
	folder := t.TempDir()
	if err := errors.Join(os.CopyFS(folder, os.DirFS(directory)), os.Symlink(packages, filepath.Join(folder, "node_modules"))); err != nil {
		t.Fatal(err)
	}
	page := httptest.NewServer(http.FileServer(http.Dir(directory)))
	t.Cleanup(page.Close)
	for name, backend := range map[string][]string{
		"go":     {buildExample(t, "orders")},
		"node":   {"node", filepath.Join(folder, "backend.mjs")},
		"python": {"../.venv/bin/python", filepath.Join(folder, "backend.py")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redis := startRedis(t)
			var gateways string
			for i, name := range []string{"first", "second"} {
				address, ops := program.FreeAddress(t), program.FreeAddress(t)
				p := program.Start(t, name, []string{
					"GORACE=halt_on_error=1", "CARILLON_REDIS_URL=" + redis, "CARILLON_SERVER_ADDRESS=" + address, "CARILLON_OPS_ADDRESS=" + ops,
					"CARILLON_PEER_ADDRESS=" + program.FreeAddress(t), "CARILLON_SERVER_CLIENT_BUNDLE=" + filepath.Join(packages, "socket.io-client", "dist"),
					"CARILLON_SERVER_ORIGINS=" + page.URL, "CARILLON_DRAIN_DELAY=0s", "CARILLON_DRAIN_WINDOW=1s",
				}, gatewayBinary, "serve", "--config", filepath.Join(directory, "gateway.yaml"))
				p.Await(func() bool { return program.Answers200("http://" + ops + "/readyz") })
				if i > 0 {
					gateways += ","
				}
				gateways += "http://" + address
			}
			options, err := goredis.ParseURL(redis)
			if err != nil {
				t.Fatal(err)
			}
			client := goredis.NewClient(options)
			defer func() { _ = client.Close() }()
			working := program.Start(t, "working", []string{"REDIS=" + redis}, backend[0], backend[1:]...)
			working.Await(func() bool {
				return client.HGet(t.Context(), "carillon:lease:{orders.0}:backend", "holder").Val() != ""
			})
			program.Start(t, "standing by", []string{"REDIS=" + redis}, backend[0], backend[1:]...)
			runJS(t, "example-orders", "PAGE="+page.URL+"/page.html", "NODES="+gateways, "WORKING="+strconv.Itoa(working.Cmd.Process.Pid))
		})
	}
}
