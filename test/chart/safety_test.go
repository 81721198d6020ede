package chart

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
)

// The restricted level of the Pod Security Standards, for every pod the chart makes. What the standard leaves open, such as
// the kinds of volumes, the schema of the values does not.
func TestPods_PassTheRestrictedLevel(t *testing.T) {
	for name, values := range combinations {
		t.Run(name, func(t *testing.T) {
			pods := 0
			for _, o := range render(t, values...) {
				if spec := podSpec(o); spec != nil {
					pods++
					// Only a gateway that writes its pod's deletion cost has business with the API server.
					token := name == "pods that patch their cost" && o["kind"] == "Deployment"
					if got := spec["automountServiceAccountToken"]; got != token {
						t.Errorf("%v %v gets a token: %v", o["kind"], o.at("metadata", "name"), got)
					}
					checkRestricted(t, fmt.Sprintf("%v %v", o["kind"], o.at("metadata", "name")), spec)
				}
			}
			if pods < 2 {
				t.Errorf("%d pods, want the gateway and the test at least", pods)
			}
		})
	}
}

// podSpec returns the pod that an object makes; nil when it makes none.
func podSpec(o object) object {
	switch o["kind"] {
	case "Pod":
		return asObject(o["spec"])
	case "Deployment", "Job":
		return asObject(o.at("spec", "template", "spec"))
	}
	return nil
}

func checkRestricted(t *testing.T, name string, spec object) {
	t.Helper()
	for _, host := range []string{"hostNetwork", "hostPID", "hostIPC"} {
		if spec[host] != nil {
			t.Errorf("%s: %s is set", name, host)
		}
	}
	if spec["enableServiceLinks"] != false {
		t.Errorf("%s gets service links", name)
	}
	if uid, _ := spec.at("securityContext", "runAsUser").(int); spec.at("securityContext", "runAsNonRoot") != true || uid == 0 {
		t.Errorf("%s may run as root", name)
	}
	if spec.at("securityContext", "seccompProfile", "type") != "RuntimeDefault" {
		t.Errorf("%s has no seccomp profile", name)
	}
	volumes, _ := spec.at("volumes").([]any)
	for _, v := range volumes {
		for kind := range asObject(v) {
			if !slices.Contains([]string{"name", "configMap", "secret", "downwardAPI"}, kind) {
				t.Errorf("%s mounts a %s", name, kind)
			}
		}
	}
	containers, _ := spec.at("containers").([]any)
	first, _ := spec.at("initContainers").([]any)
	for _, c := range slices.Concat(containers, first) {
		container := asObject(c)
		want := map[string]any{
			"allowPrivilegeEscalation": false,
			"readOnlyRootFilesystem":   true,
			"capabilities":             map[string]any{"drop": []any{"ALL"}},
		}
		if got := map[string]any(asObject(container["securityContext"])); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s, container %v: %v, want %v", name, container["name"], got, want)
		}
		ports, _ := container.at("ports").([]any)
		for _, p := range ports {
			if asObject(p)["hostPort"] != nil {
				t.Errorf("%s has a port on the host", name)
			}
		}
	}
}

func TestRollout_NoPodLeavesBeforeItsSuccessorIsReady(t *testing.T) {
	strategy := render(t).must(t, "Deployment", release).at("spec", "strategy")
	want := object{"type": "RollingUpdate", "rollingUpdate": object{"maxUnavailable": 0, "maxSurge": 1}}
	if !reflect.DeepEqual(strategy, any(want)) {
		t.Errorf("the strategy is %v, want %v", strategy, want)
	}
}

func TestProbes_AskTheOpsPort(t *testing.T) {
	container := render(t).gateway(t)
	for probe, path := range map[string]string{"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"} {
		if container.at(probe, "httpGet", "path") != path || container.at(probe, "httpGet", "port") != "ops" {
			t.Errorf("%s asks %v", probe, container.at(probe, "httpGet"))
		}
	}
}

func TestMemory_GoHearsOfTheLimits(t *testing.T) {
	for limit, want := range map[string]string{
		"512Mi": "483183820", "2Gi": "1932735283", "1.5G": "1350000000", "300000000": "270000000", "1Ti": "989560464998", "100k": "90000",
	} {
		container := render(t, "resources.limits.memory="+limit).gateway(t)
		if got := container.env("GOMEMLIMIT")["value"]; got != want {
			t.Errorf("GOMEMLIMIT for %s is %v, want %s", limit, got, want)
		}
		if got := container.env("GOMAXPROCS").at("valueFrom", "resourceFieldRef", "resource"); got != "limits.cpu" {
			t.Errorf("GOMAXPROCS comes from %v", got)
		}
	}
	container := render(t, "resources.limits=null").gateway(t)
	if container.env("GOMEMLIMIT") != nil || container.env("GOMAXPROCS") != nil {
		t.Errorf("without limits there is %v", container["env"])
	}
}

func TestBudget_OnlyFromTwoReplicas(t *testing.T) {
	for _, c := range []struct {
		values []string
		want   bool
	}{
		{nil, false},
		{[]string{"replicaCount=2", "devRedis.enabled=true"}, true},
		{[]string{"replicaCount=2", "devRedis.enabled=true", "podDisruptionBudget.enabled=false"}, false},
		{[]string{"autoscaling.enabled=true", "devRedis.enabled=true"}, true},
		{[]string{"autoscaling.enabled=true", "autoscaling.minReplicas=1", "devRedis.enabled=true"}, false},
		{[]string{"replicaCount=null", "devRedis.enabled=true"}, true},
	} {
		if got := render(t, c.values...).find("PodDisruptionBudget", release) != nil; got != c.want {
			t.Errorf("with %q there is a budget: %t, want %t", c.values, got, c.want)
		}
	}
}

func TestReplicas_AreLeftToWhoScales(t *testing.T) {
	for _, values := range [][]string{{"autoscaling.enabled=true", "devRedis.enabled=true"}, {"replicaCount=null", "devRedis.enabled=true"}} {
		if got := render(t, values...).must(t, "Deployment", release).at("spec", "replicas"); got != nil {
			t.Errorf("with %q the Deployment asks for %v replicas", values, got)
		}
	}
}

func TestSpread_LeavesOutNodesThesePodsCannotRunOn(t *testing.T) {
	constraints, _ := render(t).must(t, "Deployment", release).at("spec", "template", "spec", "topologySpreadConstraints").([]any)
	if len(constraints) != 2 {
		t.Fatalf("%d constraints, want one for machines and one for zones", len(constraints))
	}
	for _, c := range constraints {
		if asObject(c)["nodeTaintsPolicy"] != "Honor" {
			t.Errorf("%v counts tainted nodes", c)
		}
	}
}

func TestPodDeletionCost_MayPatchPodsAndNothingElse(t *testing.T) {
	if render(t).find("Role", release) != nil {
		t.Error("a Role is there without the option")
	}
	all := render(t, "podDeletionCost.enabled=true")
	rules, _ := all.must(t, "Role", release).at("rules").([]any)
	want := map[string]any{"apiGroups": []any{""}, "resources": []any{"pods"}, "verbs": []any{"patch"}}
	if len(rules) != 1 || fmt.Sprint(map[string]any(asObject(rules[0]))) != fmt.Sprint(want) {
		t.Errorf("the Role allows %v, want %v", rules, want)
	}
	subjects, _ := all.must(t, "RoleBinding", release).at("subjects").([]any)
	if len(subjects) != 1 || asObject(subjects[0])["name"] != all.must(t, "Deployment", release).at("spec", "template", "spec", "serviceAccountName") {
		t.Errorf("it is given to %v", subjects)
	}
}

func TestStickiness_IsAnnotatedWhereTheControllerReadsIt(t *testing.T) {
	all := render(t, "ingress.enabled=true", "stickiness.controller=traefik", "stickiness.cookie=node")
	annotations := asObject(all.must(t, "Service", release).at("metadata", "annotations"))
	if annotations["traefik.ingress.kubernetes.io/service.sticky.cookie"] != "true" ||
		annotations["traefik.ingress.kubernetes.io/service.sticky.cookie.name"] != "node" {
		t.Errorf("the Service has %v", annotations)
	}
	all = render(t, "ingress.enabled=true", "stickiness.controller=ingress-nginx", "ingress.annotations.mine=kept")
	annotations = asObject(all.must(t, "Ingress", release).at("metadata", "annotations"))
	if annotations["nginx.ingress.kubernetes.io/affinity"] != "cookie" || annotations["mine"] != "kept" {
		t.Errorf("the Ingress has %v", annotations)
	}
	if got := render(t).must(t, "Service", release).at("metadata", "annotations"); got != nil {
		t.Errorf("without a controller the Service has %v", got)
	}
}
