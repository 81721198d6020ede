package config_test

import (
	"os"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/config"
)

// FuzzLoad checks that no file or environment causes a panic, and that what is accepted survives being printed and
// loaded.
func FuzzLoad(f *testing.F) {
	for _, name := range []string{"testdata/defaults.yaml", "testdata/policy.yaml", "testdata/built.yaml"} {
		content, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content, "")
	}
	f.Add([]byte("a: &a [*a]"), "CARILLON_NAMESPACES={/: {rules: [{event: a}]}}\nCARILLON_LOG_LEVEL=debug")
	f.Add([]byte("? {a: b}\n: c\n"), "CARILLON_ROUTES=[\nCARILLON_REDIS_PASSWORD_FILE=x\nCARILLON_PORT=tcp://x")
	f.Add([]byte("namespaces: {/: {rules: [{event: a, ack: [0x1F, .5, 1e999, !!int x, !!float true, 2026-01-01]}]}}"),
		"=\nCARILLON_")
	f.Fuzz(func(t *testing.T, file []byte, environ string) {
		source := config.Source{
			File:     file,
			Environ:  strings.Split(environ, "\n"),
			ReadFile: func(name string) ([]byte, error) { return []byte(name), nil },
		}
		cfg, _, err := config.Load(source)
		if err != nil {
			return
		}
		text := printed(t, cfg)
		again, _, err := config.Load(config.Source{File: []byte(text)})
		if err != nil {
			t.Fatalf("printed:\n%s\nis refused: %v", text, err)
		}
		if second := printed(t, again); second != text {
			t.Fatalf("printed:\n%s\nafter loading that:\n%s", text, second)
		}
	})
}
