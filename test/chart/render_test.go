package chart

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/policy"
)

// combinations are the values that make a difference to what is rendered.
var combinations = map[string][]string{
	"defaults":         nil,
	"fewest objects":   {"networkPolicy.enabled=false", "serviceAccount.create=false", "configCheck.enabled=false", "topologySpread.enabled=false"},
	"no limits":        {"resources=null"},
	"secret with url":  {"replicaCount=3", "redis.existingSecret=shared"},
	"url in config":    {"replicaCount=3", "config.redis.url=rediss://redis.internal:6380/1", "redis.existingSecret=shared"},
	"cluster":          {"replicaCount=3", "config.redis.cluster.addresses={a:7000,b:7001}", "config.adapter.kind=sharded"},
	"sentinel":         {"replicaCount=3", "config.redis.sentinel.addresses={a:26379,b:26379}", "config.redis.sentinel.master=m", "redis.existingSecret=shared"},
	"development":      {"replicaCount=2", "devRedis.enabled=true"},
	"left to KEDA":     {"replicaCount=null", "redis.existingSecret=shared"},
	"autoscaling":      {"autoscaling.enabled=true", "autoscaling.connections=10000", "redis.existingSecret=shared"},
	"connections only": {"autoscaling.enabled=true", "autoscaling.connections=10000", "autoscaling.cpuUtilization=null", "redis.existingSecret=shared"},
	"traefik":          {"ingress.enabled=true", "ingress.className=traefik", "ingress.hosts={app.example}", "stickiness.controller=traefik"},
	"ingress-nginx": {
		"ingress.enabled=true", "ingress.tls[0].secretName=cert", "stickiness.controller=ingress-nginx", "tls.existingSecret=inner",
	},
	"gateway API": {
		"httpRoute.enabled=true", "httpRoute.parentRefs[0].name=public", "httpRoute.hostnames={app.example}",
		"httpRoute.timeouts.request=0s", "httpRoute.sessionPersistence.sessionName=carillon",
	},
	"load balancer": {
		"service.type=LoadBalancer", "service.externalTrafficPolicy=Local", "service.loadBalancerClass=example.com/lb",
		"service.loadBalancerSourceRanges={10.0.0.0/8}", "service.nodePort=30080", "service.sessionAffinity=ClientIP",
	},
	"HTTP for backends": {
		"api.enabled=true", "api.existingSecret=backends", "config.api.keys={more}", "networkPolicy.api[0].namespaceSelector.matchLabels.name=shop",
		"redis.existingSecret=shared", "config.routes.orders.webhook.url=https://shop.example/hook", "config.routes.orders.webhook.secret=s",
	},
	"pods that patch their cost": {"podDeletionCost.enabled=true"},
	"operator":                   {"metrics.podMonitor.enabled=true", "metrics.serviceMonitor.enabled=true", "metrics.labels.release=prometheus"},
	"other ports":                {"config.server.address=:8443", "config.ops.address=:9100", "config.peer.address=0.0.0.0:9101", "config.server.path=/ws"},
	"everything else": {
		"image.tag=1.2.3", "imagePullSecrets[0].name=pull", "fullnameOverride=bells", "extraEnv[0].name=CARILLON_PEER_SECRET",
		"extraEnv[0].valueFrom.secretKeyRef.name=peer", "extraEnv[0].valueFrom.secretKeyRef.key=secret",
		"extraVolumes[0].name=ca", "extraVolumes[0].secret.secretName=ca", "extraVolumeMounts[0].name=ca", "extraVolumeMounts[0].mountPath=/ca",
		"podAnnotations.a=b", "podLabels.c=d", "priorityClassName=high", "nodeSelector.disk=ssd", "tolerations[0].operator=Exists",
		"affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].key=disk",
		"affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].operator=Exists", "serviceAccount.annotations.e=f",
		"networkPolicy.clients[0].namespaceSelector.matchLabels.name=ingress", "networkPolicy.redis.ports={6380}",
		"networkPolicy.redis.to[0].ipBlock.cidr=10.0.0.0/8", "redis.existingSecret=shared", "config.server.client_bundle=/client",
		"networkPolicy.extraEgress[0].ports[0].port=443", "networkPolicy.extraIngress[0].ports[0].port=8081",
		"extraEnvFrom[0].secretRef.name=more", "initContainers[0].name=first", "initContainers[0].image=busybox",
		"sidecars[0].name=beside", "sidecars[0].image=busybox",
		"initContainers[0].securityContext.allowPrivilegeEscalation=false", "initContainers[0].securityContext.readOnlyRootFilesystem=true",
		"initContainers[0].securityContext.capabilities.drop={ALL}", "sidecars[0].securityContext.allowPrivilegeEscalation=false",
		"sidecars[0].securityContext.readOnlyRootFilesystem=true", "sidecars[0].securityContext.capabilities.drop={ALL}", "extraObjects[0].apiVersion=v1", "extraObjects[0].kind=ConfigMap",
		"extraObjects[0].metadata.name=\\{\\{ .Release.Name \\}\\}-more", "commonLabels.team=chat", "deploymentAnnotations.i=j",
		"hostAliases[0].ip=10.0.0.1", "hostAliases[0].hostnames={redis.internal}", "dnsPolicy=None", "dnsConfig.nameservers={10.0.0.2}",
		"runtimeClassName=gvisor", "networkPolicy.dnsPorts={5300}", "enabled=true",
		"service.annotations.g=h", "podDisruptionBudget.maxUnavailable=10%", "replicaCount=20", "maxSurge=25%",
	},
}

func TestRender_EveryCombinationIsValid(t *testing.T) {
	for name, values := range combinations {
		t.Run(name, func(t *testing.T) {
			validate(t, marshal(t, render(t, values...)))
		})
	}
}

func TestLint_FindsNothing(t *testing.T) {
	if out, stderr, err := helm(t, "lint", "--strict", "helm/carillon"); err != nil {
		t.Errorf("%v\n%s%s", err, out, stderr)
	}
}

// The alerts and the dashboard are files of the chart; a rule with the wrong indentation would still be YAML.
func TestRender_AlertsAndDashboardAreTheFiles(t *testing.T) {
	const (
		alerts    = "groups:\n  - name: carillon\n    rules:\n      - {alert: Deaf, expr: up == 0, labels: {severity: page}}\n"
		dashboard = "{\"title\": \"Carillon\", \"panels\": [{\"legend\": \"{{transport}}\"}]}\n"
	)
	dir := withFiles(t, alerts, dashboard)
	out, stderr, err := helm(t, "template", release, dir, "--set", "metrics.prometheusRule.enabled=true,metrics.dashboard.enabled=true")
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	validate(t, out)
	all := parse(t, out)
	want := parse(t, []byte(alerts))[0]["groups"]
	if got := all.must(t, "PrometheusRule", release).at("spec", "groups"); !reflect.DeepEqual(got, want) {
		t.Errorf("groups are\n%v\nwant\n%v", got, want)
	}
	if got := all.must(t, "ConfigMap", release+"-dashboard").at("data", "carillon.json"); got != dashboard {
		t.Errorf("the dashboard is\n%v\nwant\n%s", got, dashboard)
	}
}

// withFiles returns a copy of the chart with these alerts and this dashboard.
func withFiles(t *testing.T, alerts, dashboard string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(chartDir)); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "files"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "files", "alerts.yaml"), alerts)
	writeFile(t, filepath.Join(dir, "files", "dashboard.json"), dashboard)
	return dir
}

// The values that docs/kubernetes.md recommends are taken, by the chart and by the gateway.
func TestDocs_ProductionValuesWork(t *testing.T) {
	_, rest, _ := strings.Cut(string(readFile(t, "docs", "kubernetes.md")), "```yaml\n# values.yaml\n")
	values, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("docs/kubernetes.md has no block of yaml that begins with # values.yaml")
	}
	file := filepath.Join(t.TempDir(), "values.yaml")
	writeFile(t, file, values)
	out, stderr, err := helm(t, "template", release, withFiles(t, "groups: []\n", "{}\n"), "-f", file)
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	validate(t, out)
	text, _ := parse(t, out).must(t, "ConfigMap", release).at("data", "carillon.yaml").(string)
	url := "CARILLON_REDIS_URL=redis://redis.internal" // from the Secret
	if _, _, err := config.Load(config.Source{File: []byte(text), Environ: []string{url}, Rules: policy.Check}); err != nil {
		t.Error(err)
	}
}

// validate checks manifests against what the API server accepts, unknown fields refused.
func validate(t *testing.T, manifests []byte) {
	t.Helper()
	conform := tool(t, "tools/helm.mod", "kubeconform")
	out, stderr, err := run(manifests, conform, "-strict", "-schema-location",
		"test/chart/schemas/{{ .ResourceKind }}{{ .KindSuffix }}.json")
	if err != nil {
		t.Errorf("%v\n%s%s", err, out, stderr)
	}
}

func marshal(t *testing.T, all objects) []byte {
	t.Helper()
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	for _, o := range all {
		if err := encoder.Encode(o); err != nil {
			t.Fatal(err)
		}
	}
	return text.Bytes()
}

func TestExamples_AreValid(t *testing.T) {
	example := readFile(t, "helm", "carillon", "examples", "keda-scaledobject.yaml")
	validate(t, example)
	scaled := parse(t, example)[0]
	if target := scaled.at("spec", "scaleTargetRef", "name"); render(t).find("Deployment", target.(string)) == nil {
		t.Errorf("the ScaledObject scales %v, which the chart does not make", target)
	}
	if len(parse(t, readFile(t, "helm", "carillon", "examples", "prometheus-adapter.yaml"))) != 1 {
		t.Error("the adapter's values are no YAML document")
	}
}
