package chart

import (
	"bytes"
	"maps"
	"math"
	"net"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/carillon-io/carillon/internal/config"
)

// load gives the rendered configuration file to the gateway's own loader.
func load(t *testing.T, all objects) config.Config {
	t.Helper()
	text, _ := all.must(t, "ConfigMap", release).at("data", "carillon.yaml").(string)
	cfg, warnings, err := config.Load(config.Source{Name: "carillon.yaml", File: []byte(text)})
	if err != nil || len(warnings) > 0 {
		t.Fatalf("load: %v %v\n%s", err, warnings, text)
	}
	return cfg
}

func TestDefaults_TheChartAddsNothingToTheGatewaysOwn(t *testing.T) {
	want, _, err := config.Load(config.Source{})
	if err != nil {
		t.Fatal(err)
	}
	if got := load(t, render(t)); !reflect.DeepEqual(got, want) {
		t.Errorf("the default configuration is\n%+v\nwant\n%+v", got, want)
	}
}

func TestDefaults_WhatTemplatesAssumeIsWhatTheGatewayDoes(t *testing.T) {
	want := config.Default()
	all := render(t, "ingress.enabled=true", "httpRoute.enabled=true", "httpRoute.parentRefs[0].name=public")
	for name, address := range map[string]string{"http": want.Server.Address, "ops": want.Ops.Address, "peer": want.Peer.Address} {
		_, text, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		if port, _ := strconv.Atoi(text); containerPort(all.gateway(t), name) != port {
			t.Errorf("port %s is %d, want %d", name, containerPort(all.gateway(t), name), port)
		}
	}
	if got := all.must(t, "Ingress", release).at("spec", "rules", 0, "http", "paths", 0, "path"); got != want.Server.Path {
		t.Errorf("the Ingress leads %v here, want %s", got, want.Server.Path)
	}
	if got := all.must(t, "HTTPRoute", release).at("spec", "rules", 0, "matches", 0, "path", "value"); got != want.Server.Path {
		t.Errorf("the HTTPRoute leads %v here, want %s", got, want.Server.Path)
	}
}

// TestDoors_AreReachedFromOutside: what the configuration opens for clients without a Socket.IO library needs a route.
func TestDoors_AreReachedFromOutside(t *testing.T) {
	all := render(t, "ingress.enabled=true", "httpRoute.enabled=true", "httpRoute.parentRefs[0].name=public",
		"config.native.path=/ws", "config.sse.path=/events/")
	for i, want := range []string{"/socket.io/", "/ws", "/events"} {
		if got := all.must(t, "Ingress", release).at("spec", "rules", 0, "http", "paths", i, "path"); got != want {
			t.Errorf("path %d of the Ingress is %v, want %s", i, got, want)
		}
		if got := all.must(t, "HTTPRoute", release).at("spec", "rules", 0, "matches", i, "path", "value"); got != want {
			t.Errorf("path %d of the HTTPRoute is %v, want %s", i, got, want)
		}
	}
}

func containerPort(container object, name string) int {
	ports, _ := container.at("ports").([]any)
	for _, p := range ports {
		if port := asObject(p); port["name"] == name {
			return port["containerPort"].(int)
		}
	}
	return 0
}

func TestPorts_FollowTheConfiguration(t *testing.T) {
	all := render(t, "config.server.address=:8443", "config.ops.address=:9100", "config.peer.address=[::]:9101", "config.server.path=/ws",
		"ingress.enabled=true")
	for name, want := range map[string]int{"http": 8443, "ops": 9100, "peer": 9101} {
		if got := containerPort(all.gateway(t), name); got != want {
			t.Errorf("port %s is %d, want %d", name, got, want)
		}
	}
	if got := all.must(t, "Service", release).at("spec", "ports", 0, "targetPort"); got != "http" {
		t.Errorf("the Service leads to %v, want http", got)
	}
	policy := all.must(t, "NetworkPolicy", release)
	for i, want := range []int{8443, 9100, 9101} {
		if got := policy.at("spec", "ingress", i, "ports", 0, "port"); got != want {
			t.Errorf("rule %d of the NetworkPolicy is for port %v, want %d", i, got, want)
		}
	}
	if got := all.must(t, "Deployment", release).at("spec", "template", "metadata", "annotations", "prometheus.io/port"); got != "9100" {
		t.Errorf("Prometheus is sent to %v, want 9100", got)
	}
	if got := all.must(t, "Ingress", release).at("spec", "rules", 0, "http", "paths", 0, "path"); got != "/ws/" {
		t.Errorf("the Ingress leads %v here, want /ws/", got)
	}
}

// The gateway promises to leave within delay + window + 5 s. The chart gives it 5 s more, and the endpoint counts as serving
// until then: the first of the probes that fail may come at once, so intervals count, not probes.
func TestGracePeriodAndReadiness_CoverTheDrain(t *testing.T) {
	usual := config.Default().Drain
	for _, c := range []struct {
		delay, window string
	}{
		{}, {"0s", "0s"}, {"0", "20s"}, {"1m30s", "500ms"}, {"1.5h", "1h1m1.001s"}, {".5s", "1.s"}, {"1500us", "999ns"}, {"2µs", "3μs"}, {"7s", ""}, {"", "10m"},
	} {
		t.Run(c.delay+" "+c.window, func(t *testing.T) {
			var values []string
			drain := usual
			if c.delay != "" {
				values = append(values, "config.drain.delay="+c.delay)
				drain.Delay = duration(t, c.delay)
			}
			if c.window != "" {
				values = append(values, "config.drain.window="+c.window)
				drain.Window = duration(t, c.window)
			}
			all := render(t, values...)
			want := int(math.Ceil((drain.Delay + drain.Window + 10*time.Second).Seconds()))
			if got := all.must(t, "Deployment", release).at("spec", "template", "spec", "terminationGracePeriodSeconds"); got != want {
				t.Errorf("terminationGracePeriodSeconds is %v, want %d", got, want)
			}
			probe := asObject(all.gateway(t).at("readinessProbe"))
			period, threshold := probe["periodSeconds"].(int), probe["failureThreshold"].(int)
			most := drain.Delay + drain.Window + 5*time.Second
			unready := time.Duration(period*(threshold-1)) * time.Second
			if unready < most || unready > most+2*time.Second {
				t.Errorf("a draining pod is unready after %v, want %v or a little more", unready, most)
			}
			if got := load(t, all).Drain; got != drain {
				t.Errorf("the gateway reads %v, want %v", got, drain)
			}
		})
	}
}

func duration(t *testing.T, text string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The schema has to know every key, or a valid configuration is refused, and no other, or a typing error is not.
func TestSchema_KnowsTheKeysOfTheConfiguration(t *testing.T) {
	var printed bytes.Buffer
	usual := config.Default()
	orders := config.DefaultRoute()
	orders.Webhook = &config.Webhook{}
	usual.Routes = map[string]config.Route{"orders": orders}
	if err := usual.Print(&printed); err != nil {
		t.Fatal(err)
	}
	want := parse(t, printed.Bytes())[0]
	var schema object
	if err := yaml.Unmarshal(readFile(t, "helm", "carillon", "values.schema.json"), &schema); err != nil {
		t.Fatal(err)
	}
	compareKeys(t, "config", asObject(schema.at("properties", "config")), want)
	route := asObject(schema.at("properties", "config", "properties", "routes", "additionalProperties"))
	compareKeys(t, "config.routes.orders", route, asObject(want.at("routes", "orders")))
}

func compareKeys(t *testing.T, at string, schema, want object) {
	t.Helper()
	properties := asObject(schema["properties"])
	if properties == nil { // an object by any name
		return
	}
	if got, want := slices.Sorted(maps.Keys(properties)), slices.Sorted(maps.Keys(want)); !slices.Equal(got, want) {
		t.Errorf("the schema of %s has %v, the gateway %v", at, got, want)
	}
	if schema["additionalProperties"] != false {
		t.Errorf("the schema of %s takes any key", at)
	}
	for name := range properties {
		if section := asObject(want[name]); section != nil && name != "routes" && name != "namespaces" {
			compareKeys(t, at+"."+name, asObject(properties[name]), section)
		}
	}
}

// What a schema takes as a default has to be one.
func TestSchema_TakesTheGatewaysDefaults(t *testing.T) {
	file := "internal/config/testdata/defaults.yaml"
	text := readFile(t, file)
	indented := "config:\n  " + strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "\n  ")
	values := t.TempDir() + "/values.yaml"
	writeFile(t, values, indented)
	want, _, err := config.Load(config.Source{})
	if err != nil {
		t.Fatal(err)
	}
	if got := load(t, render(t, "-f "+values)); !reflect.DeepEqual(got, want) {
		t.Errorf("the defaults, written out, are\n%+v\nwant\n%+v", got, want)
	}
}
