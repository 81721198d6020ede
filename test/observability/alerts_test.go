package observability

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const alertTests = "alerts_test.yaml"

type rule struct {
	Alert       string
	Expr        string
	Labels      map[string]string
	Annotations map[string]string
}

func alertRules(t *testing.T) []rule {
	t.Helper()
	var file struct{ Groups []struct{ Rules []rule } }
	if err := yaml.Unmarshal([]byte(read(t, alertsFile)), &file); err != nil {
		t.Fatal(err)
	}
	var rules []rule
	for _, group := range file.Groups {
		rules = append(rules, group.Rules...)
	}
	if len(rules) == 0 {
		t.Fatal("no rules")
	}
	return rules
}

func TestAlerts_FireWhenTheyShouldAndStaySilentOtherwise(t *testing.T) {
	said, err := exec.Command("promtool", "test", "rules", alertTests).CombinedOutput()
	if err != nil {
		t.Errorf("promtool: %v\n%s", err, said)
	}
}

func TestAlerts_EachIsTestedFiringAndSilent(t *testing.T) {
	var file struct {
		Tests []struct {
			Alerts []struct {
				Name     string `yaml:"alertname"`
				Expected []struct {
					Labels map[string]string `yaml:"exp_labels"`
				} `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, alertTests)), &file); err != nil {
		t.Fatal(err)
	}
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, test := range file.Tests {
		for _, alert := range test.Alerts {
			seen := map[string]bool{}
			for _, expected := range alert.Expected {
				severity := expected.Labels["severity"]
				fires[alert.Name+severity], seen[severity] = true, true
			}
			for _, severity := range []string{"critical", "warning"} {
				silent[alert.Name+severity] = silent[alert.Name+severity] || !seen[severity]
			}
		}
	}
	for _, r := range alertRules(t) {
		if key := r.Alert + r.Labels["severity"]; !fires[key] || !silent[key] {
			t.Errorf("%s (%s): tested firing %t, silent %t", r.Alert, r.Labels["severity"], fires[key], silent[key])
		}
	}
}

func TestAlerts_TellWhatToDo(t *testing.T) {
	runbooks := read(t, runbooksFile)
	for _, r := range alertRules(t) {
		if severity := r.Labels["severity"]; severity != "critical" && severity != "warning" {
			t.Errorf("%s: severity %q", r.Alert, severity)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s lacks a summary or a description", r.Alert)
		}
		want := "https://github.com/carillon-io/carillon/blob/main/docs/runbooks.md#" + strings.ToLower(r.Alert)
		if got := r.Annotations["runbook_url"]; got != want {
			t.Errorf("%s: runbook_url %q, want %q", r.Alert, got, want)
		}
		if !strings.Contains(runbooks, "\n## "+r.Alert+"\n") {
			t.Errorf("%s has no section in %s", r.Alert, runbooksFile)
		}
	}
	for _, heading := range regexp.MustCompile(`(?m)^## (Carillon\w+)$`).FindAllStringSubmatch(runbooks, -1) {
		if !strings.Contains(read(t, alertsFile), "alert: "+heading[1]+"\n") {
			t.Errorf("%s in %s is no alert", heading[1], runbooksFile)
		}
	}
}

// unbuilt are metrics of the contract whose parts do not exist yet: an alert on them is silent.
var unbuilt []string

var metricName = regexp.MustCompile(`carillon_\w+`)

func TestAlerts_AreOnMetricsThatNodesHave(t *testing.T) {
	_, b := startCluster(t)
	text, _ := scrape(t, b)
	for _, name := range unbuilt {
		if strings.Contains(text, name) {
			t.Errorf("%s exists by now", name)
		}
		text += "\n" + name + " 0"
	}
	for _, r := range alertRules(t) {
		for _, name := range metricName.FindAllString(r.Expr, -1) {
			if !regexp.MustCompile(`(?m)^` + name + `[ {]`).MatchString(text) {
				t.Errorf("%s is on %s, which a node with everything does not have", r.Alert, name)
			}
		}
	}
}
