package observability

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/test/program"
)

type target struct {
	Expr   string
	Legend string `json:"legendFormat"`
}

type panel struct {
	ID          int
	Type        string
	Title       string
	Description string
	GridPos     struct{ X, Y, W, H int }
	Targets     []target
}

type dashboard struct {
	UID           string
	SchemaVersion int
	Templating    struct {
		List []struct {
			Name  string
			Query any
		}
	}
	Panels []panel
}

func loadDashboard(t *testing.T) dashboard {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal([]byte(read(t, dashboardFile)), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// empty are queries, by the title of their panel, that have nothing to tell where all is well.
var empty = map[string]string{
	"Time left to drain": "no node drains",
	"Time of a move":     "no session moves, for recovery is off",
	"Stored sessions":    "commands go through channels",
	"Keeping sessions":   "commands go through channels",
}

// once are queries that only one of the two nodes has something to tell of, with the filter of its job.
var once = map[string]string{
	"Certificate expires in": "TLS is on at one node",
}

// scrapes is how two nodes are found: as Prometheus does in Kubernetes, where targets have a label that is called
// namespace as one of Carillon's is, and as it does elsewhere.
const scrapes = `
global: {scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}
rule_files: [%q]
scrape_configs:
  - job_name: kubernetes
    static_configs: [{targets: [%q], labels: {namespace: realtime, pod: carillon-0}}]
  - job_name: plain
    static_configs: [{targets: [%q]}]
`

// prometheus answers queries about two gateways.
type prometheus struct{ url string }

func startPrometheus(t *testing.T) prometheus {
	t.Helper()
	a, b := startCluster(t)
	rules := program.WriteFile(t, "alerts.yaml", read(t, alertsFile))
	p := prometheus{"http://" + program.FreeAddress(t)}
	start(t, nil, "prometheus", "--config.file="+program.WriteFile(t, "prometheus.yml", fmt.Sprintf(scrapes, rules, a.ops, b.ops)),
		"--storage.tsdb.path="+t.TempDir(), "--web.listen-address="+strings.TrimPrefix(p.url, "http://"), "--log.level=warn")
	eventually(t, "prometheus scrapes both nodes", func() (bool, any) {
		result, err := p.query("count(rate(carillon_build_info[10s]))")
		return err == nil && len(result) == 1 && result[0].Value[1] == "2", err
	})
	return p
}

// result is one series of an answer.
type result struct {
	Metric map[string]string
	Value  [2]any
}

func (p prometheus) query(expr string) ([]result, error) {
	var answer struct {
		Status, Error string
		Data          struct{ Result []result }
	}
	if err := p.get("/api/v1/query?query="+url.QueryEscape(expr), &answer); err != nil {
		return nil, err
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("%s", answer.Error)
	}
	return answer.Data.Result, nil
}

func (p prometheus) get(path string, answer any) error {
	status, body := get(p.url + path)
	if status == 0 {
		return fmt.Errorf("%s", body)
	}
	return json.Unmarshal([]byte(body), answer)
}

var (
	variable    = regexp.MustCompile(`\$(\w+|\{\w+\})`)
	legendLabel = regexp.MustCompile(`\{\{(\w+)\}\}`)
)

// The checks against a live Prometheus share one, and its cluster: they only read.
func TestPrometheus(t *testing.T) {
	p := startPrometheus(t)
	t.Run("answers every query of the dashboard", func(t *testing.T) { everyQueryHasAnAnswer(t, p) })
	t.Run("has values for the dashboard's variables", func(t *testing.T) { variablesHaveValues(t, p) })
	t.Run("runs all alerts and none fires", func(t *testing.T) { alertsAreSilent(t, p) })
}

// everyQueryHasAnAnswer asks as Grafana would, once with the variables set to a node in Kubernetes and once to a node that
// is elsewhere.
func everyQueryHasAnAnswer(t *testing.T, p prometheus) {
	d := loadDashboard(t)
	for job, namespace := range map[string]string{"kubernetes": "realtime", "plain": ".*"} {
		values := strings.NewReplacer("$namespace", namespace, "$job", job, "$instance", ".*", "$__rate_interval", "10s")
		for _, panel := range d.Panels {
			for _, query := range panel.Targets {
				expr := values.Replace(query.Expr)
				if rest := variable.FindString(strings.ReplaceAll(expr, `"$1"`, "")); rest != "" {
					t.Errorf("%s: the variable %s is not one of the dashboard: %s", panel.Title, rest, expr)
				}
				if empty[panel.Title] != "" || once[panel.Title] != "" && job != "plain" {
					if got, err := p.query(expr); err != nil || len(got) > 0 {
						t.Errorf("%s has an answer though %s%s: %v %v", panel.Title, empty[panel.Title], once[panel.Title], got, err)
					}
					continue
				}
				var got []result
				eventually(t, fmt.Sprintf("%s for job %s: %s", panel.Title, job, expr), func() (bool, any) {
					var err error
					got, err = p.query(expr)
					return err == nil && len(got) > 0 && got[0].Value[1] != "NaN", fmt.Sprint(got, err)
				})
				for _, label := range legendLabel.FindAllStringSubmatch(query.Legend, -1) {
					if label[1] == "pod" && job == "plain" {
						continue // there are none outside Kubernetes
					}
					if i := slices.IndexFunc(got, func(r result) bool { return r.Metric[label[1]] == "" }); i >= 0 {
						t.Errorf("%s for job %s: the legend shows %s, which %v lacks", panel.Title, job, label[1], got[i].Metric)
					}
				}
			}
		}
	}
}

func variablesHaveValues(t *testing.T, p prometheus) {
	for name, want := range map[string]string{"namespace": "realtime", "job": "kubernetes", "instance": ""} {
		got, err := p.query("count by (" + name + ") (carillon_build_info)")
		if err != nil || !slices.ContainsFunc(got, func(r result) bool { return want == "" || r.Metric[name] == want }) {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
	var names []string
	for _, v := range loadDashboard(t).Templating.List {
		names = append(names, v.Name)
	}
	if want := []string{"datasource", "namespace", "job", "instance"}; !slices.Equal(names, want) {
		t.Errorf("variables %v, want %v", names, want)
	}
}

func TestDashboard_PanelsAreExplainedAndLieBesideEachOther(t *testing.T) {
	d := loadDashboard(t)
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("%s has the id of another panel, %d", p.Title, p.ID)
		}
		ids[p.ID] = true
		if p.Type != "row" && (p.Description == "" || len(p.Targets) == 0) {
			t.Errorf("%s has no description or no query", p.Title)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("%s lies on %s", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("%s leaves the grid", p.Title)
		}
	}
	if d.UID == "" || d.SchemaVersion < 39 {
		t.Errorf("uid %q, schema version %d", d.UID, d.SchemaVersion)
	}
}

// alertsAreSilent is what the unit tests of the alerts cannot see: they run on what nodes really show, and nodes which are
// well raise none.
func alertsAreSilent(t *testing.T, p prometheus) {
	type evaluated struct {
		Name, Health, State, LastError string
	}
	eventually(t, "all rules are evaluated", func() (bool, any) {
		var answer struct {
			Data struct{ Groups []struct{ Rules []evaluated } }
		}
		if err := p.get("/api/v1/rules", &answer); err != nil {
			return false, err
		}
		rules := 0
		for _, group := range answer.Data.Groups {
			for _, r := range group.Rules {
				if r.Health == "err" || r.State == "firing" {
					t.Errorf("%s: %s, %s %s", r.Name, r.State, r.Health, r.LastError)
				}
				if r.Health == "ok" && r.State == "inactive" {
					rules++
				}
			}
		}
		return rules == len(alertRules(t)), answer
	})
}
