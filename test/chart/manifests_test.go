package chart

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the generated files of deploy/k8s anew")

var overlays = []string{"development", "production", "sharded"}

const generated = "# Made from helm/carillon with values.yaml by make manifests. Change the chart, or patch it in an overlay.\n"

func TestManifests_BaseIsWhatTheChartRenders(t *testing.T) {
	checkGenerated(t, "deploy/k8s/base/carillon.yaml", plain(render(t, "-f deploy/k8s/base/values.yaml")))
}

// What an overlay has besides the base is generated too.
func TestManifests_OverlaysAddWhatTheChartRenders(t *testing.T) {
	base := byName(parse(t, readFile(t, "deploy", "k8s", "base", "carillon.yaml")))
	for _, overlay := range overlays {
		dir := "deploy/k8s/overlays/" + overlay
		var added objects
		for _, o := range plain(render(t, "-f "+dir+"/values.yaml")) {
			if base[name(o)] == nil {
				added = append(added, o)
			}
		}
		checkGenerated(t, dir+"/added.yaml", added)
	}
}

func checkGenerated(t *testing.T, path string, all objects) {
	t.Helper()
	want := generated + string(marshal(t, all))
	if *update {
		writeFile(t, filepath.Join(root, path), want)
	}
	if got := readFile(t, path); string(got) != want {
		t.Errorf("%s is not what the chart renders: run make manifests", path)
	}
}

// What an overlay changes is patched by hand. Built, it is what the chart makes of the values beside it.
func TestManifests_OverlaysAreWhatTheChartRenders(t *testing.T) {
	kustomize := tool(t, "tools/kustomize.mod", "kustomize")
	for _, overlay := range overlays {
		t.Run(overlay, func(t *testing.T) {
			dir := "deploy/k8s/overlays/" + overlay
			out, stderr, err := run(nil, kustomize, "build", dir)
			if err != nil {
				t.Fatalf("%v\n%s", err, stderr)
			}
			validate(t, out)
			got, want := byName(parse(t, out)), byName(plain(render(t, "-f "+dir+"/values.yaml")))
			if g, w := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)); !slices.Equal(g, w) {
				t.Fatalf("objects\n%s\nwant\n%s", strings.Join(g, "\n"), strings.Join(w, "\n"))
			}
			for name := range want {
				if g, w := marshal(t, objects{got[name]}), marshal(t, objects{want[name]}); !bytes.Equal(g, w) {
					t.Errorf("%s is\n%s\nwant\n%s", name, g, w)
				}
			}
		})
	}
}

func byName(all objects) map[string]object {
	named := map[string]object{}
	for _, o := range all {
		named[name(o)] = o
	}
	return named
}

func name(o object) string { return fmt.Sprintf("%v %v", o["kind"], o.at("metadata", "name")) }

// plain returns what of the chart's objects has a meaning without Helm, and in any namespace.
func plain(all objects) objects {
	var kept objects
	for _, o := range all {
		if asObject(o.at("metadata", "annotations"))["helm.sh/hook"] != nil {
			continue
		}
		labels := asObject(o.at("metadata", "labels"))
		delete(labels, "helm.sh/chart")
		delete(labels, "app.kubernetes.io/managed-by")
		dropAnnotation(asObject(o["metadata"]), "carillon.io/replicas-in-manifest") // only an upgrade by Helm reads it
		// A digest nobody renews would only look as if changes replaced the pods.
		dropAnnotation(asObject(o.at("spec", "template", "metadata")), "carillon.io/restart-digest")
		kept = append(kept, o)
	}
	return kept
}

func dropAnnotation(metadata object, name string) {
	annotations := asObject(metadata["annotations"])
	delete(annotations, name)
	if len(annotations) == 0 {
		delete(metadata, "annotations")
	}
}
