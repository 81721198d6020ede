package results_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/carillon-io/carillon/test/bench/results"
)

func TestRun_MediansOverTheRoundsThatSucceeded(t *testing.T) {
	name := filepath.Join(t.TempDir(), "results.jsonl")
	text := `{"cpu":"a CPU","cores":4}
{"scenario":"echo","peer":"node","round":1,"values":{"req_s":30}}
{"scenario":"echo","peer":"node","round":2,"values":{"req_s":10}}
{"scenario":"echo","peer":"node","round":3,"error":"refused"}
{"scenario":"grow","peer":"node","round":1,"at":100,"values":{"x":1}}
{"scenario":"grow","peer":"node","round":1,"at":10,"values":{"x":0}}
`
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run, err := results.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	if run.Conditions.CPU != "a CPU" || run.Conditions.Cores != 4 {
		t.Errorf("conditions %+v", run.Conditions)
	}
	if m, ok := run.Median("echo", "node", 0, "req_s"); m != 20 || !ok {
		t.Errorf("median of two is %v, %v", m, ok)
	}
	if _, ok := run.Median("echo", "carillon", 0, "req_s"); ok {
		t.Error("a median of nothing")
	}
	if m, ok := run.Median("grow", "node", 10, "x"); m != 0 || !ok {
		t.Errorf("median of a zero is %v, %v", m, ok)
	}
	if steps := run.Steps("grow"); !slices.Equal(steps, []float64{10, 100}) {
		t.Errorf("steps %v", steps)
	}
}

// What was measured again takes the place of what was measured before, unless it failed.
func TestRead_TakesTheLastGoodResultOfALoad(t *testing.T) {
	name := filepath.Join(t.TempDir(), "results.jsonl")
	text := `{}
{"scenario":"echo","peer":"node","round":1,"values":{"req_s":1}}
{"scenario":"echo","peer":"node","round":2,"values":{"req_s":10}}
{"scenario":"echo","peer":"node","round":1,"values":{"req_s":2}}
{"scenario":"echo","peer":"node","round":2,"error":"refused"}
{"scenario":"churn","peer":"node","round":1,"error":"refused"}
{"scenario":"churn","peer":"node","round":1,"error":"reset"}
`
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run, err := results.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	if got := run.Values("echo", "node", 0, "req_s"); !slices.Equal(got, []float64{2, 10}) {
		t.Errorf("values %v", got)
	}
	if n := len(run.Results); n != 3 || run.Results[n-1].Error != "reset" {
		t.Errorf("results %+v", run.Results)
	}
}

func TestConditions_MergeNamesBothVersions(t *testing.T) {
	was := results.Conditions{Date: "2026-01-01", Cores: 2, Versions: map[string]string{"Carillon": "a", "Go": "1"}}
	now := results.Conditions{Date: "2026-01-02", Cores: 2, Versions: map[string]string{"Carillon": "b", "Go": "1"}}
	merged, err := was.Merge(now)
	if err != nil || merged.Date != now.Date || merged.Versions["Carillon"] != "a and b" || merged.Versions["Go"] != "1" {
		t.Errorf("%+v, %v", merged, err)
	}
	if again, err := merged.Merge(now); err != nil || again.Versions["Carillon"] != "a and b" {
		t.Errorf("%+v, %v", again, err)
	}
	now.Cores = 4
	if _, err := was.Merge(now); err == nil {
		t.Error("results of two machines are merged")
	}
}

func TestRead_NamesTheLineThatIsNoResult(t *testing.T) {
	name := filepath.Join(t.TempDir(), "results.jsonl")
	if err := os.WriteFile(name, []byte("{}\n{}\nx\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := results.Read(name); err == nil || err.Error()[:len(name)+3] != name+":3:" {
		t.Errorf("error %v", err)
	}
}

func TestConditions_OneServerCore(t *testing.T) {
	for _, c := range []struct {
		cores   int
		servers string
		want    bool
	}{{1, "", true}, {2, "0", true}, {4, "0,1", false}, {8, "0-1", false}, {0, "", false}} {
		if got := (results.Conditions{Cores: c.cores, ServerCores: c.servers}).OneServerCore(); got != c.want {
			t.Errorf("%d cores, servers on %q: %v", c.cores, c.servers, got)
		}
	}
}
