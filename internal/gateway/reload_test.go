package gateway_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/gateway"
	"github.com/carillon-io/carillon/pkg/socketio/socketiotest"
	"github.com/carillon-io/carillon/test/program"
)

// answering is a configuration whose rules answer every ping with word.
func answering(word, rest string) string {
	return quick + fmt.Sprintf("namespaces: {'/': {rules: [{event: ping, ack: [%s]}]}}\n", word) + rest
}

// save writes a file as a text editor that knows nothing better does.
func save(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// runFile runs a gateway on a configuration file.
func runFile(t *testing.T, file string) (*instance, *program.Output) {
	t.Helper()
	source := &gateway.Source{File: file}
	cfg, warnings, err := source.Load()
	if err != nil {
		t.Fatal(err)
	}
	log := &program.Output{}
	return runWith(t, gateway.Options{Config: cfg, Warnings: warnings, Source: source, Log: log}), log
}

func TestReload_NewRulesHoldForOpenConnections(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "carillon.yaml")
	save(t, file, answering("before", ""))
	i, _ := runFile(t, file)
	c := connect(t, i.clients, nil)
	c.asks(`["before"]`, "ping")
	i.metric(t, "carillon_config_reload_success 1")

	save(t, file, answering("after", ""))
	if err := i.Reload(); err != nil {
		t.Fatal(err)
	}
	c.asks(`["after"]`, "ping")
	i.metric(t, "carillon_config_reload_success 1")
}

func TestReload_SocketsOfANamespaceThatIsTakenAwayAreDisconnected(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "carillon.yaml")
	with := func(namespaces string) string {
		return quick + "namespaces: {'/': {rules: [{event: ping, ack: [pong]}]}" + namespaces + "}\n"
	}
	save(t, file, with(", /room: {}, '/t-*': {}"))
	i, log := runFile(t, file)
	stays := connect(t, i.clients, nil)
	room := socketiotest.Dial(t, i.clients, socketiotest.Options{Namespace: "/room"})
	tenant := socketiotest.Dial(t, i.clients, socketiotest.Options{Namespace: "/t-1"})
	i.metric(t, `carillon_sockets{namespace="/room"} 1`) // a client has its answer a moment before it counts
	i.metric(t, `carillon_sockets{namespace="/t-*"} 1`)

	save(t, file, with(""))
	if err := i.Reload(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*socketiotest.Client{room, tenant} {
		if got := c.Disconnected(); got != "io server disconnect" {
			t.Errorf("the client ends with %q", got)
		}
	}
	if r := socketiotest.DialRefused(t, i.clients, socketiotest.Options{Namespace: "/room"}); r.Message != "Invalid namespace" {
		t.Errorf("a new client is answered %+v", r)
	}
	stays.asks(`["pong"]`, "ping")
	i.metric(t, "carillon_config_removed_sockets_total 2")
	if text := log.String(); !strings.Contains(text, `"namespace":"/room","sockets":1`) {
		t.Errorf("the log does not say so:\n%s", text)
	}
	_, metrics := fetch(t, http.DefaultClient, http.MethodGet, i.ops+"/metrics", "")
	if strings.Contains(metrics, `namespace=""`) {
		t.Error("a series has a namespace without a name")
	}

	save(t, file, with(", /room: {}"))
	if err := i.Reload(); err != nil {
		t.Fatal(err)
	}
	socketiotest.Dial(t, i.clients, socketiotest.Options{Namespace: "/room"})
}

func TestReload_AConfigurationWithAFaultIsRefusedWhole(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "carillon.yaml")
	for name, fault := range map[string]string{
		"unknown key": "nonsense: 1\n",
		"not YAML":    "}\n",
		"certificate": "server: {tls: {cert: /nowhere.pem, key: /nowhere.pem}}\n",
		"rules":       "routes: {}\n",
		"no file":     "",
	} {
		t.Run(name, func(t *testing.T) {
			save(t, file, answering("before", ""))
			i, log := runFile(t, file)
			c := connect(t, i.clients, nil)
			switch name {
			case "no file":
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
			case "rules":
				save(t, file, answering(`"${nonsense("`, "log: {level: error}\n"))
			default:
				save(t, file, answering("after", "log: {level: error}\n"+fault))
			}
			if err := i.Reload(); err == nil {
				t.Fatal("no error")
			}
			i.metric(t, "carillon_config_reload_success 0")
			if text := log.String(); !strings.Contains(text, `"level":"error"`) || !strings.Contains(text, "configuration refused") {
				t.Errorf("the log does not say so:\n%s", text)
			}
			c.asks(`["before"]`, "ping")

			save(t, file, answering("later", ""))
			if err := i.Reload(); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(log.String(), "configuration reloaded") {
				t.Error("the log's level followed a configuration that was refused")
			}
			c.asks(`["later"]`, "ping")
			i.metric(t, "carillon_config_reload_success 1")
			i.poll(t, "/metrics", func(_ int, body string) bool { // twice, where the file was seen to change before the call
				return regexp.MustCompile(`(?m)^carillon_config_reloads_total\{result="applied"\} [12]$`).MatchString(body)
			})
		})
	}
}

func TestReload_KeysThatNeedARestartAreNamedOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "carillon.yaml")
	save(t, file, quick)
	i, log := runFile(t, file)
	save(t, file, quick+"engine: {ping_interval: 5s}\nlimits: {rooms: 5, handshakes: 7}\nserver: {path: /elsewhere/}\n")
	if err := i.Reload(); err != nil {
		t.Fatal(err)
	}
	const want = `"keys":["server.path","engine.ping_interval"]`
	if text := log.String(); strings.Count(text, `"level":"warn"`) != 1 || !strings.Contains(text, want) {
		t.Errorf("want one warning with %s:\n%s", want, text)
	}
}

func TestReload_TheLogFollows(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "carillon.yaml")
	save(t, file, quick+"log: {level: error}\n")
	i, log := runFile(t, file)
	for _, step := range []struct {
		level string
		said  int
	}{{"error", 0}, {"info", 1}, {"debug", 2}, {"warn", 2}} {
		save(t, file, quick+"log: {level: "+step.level+"}\n")
		if err := i.Reload(); err != nil {
			t.Fatal(err)
		}
		if said := strings.Count(log.String(), "configuration reloaded"); said != step.said {
			t.Errorf("at %s it was said %d times, want %d", step.level, said, step.said)
		}
	}
}

func TestReload_WithoutASourceIsAnError(t *testing.T) {
	t.Parallel()
	if err := run(t, quick).Reload(); err == nil {
		t.Error("no error")
	}
}

// Kubernetes projects a ConfigMap into a directory of its own and turns a symbolic link beside the file to it.
func TestWatch_AMountedFileIsReadAgainWhenItsLinkTurns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	project := func(version, text string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		save(t, filepath.Join(dir, version, "carillon.yaml"), text)
		if err := os.Symlink(version, filepath.Join(dir, "..next")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..next"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	project("..v1", answering("before", ""))
	file := filepath.Join(dir, "carillon.yaml")
	if err := os.Symlink(filepath.Join("..data", "carillon.yaml"), file); err != nil {
		t.Fatal(err)
	}
	i, _ := runFile(t, file)
	c := connect(t, i.clients, nil)
	project("..v2", answering("after", ""))
	i.metric(t, `carillon_config_reloads_total{result="applied"} 1`)
	c.asks(`["after"]`, "ping")
}
