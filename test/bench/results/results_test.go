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

func TestRead_NamesTheLineThatIsNoResult(t *testing.T) {
	name := filepath.Join(t.TempDir(), "results.jsonl")
	if err := os.WriteFile(name, []byte("{}\n{}\nx\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := results.Read(name); err == nil || err.Error()[:len(name)+3] != name+":3:" {
		t.Errorf("error %v", err)
	}
}
