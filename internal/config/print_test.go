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
	cfg.Auth.JWT.PublicKey = "-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----"
	cfg.Redis.TLS.CA, cfg.Redis.TLS.Cert = "hunter2", "hunter2"
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
	cfg.Auth.JWT.PublicKey = ""
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

func TestPrivateKey_ShowsNothingButFileNames(t *testing.T) {
	for text, want := range map[config.PrivateKey]string{
		"":                         "",
		"/etc/tls/tls.key":         "/etc/tls/tls.key",
		"./key":                    "./key",
		"redis.key":                "redis.key",
		"-----BEGIN PRIVATE KEY\n": "********",
		"MC4CAQAwBQYDK2VwBCIEIG":   "********",
		"hunter2":                  "********",
		"/hunter\n2":               "********",
	} {
		if got := text.String(); got != want {
			t.Errorf("%q: got %q, want %q", string(text), got, want)
		}
	}
}

func TestURL_HidesSecretsOfWhateverForm(t *testing.T) {
	for url, want := range map[config.URL]string{
		"":                             "",
		"redis://host:6379":            "redis://host:6379",
		"redis://:hunter2@host":        "redis://********@host",
		"redis://u:hun/ter2@host":      "redis://********@host",
		"redis://u:hunt@er2@host":      "redis://********@host",
		"redis://u:hun#ter2@host/0":    "redis://********@host/0",
		"u:hunter2@host":               "********@host",
		"unix://u:hunter2@/run/r?db=2": "unix://********@/run/r?db=2",
		"redis://u:hunter2":            "redis://********",
		"redis://h hunter2":            "redis://********",
		"https://hooks.example/services/T01/B02/abcd1234EFGH5678ijkl": "https://hooks.example/services/T01/B02/********",
		"https://h/v1/token/hunter2/events?a=1":                       "https://h/v1/token/********/events?a=1",
		"https://h/realms/shop/protocol/openid-connect/certs.json":    "https://h/realms/shop/protocol/openid-connect/certs.json",
		"https://orders-backend-eu-west-123.example/a-long-name/hook": "https://orders-backend-eu-west-123.example/a-long-name/hook",
		"https://h/k?api_key=hunter2&a=1":                             "https://h/k?api_key=********&a=1",
		"https://u@h/k?sign=hunter2":                                  "https://********@h/k?sign=********",
		"https://h/f?code=hunter2":                                    "https://h/f?code=********",
		"https://h/f?sp=run&sig=hunter2":                              "https://h/f?sp=run&sig=********",
	} {
		if got := url.String(); got != want {
			t.Errorf("%q: got %q, want %q", string(url), got, want)
		}
	}
}

func TestMask_HidesCredentialsInAText(t *testing.T) {
	const text = `dial "redis://u:hun/t@er2@h:1": no`
	if got, want := config.Mask(text), `dial "redis://********@h:1": no`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestFaults_HoldNoSecret misplaces and misspells a secret in every way that a person may.
func TestFaults_HoldNoSecret(t *testing.T) {
	const secret = "hunter2"
	var files []string
	for _, section := range []string{
		"redis: {%s}", "redis: {sentinel: {%s}}", "redis: {cluster: {%s}}", "redis: {tls: {%s}}", "auth: {%s}", "auth: {jwt: {%s}}", "peer: {%s}",
		"server: {tls: {%s}}", "api: {%s}", "routes: {o: {webhook: {%s}}}", `namespaces: {/: {connect: {ask: {%s}}}}`,
	} {
		for _, member := range []string{
			"pwd: hunter2", "anything: hunter2", "anything: [hunter2]", "password:hunter2", "password=hunter2", "hunter2: {a: b}", "!hunter2",
			"password: *hunter2", "password: &hunter2", "password: 'hunter2", "password: {hunter2: x}", "secret: {hunter2: x}", "secret: [hunter2]",
			"url: hunter2", "url: 'redis://u:hunter2%zz@h'", "url: 'http://u:hunter2@h'", "url: 'redis://u:hunter2'", "url: 'redis://h:1/hunter2'",
			"url: 'redis://u:hunter2/x@h'", "url: 'redis://u/hunter2@h'", "url: 'redis://h password:hunter2'", "url: [hunter2]",
			"addresses: hunter2", "addresses: ['redis://u:hunter2@h:1']", "addresses: ['u:hunter2@h:1']", "addresses: ['redis://h:hunter2']",
			"jwks: 'ftp://u:hunter2@h'", "keys: hunter2", "keys: {hunter2: x}", "nodes: ['u:hunter2@h']", "advertise: 'u:hunter2@h'",
		} {
			files = append(files, strings.Replace(section, "%s", member, 1))
		}
		files = append(files, section[:strings.LastIndex(section, "{%s")]+secret+strings.Repeat("}", strings.Count(section, "{")-1))
	}
	files = append(files, "password: hunter2", "api_key: hunter2", "redis_url: 'redis://u:hunter2@h'", "ops: {bearer: hunter2}", "redis:\n  password:hunter2\n",
		"redis:\n  url: redis://h\n  password:hunter2\n", "redis:\n  url: redis://h\n    password:hunter2\n", "server: {origins: ['https://u:hunter2@h']}",
		"adapter: {kind: 'redis://u:hunter2@h'}")
	for _, file := range files {
		_, warnings, err := config.Load(config.Source{File: []byte(file)})
		shown := fmt.Sprint(warnings, err)
		// A name that is a secret is a key by its form, which has to be named.
		if strings.Contains(strings.ReplaceAll(shown, ".hunter2: unknown key", ""), secret) {
			t.Errorf("%s: %s", file, shown)
		}
	}
	for _, environ := range [][]string{
		{"CARILLON_REDIS_PASSWORD=hunter2", "CARILLON_LOG_LEVEL=x"}, {"CARILLON_REDIS_PASS=hunter2", "CARILLON_LOG_LEVEL=x"},
		{"CARILLON_REDIS_CLUSTER_ADDRESSES=u:hunter2@h:1"}, {"CARILLON_API_KEYS=hunter2", "CARILLON_API_ADDRESS=x"},
		{"CARILLON_SERVER_TLS_KEY_FILE=hunter2"}, {"CARILLON_REDIS_URL_FILE=redis://u:hunter2@h"},
	} {
		_, warnings, err := config.Load(config.Source{Environ: environ})
		if err == nil {
			t.Errorf("%s is accepted", environ)
		} else if shown := fmt.Sprint(warnings, err); strings.Contains(shown, secret) {
			t.Errorf("%s: %s", environ, shown)
		}
	}
}
