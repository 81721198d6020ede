package chart

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"
)

const (
	root     = "../.."
	chartDir = root + "/helm/carillon"
	// release is the name everything is installed under; it contains the chart's, so objects are called just that.
	release = "carillon"
)

// tool returns the executable of a Go tool, which the first use builds.
func tool(t *testing.T, modfile, name string) string {
	t.Helper()
	path, err := toolPath(modfile, name)
	if err != nil {
		t.Fatalf("build %s: %v", name, err)
	}
	return path
}

var tools sync.Map // name to func() (string, error)

func toolPath(modfile, name string) (string, error) {
	build := sync.OnceValues(func() (string, error) {
		out, stderr, err := run(nil, "go", "tool", "-n", "-modfile="+modfile, name)
		if err != nil {
			return "", fmt.Errorf("%w: %s", err, stderr)
		}
		return strings.TrimSpace(string(out)), nil
	})
	once, _ := tools.LoadOrStore(name, build)
	return once.(func() (string, error))()
}

// run runs a command in the folder of the repository.
func run(stdin []byte, name string, args ...string) (stdout, stderr []byte, err error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = root
	cmd.Stdin = bytes.NewReader(stdin)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err = cmd.Run()
	return out.Bytes(), complaints.Bytes(), err
}

func helm(t *testing.T, args ...string) (stdout, stderr []byte, err error) {
	t.Helper()
	// As a Go tool it takes an old Kubernetes for granted where it has none to ask.
	return run(nil, tool(t, "tools/helm.mod", "helm"), append(args, "--kube-version", "1.35.0")...)
}

// values are what --set takes, one by one; "-f FILE" names a file below the repository instead.
func templateArgs(values []string) []string {
	args := []string{"template", release, "helm/carillon", "--namespace", "realtime"}
	for _, v := range values {
		if file, ok := strings.CutPrefix(v, "-f "); ok {
			args = append(args, "-f", file)
		} else {
			args = append(args, "--set", v)
		}
	}
	return args
}

// render returns what the chart makes of values.
func render(t *testing.T, values ...string) objects {
	t.Helper()
	out, stderr, err := helm(t, templateArgs(values)...)
	if err != nil {
		t.Fatalf("render with %q: %v\n%s", values, err, stderr)
	}
	return parse(t, out)
}

// refusal returns what helm says of values it does not take.
func refusal(t *testing.T, values ...string) string {
	t.Helper()
	_, stderr, err := helm(t, templateArgs(values)...)
	if err == nil {
		t.Fatalf("%q are taken", values)
	}
	return string(stderr)
}

// object is one manifest.
type object map[string]any

type objects []object

func parse(t *testing.T, text []byte) objects {
	t.Helper()
	var all objects
	for decoder := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var o object
		if err := decoder.Decode(&o); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("parse: %v\n%s", err, text)
		}
		if o != nil {
			all = append(all, o)
		}
	}
}

// find returns the object of a kind and name; nil when it is not there.
func (all objects) find(kind, name string) object {
	for _, o := range all {
		if o["kind"] == kind && o.at("metadata", "name") == name {
			return o
		}
	}
	return nil
}

// must is find for objects that have to be there.
func (all objects) must(t *testing.T, kind, name string) object {
	t.Helper()
	o := all.find(kind, name)
	if o == nil {
		t.Fatalf("no %s %s", kind, name)
	}
	return o
}

// at returns what stands at a path of names and indexes; nil when nothing does.
func (o object) at(path ...any) any {
	var here any = map[string]any(o)
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := here.(map[string]any)
			if m == nil {
				if named, ok := here.(object); ok {
					m = named
				}
			}
			here = m[step]
		case int:
			list, _ := here.([]any)
			if step >= len(list) {
				return nil
			}
			here = list[step]
		}
	}
	return here
}

// gateway returns the Deployment's only container.
func (all objects) gateway(t *testing.T) object {
	t.Helper()
	containers, _ := all.must(t, "Deployment", release).at("spec", "template", "spec", "containers").([]any)
	if len(containers) != 1 {
		t.Fatalf("%d containers, want 1", len(containers))
	}
	return asObject(containers[0])
}

func asObject(v any) object {
	switch v := v.(type) {
	case object:
		return v
	case map[string]any:
		return v
	}
	return nil
}

// env returns the entry of a variable; nil when it is not set.
func (o object) env(name string) object {
	list, _ := o.at("env").([]any)
	for _, entry := range list {
		if e := asObject(entry); e["name"] == name {
			return e
		}
	}
	return nil
}

func readFile(t *testing.T, path ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{root}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
