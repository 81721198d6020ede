package config_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/config"
)

func TestRestartKeys_NamesWhatAReloadCannotChange(t *testing.T) {
	live := []string{
		"server.tls.", "limits.", "auth.jwt.", "routes", "namespaces", "log.level", "api.keys",
	}
	defaults := config.Default()
	settings(reflect.ValueOf(&defaults).Elem(), nil, func(names []string, usual reflect.Value) {
		key := strings.Join(names, ".")
		changed, _, _ := config.Load(config.Source{
			Environ: []string{"CARILLON_" + strings.ToUpper(strings.Join(names, "_")) + "=" + sample(usual)},
		})
		if key != "adapter.kind" && changed.Adapter.Kind != "" {
			// What Load chooses by itself is not the subject.
			changed.Adapter.Kind = defaults.Adapter.Kind
		}
		want := []string{key}
		for _, prefix := range live {
			if strings.HasPrefix(key, prefix) {
				want = nil
			}
		}
		if got := config.RestartKeys(defaults, changed); !reflect.DeepEqual(got, want) {
			t.Errorf("%s changed: got %q, want %q", key, got, want)
		}
	})
	if keys := config.RestartKeys(defaults, config.Default()); keys != nil {
		t.Errorf("nothing changed: got %q", keys)
	}
}
