// Command generate writes the JSON schemas beside it: what the API server accepts of the kinds that the chart renders,
// without the descriptions, and with unknown fields refused. The originals come with the Go modules named below.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	kubernetes = "k8s.io/kubernetes@v1.35.4"
	swagger    = "api/openapi-spec/swagger.json"
)

// builtIn are the kinds of Kubernetes itself, by the suffix of their definition's name.
var builtIn = map[string]string{
	"configmap-v1":                           "core.v1.ConfigMap",
	"deployment-apps-v1":                     "apps.v1.Deployment",
	"horizontalpodautoscaler-autoscaling-v2": "autoscaling.v2.HorizontalPodAutoscaler",
	"ingress-networking-v1":                  "networking.v1.Ingress",
	"job-batch-v1":                           "batch.v1.Job",
	"networkpolicy-networking-v1":            "networking.v1.NetworkPolicy",
	"pod-v1":                                 "core.v1.Pod",
	"poddisruptionbudget-policy-v1":          "policy.v1.PodDisruptionBudget",
	"role-rbac-v1":                           "rbac.v1.Role",
	"rolebinding-rbac-v1":                    "rbac.v1.RoleBinding",
	"service-v1":                             "core.v1.Service",
	"serviceaccount-v1":                      "core.v1.ServiceAccount",
}

// custom are the others: module, and the CustomResourceDefinition in it.
var custom = [][2]string{
	{"sigs.k8s.io/gateway-api@v1.4.0", "config/crd/experimental/gateway.networking.k8s.io_httproutes.yaml"},
	{"github.com/prometheus-operator/prometheus-operator@v0.85.0", "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml"},
	{"github.com/prometheus-operator/prometheus-operator@v0.85.0", "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"},
	{"github.com/prometheus-operator/prometheus-operator@v0.85.0", "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml"},
	{"github.com/kedacore/keda/v2@v2.18.3", "config/crd/bases/keda.sh_scaledobjects.yaml"},
}

func main() {
	log.SetFlags(0)
	if err := generate(filepath.Join("test", "chart", "schemas")); err != nil {
		log.Fatal(err)
	}
}

func generate(dir string) error {
	if err := generateBuiltIn(dir); err != nil {
		return err
	}
	for _, c := range custom {
		if err := generateCustom(dir, c[0], c[1]); err != nil {
			return err
		}
	}
	return nil
}

func generateBuiltIn(dir string) error {
	text, err := moduleFile(kubernetes, swagger)
	if err != nil {
		return err
	}
	var document struct{ Definitions map[string]any }
	if err := json.Unmarshal(text, &document); err != nil {
		return err
	}
	needed := map[string]any{}
	for file, suffix := range builtIn {
		name := "io.k8s.api." + suffix
		need(name, document.Definitions, needed)
		if err := write(dir, file, map[string]any{"$ref": "_definitions.json#/definitions/" + name}); err != nil {
			return err
		}
	}
	return write(dir, "_definitions", map[string]any{"definitions": needed})
}

// need adds the definition name to needed, and those it refers to.
func need(name string, all, needed map[string]any) {
	if _, known := needed[name]; known {
		return
	}
	switch {
	case strings.HasSuffix(name, ".IntOrString"):
		needed[name] = map[string]any{"type": []string{"string", "integer"}}
		return
	case strings.HasSuffix(name, ".Quantity"):
		needed[name] = map[string]any{"type": []string{"string", "number"}}
		return
	}
	needed[name] = nil // a definition may refer to itself
	needed[name] = strict(all[name])
	for _, other := range references(all[name]) {
		need(other, all, needed)
	}
}

func references(node any) []string {
	var names []string
	switch n := node.(type) {
	case map[string]any:
		if ref, ok := n["$ref"].(string); ok {
			names = append(names, strings.TrimPrefix(ref, "#/definitions/"))
		}
		for _, child := range n {
			names = append(names, references(child)...)
		}
	case []any:
		for _, child := range n {
			names = append(names, references(child)...)
		}
	}
	return names
}

func generateCustom(dir, module, path string) error {
	text, err := moduleFile(module, path)
	if err != nil {
		return err
	}
	var crd struct {
		Spec struct {
			Group    string
			Names    struct{ Kind string }
			Versions []struct {
				Name    string
				Storage bool
				Schema  struct {
					Schema any `yaml:"openAPIV3Schema"`
				}
			}
		}
	}
	if err := yaml.Unmarshal(text, &crd); err != nil {
		return err
	}
	group, _, _ := strings.Cut(crd.Spec.Group, ".")
	for _, version := range crd.Spec.Versions {
		if version.Storage {
			file := fmt.Sprintf("%s-%s-%s", strings.ToLower(crd.Spec.Names.Kind), group, version.Name)
			return write(dir, file, strict(version.Schema.Schema))
		}
	}
	return fmt.Errorf("%s of %s has no version that is stored", path, module)
}

// strict returns a schema that refuses unknown fields, without what does not decide.
func strict(node any) any {
	switch n := node.(type) {
	case map[string]any:
		if n["x-kubernetes-int-or-string"] == true {
			return map[string]any{"type": []string{"string", "integer"}}
		}
		kept := map[string]any{}
		for _, key := range slices.Sorted(maps.Keys(n)) {
			child := n[key]
			_, isText := child.(string) // and not a property of that name
			if isText && (key == "description" || key == "format" || key == "default") || strings.HasPrefix(key, "x-kubernetes") {
				continue
			}
			kept[key] = strict(child)
		}
		_, closed := kept["properties"].(map[string]any)
		_, said := kept["additionalProperties"]
		// The branches of an anyOf name properties too, but not all of them.
		if closed && !said && kept["type"] == "object" && n["x-kubernetes-preserve-unknown-fields"] != true {
			kept["additionalProperties"] = false
		}
		return kept
	case []any:
		kept := make([]any, len(n))
		for i, child := range n {
			kept[i] = strict(child)
		}
		return kept
	}
	return node
}

func write(dir, name string, schema any) error {
	text, err := json.Marshal(schema)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name+".json"), append(text, '\n'), 0o644)
}

// moduleFile returns a file of a module, which it downloads where needed.
func moduleFile(module, path string) ([]byte, error) {
	download := exec.Command("go", "mod", "download", "-json", module)
	download.Stderr = os.Stderr
	out, err := download.Output()
	if err != nil {
		return nil, fmt.Errorf("download %s: %w", module, err)
	}
	var where struct{ Dir string }
	if err := json.Unmarshal(out, &where); err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(where.Dir, path))
}
