package chart

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A number that leaves the manifest counts as 1 in the API server. It leaves when a release of so many pods is handed to an
// autoscaler.
func TestUpgrade_HandingOverToAnAutoscalerKeepsThePods(t *testing.T) {
	fixed := `{"metadata": {"name": "carillon", "annotations": {"carillon.io/replicas-in-manifest": "true"}}, "spec": {"replicas": 7}}`
	scaled := `{"metadata": {"name": "carillon"}, "spec": {"replicas": 7}}`
	for _, c := range []struct {
		name   string
		values string
		live   string
		want   any
	}{
		{"to the chart's", "autoscaling.enabled=true", fixed, 7},
		{"to another", "replicaCount=null", fixed, 7},
		{"back", "replicaCount=3", scaled, 3},
		{"installed with one", "autoscaling.enabled=true", scaled, nil},
		{"a first installation", "autoscaling.enabled=true", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := renderAgainst(t, c.live, c.values, "devRedis.enabled=true")
			deployment := all.must(t, "Deployment", release)
			if got := deployment.at("spec", "replicas"); got != c.want {
				t.Errorf("the Deployment asks for %v replicas, want %v", got, c.want)
			}
			marked := deployment.at("metadata", "annotations", "carillon.io/replicas-in-manifest") == "true"
			if marked != (c.want != nil) {
				t.Errorf("marked as one that asks for replicas: %t", marked)
			}
		})
	}
}

// renderAgainst is render with a cluster to ask, which has this Deployment; empty: none.
func renderAgainst(t *testing.T, deployment string, values ...string) objects {
	t.Helper()
	mux := http.NewServeMux()
	reply := func(path, text string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(text))
		})
	}
	reply("GET /apis/apps/v1", `{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "apps/v1",
		"resources": [{"name": "deployments", "kind": "Deployment", "namespaced": true, "verbs": ["get"]}]}`)
	if deployment != "" {
		reply("GET /apis/apps/v1/namespaces/realtime/deployments/"+release,
			strings.Replace(deployment, "{", `{"kind": "Deployment", "apiVersion": "apps/v1", `, 1))
	}
	server := httptest.NewServer(mux)
	defer server.Close()

	file := filepath.Join(t.TempDir(), "kubeconfig")
	writeFile(t, file, `{"apiVersion": "v1", "kind": "Config", "current-context": "it", "contexts": [{"name": "it", "context": {"cluster": "it"}}],
		"clusters": [{"name": "it", "cluster": {"server": "`+server.URL+`"}}]}`)
	args := append(templateArgs(values), "--dry-run=server", "--kubeconfig", file)
	out, stderr, err := helm(t, args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	return parse(t, out)
}

// Helm does not remove hooks with the release, and says what one that failed has said only where it is told to.
func TestConfigCheck_GoesWhenItFailsAndSaysWhy(t *testing.T) {
	annotations := asObject(render(t).must(t, "Job", release+"-config-check").at("metadata", "annotations"))
	policies, _ := annotations["helm.sh/hook-delete-policy"].(string)
	if want := []string{"before-hook-creation", "hook-succeeded", "hook-failed"}; !slices.Equal(strings.Split(policies, ","), want) {
		t.Errorf("it is deleted for %q, want %q", policies, want)
	}
	if got := annotations["helm.sh/hook-output-log-policy"]; got != "hook-failed" {
		t.Errorf("its log is printed for %v", got)
	}
}

// A ConfigMap takes four times what a pod's annotations do, and has to be there before the Job.
func TestConfigCheck_ReadsAConfigMapOfItsOwn(t *testing.T) {
	all := render(t, "config.log.level=debug")
	copied := all.must(t, "ConfigMap", release+"-config-check")
	installed, _ := all.must(t, "ConfigMap", release).at("data", "carillon.yaml").(string)
	if checked, _ := copied.at("data", "carillon.yaml").(string); checked == "" || checked != strings.TrimSpace(installed) {
		t.Errorf("checked is %q, installed %q", checked, installed)
	}
	weight := asObject(copied.at("metadata", "annotations"))["helm.sh/hook-weight"]
	if weight != "-1" {
		t.Errorf("weight %v, want -1: before the Job", weight)
	}
}
