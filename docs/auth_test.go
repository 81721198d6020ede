package docs_test

import (
	"os"
	"testing"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/policy"
)

func TestAuth_ItsConfigurationsLoad(t *testing.T) {
	page, err := os.ReadFile("auth.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, block := range fenced.FindAllSubmatch(page, -1) {
		if string(block[1]) != "yaml" {
			continue
		}
		found++
		_, warnings, err := config.Load(config.Source{Name: "auth.md", File: block[2], Rules: policy.Check})
		if err != nil || len(warnings) > 0 {
			t.Errorf("%v %v\n%s", err, warnings, block[2])
		}
	}
	if found == 0 {
		t.Error("no configuration")
	}
}
