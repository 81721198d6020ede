package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
)

// opsListener is a node's ops listener that answers /readyz with status; it returns the port.
func opsListener(t *testing.T, status int) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			status = http.StatusNotFound
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`{"ready":false,"deaf":true}` + "\n"))
	}))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func TestHealthcheck_TellsWhetherTheNodeIsReady(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "serve", "--config", write(t, loopback+"drain: {delay: 10m, window: 10m}\n"))
	p.says(`"msg":"serving"`)
	_, ops, _ := strings.Cut(p.output.String(), `"ops":"`)
	ops, _, _ = strings.Cut(ops, `"`)
	file := write(t, "ops: {address: '"+ops+"'}\n")

	if code, stdout, stderr := execute(t, "healthcheck", "--config", file); code != exitClean || stdout+stderr != "" {
		t.Errorf("ready: exit %d; it said:\n%s%s", code, stdout, stderr)
	}
	p.signal(syscall.SIGTERM)
	p.says(`"msg":"leaving"`)
	code, _, stderr := execute(t, "healthcheck", "--config", file)
	if code != exitFailed || !strings.Contains(stderr, `"draining":true`) {
		t.Errorf("draining: exit %d; it said:\n%s", code, stderr)
	}
}

func TestHealthcheck_FindsTheNodeAsServeDoes(t *testing.T) {
	t.Parallel()
	up, down := opsListener(t, http.StatusOK), opsListener(t, http.StatusServiceUnavailable)
	at := func(address string) string { return write(t, "ops: {address: '"+address+"'}\n") }
	for name, tt := range map[string]struct {
		environ []string
		args    []string
		code    int
		says    string
	}{
		"every address":               {args: []string{"--config", at(":" + up)}},
		"every IPv4 address":          {args: []string{"--config", at("0.0.0.0:" + up)}},
		"every address, both kinds":   {args: []string{"--config", at("[::]:" + up)}},
		"one address":                 {args: []string{"--config", at("127.0.0.1:" + up)}},
		"environment":                 {environ: []string{"CARILLON_OPS_ADDRESS=:" + up}},
		"environment before the file": {environ: []string{"CARILLON_OPS_ADDRESS=:" + up}, args: []string{"--config", at(":" + down)}},
		"not through a proxy": {
			environ: []string{"HTTP_PROXY=http://127.0.0.1:1", "http_proxy=http://127.0.0.1:1", "CARILLON_OPS_ADDRESS=:" + up},
		},
		"a file changed for the worse, under a node that goes on": {
			args: []string{"--config", write(t, "ops: {address: ':"+up+"'}\nlog: {level: loud}\n")},
		},
		"not ready":     {args: []string{"--config", at(":" + down)}, code: exitFailed, says: `503 Service Unavailable: {"ready":false,"deaf":true}`},
		"nobody there":  {args: []string{"--config", at("127.0.0.1:1")}, code: exitFailed, says: "connection refused"},
		"no such file":  {args: []string{"--config", "/nowhere.yaml"}, code: exitUsage, says: "/nowhere.yaml: no such file"},
		"unknown flag":  {args: []string{"--url", "here"}, code: exitUsage, says: "See gateway healthcheck --help"},
		"an argument":   {args: []string{"now"}, code: exitUsage, says: "one argument too many"},
		"no address":    {args: []string{"--config", at("here")}, code: exitUsage, says: "ops.address"},
		"faults, alone": {args: []string{"--config", write(t, "ops: {address: '127.0.0.1:1'}\nlog: {level: loud}\n")}, code: exitUsage, says: "log.level"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, tt.environ, append([]string{"healthcheck"}, tt.args...)...)
			if code := p.wait(); code != tt.code || !strings.Contains(p.output.String(), tt.says) {
				t.Errorf("exit %d, want %d with %q; it said:\n%s", code, tt.code, tt.says, p.output.String())
			}
			if tt.code == exitClean && p.output.String() != "" {
				t.Errorf("a ready node is nothing to talk about:\n%s", p.output.String())
			}
		})
	}
}

func TestHealthcheck_ANodeThatDoesNotAnswerIsNotReady(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the system completes connections; nobody accepts them
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	p := start(t, []string{"CARILLON_OPS_ADDRESS=" + silent.Addr().String()}, "healthcheck")
	if code := p.wait(); code != exitFailed || !strings.Contains(p.output.String(), "deadline exceeded") {
		t.Errorf("exit %d; it said:\n%s", code, p.output.String())
	}
}
