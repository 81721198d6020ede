package config_test

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/carillon-io/carillon/internal/config"
)

func printed(t *testing.T, cfg config.Config) string {
	t.Helper()
	var text strings.Builder
	if err := cfg.Print(&text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// keysOf returns every key of a YAML document with its path, in order.
func keysOf(n *yaml.Node, path string) []string {
	if n.Kind == yaml.DocumentNode {
		return keysOf(n.Content[0], path)
	}
	var keys []string
	if n.Kind == yaml.MappingNode {
		for i := 0; i < len(n.Content); i += 2 {
			key := path + "." + n.Content[i].Value
			keys = append(append(keys, key), keysOf(n.Content[i+1], key)...)
		}
	}
	return keys
}

func parseKeys(t *testing.T, text string) []string {
	t.Helper()
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(text), &n); err != nil {
		t.Fatal(err)
	}
	return keysOf(&n, "")
}

func TestPrint_HasEveryDocumentedKeyInTheDocumentedOrder(t *testing.T) {
	documented, err := os.ReadFile("testdata/defaults.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, want := parseKeys(t, printed(t, config.Default())), parseKeys(t, string(documented))
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestPrint_LoadsAsTheSameConfiguration(t *testing.T) {
	rules, err := os.ReadFile("testdata/built.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"", string(rules)} {
		cfg := mustLoad(t, config.Source{File: []byte(file)})
		text := printed(t, cfg)
		again := mustLoad(t, config.Source{File: []byte(text)})
		if second := printed(t, again); second != text {
			t.Errorf("printed:\n%s\nafter loading that:\n%s", text, second)
		}
		if changed := config.RestartKeys(cfg, again); len(changed) > 0 {
			t.Errorf("changed by printing and loading: %v", changed)
		}
	}
}

func TestPrint_MasksSecrets(t *testing.T) {
	cfg := config.Default()
	cfg.Server.TLS = config.TLS{Cert: "cert.pem", Key: "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----"}
	cfg.Peer.Secret = "hunter2"
	cfg.Peer.Advertise = "http://hunter2@node:9091"
	cfg.Peer.Nodes = []config.URL{"http://me:hunter2@node:9091"}
	cfg.Redis.URL = "redis://me:hunter2@redis:6379/0"
	cfg.Redis.Password = "hunter2"
	cfg.Redis.Sentinel.Password = "hunter2"
	cfg.Redis.TLS.Key = "/etc/redis.key"
	cfg.Auth.JWT.Secret = "hunter2"
	cfg.Auth.JWT.JWKS = "https://me:hunter2@keys.example/jwks.json"
	text := printed(t, cfg)
	logged, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for form, shown := range map[string]string{
		"printed": text,
		"JSON":    string(logged),
		"%v":      fmt.Sprintf("%v", cfg),
		"%+v":     fmt.Sprintf("%+v", cfg),
		"%#v":     fmt.Sprintf("%#v", cfg),
	} {
		if strings.Contains(shown, "hunter2") {
			t.Errorf("%s shows a secret:\n%s", form, shown)
		}
	}
	for _, want := range []string{
		"redis://********@redis:6379/0", "https://********@keys.example/jwks.json", "key: /etc/redis.key", "cert: cert.pem",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}

func TestURL_HidesCredentialsOfWhateverForm(t *testing.T) {
	for url, want := range map[config.URL]string{
		"":                            "",
		"redis://host:6379":           "redis://host:6379",
		"redis://:hunter2@host":       "redis://********@host",
		"redis://u:hun/ter2@host":     "redis://********@host",
		"redis://u:hunt@er2@host":     "redis://********@host",
		"redis://u:hun#ter2@host/0":   "redis://********@host/0",
		"u:hunter2@host":              "********@host",
		"unix://u:hunter2@/run/redis": "unix://********@/run/redis",
	} {
		if got := url.String(); got != want {
			t.Errorf("%q: got %q, want %q", string(url), got, want)
		}
	}
}

func TestFaults_HoldNoSecret(t *testing.T) {
	for _, source := range []config.Source{
		{File: []byte(`redis: {url: "redis://u:hunter2%zz@h"}`)},
		{File: []byte(`redis: {url: "http://u:hunter2@h"}`)},
		{File: []byte(`redis: {url: "redis://u:hunter2/x@h"}`)},
		{File: []byte(`redis: {pasword: hunter2}`)},
		{File: []byte(`redis: {password: [hunter2]}`)},
		{File: []byte(`auth: {jwt: {secret: {hunter2: x}}}`)},
		{File: []byte(`auth: {jwt: {jwks: "ftp://u:hunter2@h"}}`)},
		{File: []byte(`peer: {secret: hunter2}`)},
		{File: []byte(`redis: {password: *hunter2}`)},
		{File: []byte(`redis: {password: !hunter2}`)},
		{Environ: []string{"CARILLON_REDIS_PASWORD=hunter2", "CARILLON_LOG_LEVEL=x"}},
	} {
		_, warnings, err := config.Load(source)
		if err == nil {
			t.Errorf("%s is accepted", source.File)
		} else if text := fmt.Sprint(warnings, err); strings.Contains(text, "hunter2") {
			t.Errorf("%s: %s", source.File, text)
		}
	}
}
