package config_test

import (
	"encoding"
	"io/fs"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/config"
)

// settings walks the configuration as a reader of its key tags would, independently of the package, and calls visit
// with the names that lead to each setting.
func settings(v reflect.Value, names []string, visit func(names []string, v reflect.Value)) {
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("key"), ",")
		field, path := v.Field(i), append(names[:len(names):len(names)], name)
		_, scalar := field.Addr().Interface().(encoding.TextUnmarshaler)
		if field.Kind() == reflect.Struct && !scalar {
			settings(field, path, visit)
		} else {
			visit(path, field)
		}
	}
}

// sample returns a text that is of the setting's type and not its default.
func sample(v reflect.Value) string {
	switch v.Interface().(type) {
	case time.Duration:
		return "42s"
	case bool:
		if v.Bool() {
			return "false"
		}
		return "true"
	case int, config.Size, config.Share:
		return "4242"
	case []netip.Prefix:
		return "10.0.0.0/8, fd00::/8"
	case map[string]config.Route:
		return `{"orders": {"partitions": 3}}`
	case map[string]config.Namespace:
		return "/chat:\n  rules:\n    - event: hello\n"
	}
	if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct {
		return `[{"rooms": ["chat:*"]}]`
	}
	if v.Kind() == reflect.Slice {
		return "one, two"
	}
	return "something else"
}

func TestEnvironment_ReachesEverySetting(t *testing.T) {
	defaults := config.Default()
	count := 0
	settings(reflect.ValueOf(&defaults).Elem(), nil, func(names []string, usual reflect.Value) {
		count++
		variable := "CARILLON_" + strings.ToUpper(strings.Join(names, "_"))
		// A sample may be refused for its meaning, but the value is taken over before that is looked at.
		cfg, warnings, _ := config.Load(config.Source{Environ: []string{variable + "=" + sample(usual)}})
		for _, w := range warnings {
			if strings.Contains(w.Message, "unknown") {
				t.Errorf("%s: %v", variable, w)
			}
		}
		found := false
		settings(reflect.ValueOf(&cfg).Elem(), nil, func(path []string, got reflect.Value) {
			if reflect.DeepEqual(path, names) {
				found = !reflect.DeepEqual(got.Interface(), usual.Interface())
			}
		})
		if !found {
			t.Errorf("%s changes nothing", variable)
		}
	})
	if count < 70 {
		t.Errorf("only %d settings were found", count)
	}
}

func TestEnvironment_ReadsEveryTextFromAFile(t *testing.T) {
	defaults := config.Default()
	settings(reflect.ValueOf(&defaults).Elem(), nil, func(names []string, v reflect.Value) {
		if v.Kind() != reflect.String {
			return
		}
		variable := "CARILLON_" + strings.ToUpper(strings.Join(names, "_")) + "_FILE"
		cfg, _, _ := config.Load(config.Source{
			Environ: []string{variable + "=/run/secret"},
			ReadFile: func(name string) ([]byte, error) {
				if name != "/run/secret" {
					t.Errorf("%s: asked for %q", variable, name)
				}
				return []byte("from a file\r\n"), nil
			},
		})
		settings(reflect.ValueOf(&cfg).Elem(), nil, func(path []string, got reflect.Value) {
			if reflect.DeepEqual(path, names) && strings.TrimSuffix(got.String(), "/") != "from a file" &&
				got.Convert(reflect.TypeFor[string]()).String() != "from a file" {
				t.Errorf("%s: got %q", variable, got.String())
			}
		})
	})
}

func TestEnvironment_FileVariableFaults(t *testing.T) {
	read := func(name string) ([]byte, error) {
		if name == "/run/binary" || name == "hunter3" {
			return []byte{0xff}, nil
		}
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	for _, c := range []struct {
		environ []string
		want    string
	}{
		{[]string{"CARILLON_REDIS_PASSWORD_FILE=/run/gone"},
			"CARILLON_REDIS_PASSWORD_FILE: redis.password: the value's file cannot be read: open /run/gone: file does not exist"},
		{[]string{"CARILLON_REDIS_PASSWORD_FILE=hunter2"},
			"CARILLON_REDIS_PASSWORD_FILE: redis.password: the value's file cannot be read: open ********: file does not exist"},
		{[]string{"CARILLON_REDIS_PASSWORD_FILE=/run/binary"},
			"CARILLON_REDIS_PASSWORD_FILE: redis.password: the content of /run/binary is not UTF-8"},
		{[]string{"CARILLON_REDIS_PASSWORD_FILE=hunter3"},
			"CARILLON_REDIS_PASSWORD_FILE: redis.password: the content of ******** is not UTF-8"},
		{[]string{"CARILLON_REDIS_PASSWORD_FILE=/run/gone", "CARILLON_REDIS_PASSWORD=x"},
			"CARILLON_REDIS_PASSWORD_FILE: redis.password: CARILLON_REDIS_PASSWORD is set as well; set one of the two"},
		{[]string{"CARILLON_REDIS_PASSWORD=\xff"}, "CARILLON_REDIS_PASSWORD: redis.password: is not UTF-8"},
	} {
		assertLines(t, faultsOf(t, config.Source{Environ: c.environ, ReadFile: read}), c.want)
	}
}

func TestEnvironment_EmptyVariableIsNotSet(t *testing.T) {
	cfg, warnings, err := config.Load(config.Source{
		File: []byte("log: {level: warn}"),
		Environ: []string{
			"CARILLON_LOG_LEVEL=", "CARILLON_LOG_LEVEL_FILE=", "CARILLON_NO_SUCH_THING=", "CARILLON_NAMESPACES=",
		},
	})
	if err != nil || len(warnings) > 0 || cfg.Log.Level != "warn" {
		t.Errorf("level %q, warnings %v, error %v", cfg.Log.Level, warnings, err)
	}
}

func TestEnvironment_ListsAreCommaSeparated(t *testing.T) {
	cfg := mustLoad(t, config.Source{
		File:    []byte("server: {origins: [https://one.example, https://two.example, https://three.example]}"),
		Environ: []string{"CARILLON_SERVER_ORIGINS=https://a.example, https://b.example,,"},
	})
	want := []string{"https://a.example", "https://b.example"}
	if !reflect.DeepEqual(cfg.Server.Origins, want) {
		t.Errorf("got %q, want %q", cfg.Server.Origins, want)
	}
}

func TestEnvironment_NamespacesAreOneDocument(t *testing.T) {
	for _, document := range []string{
		`{"/chat": {"rules": [{"event": "say", "deny": "no"}]}}`,
		"/chat:\n  rules:\n    - event: say\n      deny: \"no\"\n",
	} {
		cfg := mustLoad(t, config.Source{
			File:    []byte("namespaces: {/file: {}}"),
			Environ: []string{"CARILLON_NAMESPACES=" + document},
		})
		if _, fromFile := cfg.Namespaces["/file"]; fromFile || len(cfg.Namespaces) != 2 {
			t.Errorf("the document does not replace the file's namespaces: %v", cfg.Namespaces)
		}
		rules := cfg.Namespaces["/chat"].Rules
		if len(rules) != 1 || rules[0].Deny.Text != "no" || rules[0].Deny.Line != 0 {
			t.Errorf("%s: got %+v", document, rules)
		}
	}
	assertLines(t, faultsOf(t, config.Source{Environ: []string{"CARILLON_NAMESPACES={/a: {rule: []}}"}}),
		`CARILLON_NAMESPACES: namespaces["/a"].rule: unknown key; the nearest valid name is namespaces["/a"].rules`)
	assertLines(t, faultsOf(t, config.Source{Environ: []string{"CARILLON_NAMESPACES=[a]"}}),
		`CARILLON_NAMESPACES: namespaces: must be keys and values, not a list`)
}

func TestEnvironment_UnknownVariableIsOneWarning(t *testing.T) {
	_, warnings, err := config.Load(config.Source{Environ: []string{
		"CARILLON_REDIS_URI=redis://localhost", "CARILLON_REDIS_PWD=x", "CARILLON_LOGLEVEL=debug", "CARILLONS=2", "PATH=/bin",
		"carillon_log_level=debug",
	}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range warnings {
		got = append(got, w.String())
	}
	assertLines(t, got,
		"CARILLON_LOGLEVEL: unknown variable; the nearest valid name is CARILLON_LOG_LEVEL",
		"CARILLON_REDIS_PWD: unknown variable; the nearest valid name is CARILLON_REDIS_PASSWORD",
		"CARILLON_REDIS_URI: unknown variable; the nearest valid name is CARILLON_REDIS_URL")
}

func TestEnvironment_ServiceLinksArePassedOver(t *testing.T) {
	_, warnings, err := config.Load(config.Source{Environ: []string{
		"CARILLON_PORT=tcp://10.0.0.1:8080",
		"CARILLON_SERVICE_HOST=10.0.0.1",
		"CARILLON_SERVICE_PORT=8080",
		"CARILLON_SERVICE_PORT_HTTP=8080",
		"CARILLON_PORT_8080_TCP=tcp://10.0.0.1:8080",
		"CARILLON_PORT_8080_TCP_PROTO=tcp",
		"CARILLON_PORT_8080_TCP_PORT=8080",
		"CARILLON_PORT_8080_TCP_ADDR=10.0.0.1",
		"CARILLON_GATEWAY_SERVICE_HOST=10.0.0.1",
		"CARILLON_REDIS_PORT=tcp://10.0.0.2:6379",
		"CARILLON_REDIS_SERVICE_PORT_REDIS=6379",
		"CARILLON_OPS_PORT_9090_UDP_ADDR=10.0.0.3",
	}})
	if err != nil || len(warnings) > 0 {
		t.Errorf("warnings %v, error %v", warnings, err)
	}
	_, warnings, _ = config.Load(config.Source{Environ: []string{"CARILLON_PORT=8080"}})
	if len(warnings) != 1 {
		t.Errorf("CARILLON_PORT=8080 is a person's mistake: %v", warnings)
	}
}
