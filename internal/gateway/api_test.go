package gateway_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/gateway"
	"github.com/carillon-io/carillon/pkg/socketio/socketiotest"
	"github.com/carillon-io/carillon/test/program"
)

// runAPI runs a gateway on a configuration file with an API, and returns the URL of that.
func runAPI(t *testing.T, file string) (*instance, *program.Output, string) {
	t.Helper()
	source := &gateway.Source{File: file}
	cfg, warnings, err := source.Load()
	if err != nil {
		t.Fatal(err)
	}
	l := listen(t)
	t.Cleanup(func() { l.Close() })
	log := &program.Output{}
	return runWith(t, gateway.Options{Config: cfg, Warnings: warnings, Source: source, Log: log, API: l}), log, "http://" + l.Addr().String()
}

func TestAPI_PublishesWithTheKeysOfTheConfiguration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	keys, file := filepath.Join(dir, "keys"), filepath.Join(dir, "carillon.yaml")
	save(t, keys, "first-key\n")
	save(t, file, quick+"api: {address: '127.0.0.1:0', keys: ["+keys+"]}\nnamespaces: {'/': {}, '/t-*': {}}\n")
	i, log, api := runAPI(t, file)
	c := socketiotest.Dial(t, i.clients, socketiotest.Options{Namespace: "/t-1"})
	emit := func(key string, status int) {
		t.Helper()
		answer, body := fetch(t, http.DefaultClient, http.MethodPost, api+"/v1/emit", `{"namespace":"/t-1","all":true,"event":"e"}`,
			"Authorization", "Bearer "+key)
		if answer.StatusCode != status {
			t.Errorf("%s: %d %s", key, answer.StatusCode, body)
		}
	}
	emit("first-key", 202)
	c.Expect("e")
	emit("second-key", 401)
	i.metric(t, `carillon_api_requests_total{call="emit",code="202"} 1`)

	save(t, keys, "second-key\n")
	if err := i.Reload(); err != nil {
		t.Fatal(err)
	}
	emit("first-key", 401)
	emit("second-key", 202)
	c.Expect("e")

	save(t, keys, "\n")
	if err := i.Reload(); err == nil || !strings.Contains(err.Error(), "api.keys[0]: holds no key") {
		t.Errorf("without keys: %v", err)
	}
	emit("second-key", 202)
	for _, key := range []string{"first-key", "second-key"} {
		if strings.Contains(log.String(), key) {
			t.Errorf("%s is in the log", key)
		}
	}
}

func TestCheck_RefusesAnAPIWithoutKeys(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"api: {address: ':9092'}":                     "api.address",
		"api: {address: ':9092', keys: []}":           "api.address",
		"api: {address: ':9092', keys: [/none/keys]}": "api.keys[0]",
		"api: {address: ':9092', keys: ['a b']}":      "api.keys[0]",
	} {
		cfg, _, err := config.Load(config.Source{File: []byte(text)})
		if err = gateway.Check(cfg, err); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
