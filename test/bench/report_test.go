package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/test/bench/results"
)

func measured(values ...results.Result) results.Run { return results.Run{Results: values} }

func result(scenario, peer string, at float64, field string, value float64) results.Result {
	return results.Result{Scenario: scenario, Peer: peer, Round: 1, At: at, Values: map[string]float64{field: value}}
}

func row(t *testing.T, run results.Run, begins string) string {
	t.Helper()
	for line := range strings.Lines(string(report(run))) {
		if strings.HasPrefix(line, begins) {
			return strings.TrimSpace(line)
		}
	}
	t.Fatalf("no line %q in\n%s", begins, report(run))
	return ""
}

func TestReport_SaysWhatIsReached(t *testing.T) {
	for _, c := range []struct {
		ours    float64
		ratio   string
		reached string
	}{
		{3000, "3", "goal"}, {2600, "2.6", "floor"}, {2400, "2.4", "**missed**"},
	} {
		run := measured(result("echo", node, 0, "req_s", 1000), result("echo", carillon, 0, "req_s", c.ours))
		got := row(t, run, "| echo | acknowledgements/s")
		if !strings.HasSuffix(got, "| "+c.ratio+" | ≥ 2.5 × | ≥ 2.8 × | "+c.reached+" |") {
			t.Errorf("%v: %s", c.ours, got)
		}
	}
}

// With one core for the server some floors are ratios to the bare server, which cannot reach the others itself.
func TestReport_JudgesBesideTheBareServerWhereServersHaveOneCore(t *testing.T) {
	for _, c := range []struct {
		scenario, figure, field string
		node, epoll, ours       float64
		row                     string // what it ends with
	}{
		{"echo", "acknowledgements/s", "req_s", 1000, 2000, 1800, "| 1.8 | ≥ 0.75 × epoll | ≥ 0.9 × epoll | goal |"},
		{"echo", "acknowledgements/s", "req_s", 1000, 2000, 1500, "| 1.5 | ≥ 0.75 × epoll | ≥ 0.9 × epoll | floor |"},
		{"echo", "acknowledgements/s", "req_s", 1000, 2000, 1400, "| 1.4 | ≥ 0.75 × epoll | ≥ 0.9 × epoll | **missed** |"},
		{"rooms", "deliveries/s", "deliveries_s", 100, 640, 320, "| 3.2 | ≥ 0.5 × epoll | ≥ 0.75 × epoll | floor |"},
		{"rooms", "deliveries/s", "deliveries_s", 100, 640, 300, "| 3 | ≥ 0.5 × epoll | ≥ 0.75 × epoll | **missed** |"},
		{"fixed", "p99 ms", "lat_p99_ms", 10, 10, 11, "| 1.1 | ≤ 1.25 × epoll | ≤ 1.1 × epoll | goal |"},
		{"fixed", "p99 ms", "lat_p99_ms", 10, 10, 12, "| 1.2 | ≤ 1.25 × epoll | ≤ 1.1 × epoll | floor |"},
		{"fixed", "p99 ms", "lat_p99_ms", 10, 10, 13, "| 1.3 | ≤ 1.25 × epoll | ≤ 1.1 × epoll | **missed** |"},
		{"fixed", "CPU s per million", "cpu_s_per_M", 10, 8, 9, "| 0.9 | ≤ 0.8 × | ≤ 0.7 × | **missed** |"}, // the bare server reaches it
	} {
		run := measured(result(c.scenario, node, 0, c.field, c.node), result(c.scenario, epoll, 0, c.field, c.epoll),
			result(c.scenario, carillon, 0, c.field, c.ours))
		run.Conditions = results.Conditions{Cores: 2, ServerCores: "0", LoadCores: "1"}
		if got := row(t, run, "| "+c.scenario+" | "+c.figure); !strings.HasSuffix(got, c.row) {
			t.Errorf("%v: %s", c.ours, got)
		}
	}
}

func TestReport_SaysWhichFloorsOneCoreChanges(t *testing.T) {
	run := measured(result("echo", node, 0, "req_s", 1000), result("echo", carillon, 0, "req_s", 1600),
		results.Result{Scenario: "echo", Peer: epoll, Round: 1, Values: map[string]float64{"req_s": 2000, "generator_limited": 1}})
	const header = "| scenario | figure | floor and goal with two cores |"
	run.Conditions.ServerCores = "0,1"
	if bytes.Contains(report(run), []byte(header)) {
		t.Error("with two cores for the server, too")
	}
	run.Conditions.ServerCores = "0"
	want := "| echo | acknowledgements/s | ≥ 2.5 ×, ≥ 2.8 × | at least 2 × | ≥ 0.75 × epoll, ≥ 0.9 × epoll | 0.8 × |"
	if got := row(t, run, "| echo | acknowledgements/s | ≥"); got != want {
		t.Error(got)
	}
}

// Without the bare server in the run nothing can be said of what is beside it.
func TestReport_JudgesNothingBesideABareServerThatIsMissing(t *testing.T) {
	run := measured(result("echo", node, 0, "req_s", 1000), result("echo", carillon, 0, "req_s", 3000))
	run.Conditions.ServerCores = "0"
	if got := row(t, run, "| echo | acknowledgements/s"); !strings.HasSuffix(got, "| 3 | ≥ 0.75 × epoll | ≥ 0.9 × epoll |  |") {
		t.Error(got)
	}
}

func TestReport_NamesLoadsThatDidNotHoldAndThoseThatOthersDisturbed(t *testing.T) {
	late := func(scenario, peer string, values map[string]float64) results.Result {
		return results.Result{Scenario: scenario, Peer: peer, Round: 1, Values: values}
	}
	run := measured(late("large-deflate", node, map[string]float64{"ok": 0, "server_cores": .982}),
		late("large", carillon, map[string]float64{"ok": 1, "foreign_cores": 1.36}), late("fixed", carillon, map[string]float64{"ok": 1, "foreign_cores": .1}))
	if got := row(t, run, "- large-deflate on node"); got != "- large-deflate on node, round 1, whose server took 0.98 of a core" {
		t.Error(got)
	}
	if got := row(t, run, "- large on carillon"); got != "- large on carillon, round 1" {
		t.Error(got)
	}
	if bytes.Contains(report(run), []byte("- fixed on carillon")) {
		t.Error("fixed is named")
	}
}

func TestReport_HasTheLatencyBetweenNodes(t *testing.T) {
	for _, scenario := range []string{"cluster-latency", "cross-node"} {
		for field, figure := range map[string]string{"cross_p50_ms": "p50 ms", "cross_p99_ms": "p99 ms", "cross_p999_ms": "p99.9 ms"} {
			run := measured(result(scenario, carillon, 0, field, 0.25))
			if got := row(t, run, "| "+scenario+" | "+figure+" between nodes"); !strings.Contains(got, "| 0.25 |") {
				t.Errorf("%s", got)
			}
		}
	}
}

func TestReport_JudgesWhatIsBetterWhenLow(t *testing.T) {
	for ours, reached := range map[float64]string{1.9: "goal", 4: "floor", 7: "**missed**"} {
		run := measured(result("idle", node, 0, "rss_per_conn_kb", 15), result("idle", carillon, 0, "rss_per_conn_kb", ours))
		if got := row(t, run, "| idle | RSS"); !strings.HasSuffix(got, "| ≤ 0.4 × | ≤ 2 | "+reached+" |") {
			t.Errorf("%v: %s", ours, got)
		}
	}
	for ours, reached := range map[float64]string{90: "floor", 110: "**missed**"} {
		run := measured(result("fanout", node, 0, "lat_p99_ms", 10), result("fanout", carillon, 0, "lat_p99_ms", ours))
		if got := row(t, run, "| fanout | p99"); !strings.HasSuffix(got, reached+" |") {
			t.Errorf("%v: %s", ours, got)
		}
	}
}

func TestReport_TakesTheMedianAndShowsTheSpread(t *testing.T) {
	run := measured()
	for _, v := range []float64{3000, 1000, 2000} {
		run.Results = append(run.Results, result("echo", node, 0, "req_s", v), result("echo", carillon, 0, "req_s", 4*v))
	}
	if got := row(t, run, "| echo | acknowledgements/s"); !strings.Contains(got, "| 2,000 (1,000 – 3,000) |") || !strings.Contains(got, "| 4 |") {
		t.Error(got)
	}
}

func TestReport_SetsAnOptionBesideTheLoadWithoutIt(t *testing.T) {
	run := measured(result("fixed", node, 0, "cpu_s_per_M", 10), result("fixed-tls", node, 0, "cpu_s_per_M", 15),
		result("fixed", carillon, 0, "cpu_s_per_M", 8), result("fixed-tls", carillon, 0, "cpu_s_per_M", 10))
	got := row(t, run, "| TLS: one to a room of 1,000, 40 times a second | CPU s per million")
	if !strings.HasSuffix(got, "| 10 | 15 | 1.5 | 8 | 10 | 1.25 |") {
		t.Error(got)
	}
	if bytes.Contains(report(run), []byte("| fixed-tls |")) {
		t.Error("it is in the comparison, too")
	}
}

func TestReport_MarksPausesAboveTheGoal(t *testing.T) {
	run := measured(
		results.Result{Scenario: "idle", Peer: carillon, Round: 1, Values: map[string]float64{"gc_pause_max_ms": 2.5, "gc_pause_median_ms": .5}},
		results.Result{Scenario: "gc", Peer: carillon, Round: 1, At: 1000, Values: map[string]float64{"gc_pause_max_ms": 1.5, "gc_pause_median_ms": .1}})
	for begins, want := range map[string]string{"| idle |": "| idle | **2.5** | 0.5 |", "| gc, 1,000": "| gc, 1,000 connections | 1.5 | 0.1 |"} {
		if got := row(t, run, begins); got != want {
			t.Error(got)
		}
	}
}

func TestReport_CountsWhatAPublishTakesOnEachHop(t *testing.T) {
	run := measured(results.Result{Scenario: "nodes", Peer: carillon, Round: 1, At: 2, Values: map[string]float64{
		"published_s": 2000, "dur_s": 8, "server_cpu_s": 4, "server_wakeups_s": 8000, "server_reads_s": 9000, "server_writes_s": 18_000,
		"aux_cpu_s": .8, "aux_wakeups_s": 2000, "aux_reads_s": 2200, "aux_writes_s": 6000}})
	for begins, want := range map[string]string{
		"| 2 | Carillon | nodes": "| 2 | Carillon | nodes | 250 | 4 | 4.5 | 9 |",
		"| 2 | Carillon | Redis": "| 2 | Carillon | Redis | 50 | 1 | 1.1 | 3 |",
	} {
		if got := row(t, run, begins); got != want {
			t.Error(got)
		}
	}
}

func TestReport_SaysHowManyConnectionsThereWere(t *testing.T) {
	run := measured(result("scale", carillon, 0, "connections", 400_000), result("scale", carillon, 0, "kernel_kb_per_conn", 7.7))
	if got := row(t, run, "| connections held at once"); got != "| connections held at once | 400,000 |" {
		t.Error(got)
	}
	if bytes.Contains(report(measured()), []byte("How many connections")) {
		t.Error("a section without a measurement")
	}
}

// Without Node in the run nothing can be said to be reached, and what failed is named.
func TestReport_JudgesNothingWithoutNode(t *testing.T) {
	run := measured(result("echo", carillon, 0, "req_s", 1e6), results.Result{Scenario: "echo", Peer: node, Round: 1, Error: "refused"})
	if got := row(t, run, "| echo | acknowledgements/s"); !strings.HasSuffix(got, "| ≥ 2.8 × |  |") {
		t.Error(got)
	}
	if got := row(t, run, "- echo on node"); got != "- echo on node, round 1" {
		t.Error(got)
	}
}

func TestReport_NamesFiguresThatAreNoCeiling(t *testing.T) {
	run := measured(result("fanout", node, 0, "search_failed", 1), result("rooms", epoll, 0, "generator_limited", 1),
		result("echo", node, 0, "generator_limited", 0))
	for _, line := range []string{"- fanout on node", "- rooms on epoll"} {
		if got := row(t, run, line); got != line+", round 1" {
			t.Error(got)
		}
	}
	if bytes.Contains(report(run), []byte("- echo on node")) {
		t.Error("echo is named")
	}
}

func TestReport_ShowsHowMuchItGrows(t *testing.T) {
	run := measured(result("connections", carillon, 100, "cpu_s_per_M", 4), result("connections", carillon, 20_000, "cpu_s_per_M", 5),
		result("connections", node, 100, "cpu_s_per_M", 8))
	if got := row(t, run, "| 20,000"); got != "| 20,000 | – | – | – | 5 |" {
		t.Error(got)
	}
	if got := row(t, run, "Carillon: highest"); got != "Carillon: highest over lowest 1.25." {
		t.Error(got)
	}
}

func TestDocs_APlotOfWhatWasNotMeasuredIsRemoved(t *testing.T) {
	docs := t.TempDir()
	if err := os.Mkdir(filepath.Join(docs, "benchmarks"), 0o755); err != nil {
		t.Fatal(err)
	}
	stale := filepath.Join(docs, "benchmarks", "connections.svg")
	if err := os.WriteFile(stale, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeDocs(docs, measured(result("nodes", carillon, 2, "cpu_s_per_M", 40))); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stale); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(docs, "benchmarks", "nodes.svg")); err != nil {
		t.Error(err)
	}
}

// The report is what the results say, and is never edited.
func TestDocs_AreMadeFromTheResults(t *testing.T) {
	docs := filepath.Join("..", "..", "docs")
	run, err := results.Read(resultsFile(docs))
	if err != nil {
		t.Fatal(err)
	}
	files := plots(run)
	for name, want := range files {
		same(t, filepath.Join(docs, "benchmarks", name), want)
	}
	same(t, filepath.Join(docs, "benchmarks.md"), report(run))
	drawn, err := filepath.Glob(filepath.Join(docs, "benchmarks", "*.svg"))
	if err != nil || len(drawn) != len(files) {
		t.Errorf("%d plots in docs, %d from the results: %v", len(drawn), len(files), err)
	}
}

func same(t *testing.T, name string, want []byte) {
	t.Helper()
	if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what the results say: make bench-docs (%v)", name, err)
	}
}
