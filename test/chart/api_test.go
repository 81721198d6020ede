package chart

import (
	"fmt"
	"strings"
	"testing"
)

// TestAPI_IsAServiceOfItsOwn: clients do not reach it, backends do.
func TestAPI_IsAServiceOfItsOwn(t *testing.T) {
	objects := render(t, "api.enabled=true", "api.existingSecret=backends", "config.namespaces./.connect.ask.url=http://judge:8081/ask",
		"config.namespaces./.connect.ask.secret=s")
	seen := map[string]bool{}
	for _, o := range objects {
		name, _ := o.at("metadata", "name").(string)
		switch kind := o["kind"]; {
		case kind == "Service" && strings.HasSuffix(name, "-api"):
			seen["service"] = true
			if got := fmt.Sprint(o.at("spec", "ports")); !strings.Contains(got, "port:9092") || !strings.Contains(got, "targetPort:api") || o.at("spec", "type") != "ClusterIP" {
				t.Errorf("the Service is %v", o["spec"])
			}
		case kind == "Service":
			if strings.Contains(fmt.Sprint(o["spec"]), "9092") {
				t.Errorf("%s shows the API", name)
			}
		case kind == "NetworkPolicy":
			seen["policy"] = true
			ingress, egress := fmt.Sprint(o.at("spec", "ingress")), fmt.Sprint(o.at("spec", "egress"))
			if !strings.Contains(ingress, "from:[map[podSelector:map[]]] ports:[map[port:9092 protocol:TCP]]") || !strings.Contains(egress, "port:8081") {
				t.Errorf("the NetworkPolicy is %v", o["spec"])
			}
		case kind == "Deployment":
			seen["deployment"] = true
			spec := fmt.Sprint(o.at("spec", "template", "spec"))
			for _, want := range []string{"containerPort:9092 name:api", "mountPath:/etc/carillon-api", "secretName:backends"} {
				if !strings.Contains(spec, want) {
					t.Errorf("the pods lack %s: %s", want, spec)
				}
			}
		case kind == "ConfigMap":
			if text := fmt.Sprint(o["data"]); strings.Contains(text, "namespaces") {
				seen["config"] = strings.Contains(text, "/etc/carillon-api/keys") && strings.Contains(text, ":9092")
			}
		}
	}
	for _, what := range []string{"service", "policy", "deployment", "config"} {
		if !seen[what] {
			t.Errorf("no %s as it should be", what)
		}
	}
}

func TestAPI_RefusesWhatCannotWork(t *testing.T) {
	for values, want := range map[string]string{
		"api.enabled=true": "api.existingSecret",
		"api.enabled=true,api.existingSecret=k,config.api.address=:8080": "port of its own",
		"api.enable=true": "enable",
	} {
		if got := refusal(t, strings.Split(values, ",")...); !strings.Contains(got, want) {
			t.Errorf("%s: %s", values, got)
		}
	}
}
