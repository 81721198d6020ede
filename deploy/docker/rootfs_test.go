// Package docker tests what the image is made of; see docs/image.md.
package docker

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.." // of the source tree

// tree is a copy of what .dockerignore lets into the build, at a place of its own.
func tree(t *testing.T, under string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), under)
	ignored, err := os.ReadFile(filepath.Join(root, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(ignored)) {
		name, let := strings.CutPrefix(strings.TrimSpace(line), "!")
		if !let {
			continue
		}
		to := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o750); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("cp", "-r", filepath.Join(root, name), to).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return dir
}

// rootfs makes the image's files from a source tree and returns their folder.
func rootfs(t *testing.T, source string) string {
	t.Helper()
	client, out := t.TempDir(), filepath.Join(t.TempDir(), "rootfs")
	for name, text := range map[string]string{
		"package.json":     `{` + "\n" + `  "version": "4.8.4",` + "\n" + `  "name": "socket.io-client"}`,
		"socket.io.min.js": "/*! Socket.IO v4.8.4 */",
	} {
		if err := os.WriteFile(filepath.Join(client, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(filepath.Join(source, "deploy/docker/rootfs.sh"), out, client)
	cmd.Env = append(os.Environ(), "VERSION=v9.8.7", "SOURCE_DATE_EPOCH=1700000000")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return out
}

// content is what makes two trees the same: names, modes, times and bytes.
func content(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		var text []byte
		if info.Mode().IsRegular() {
			if text, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		name, err := filepath.Rel(dir, path)
		files[name] = fmt.Sprint(info.Mode(), info.ModTime().Unix(), string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestRootfs(t *testing.T) {
	source := tree(t, "one")
	dir := rootfs(t, source)
	t.Run("is the same from any folder", func(t *testing.T) {
		one, other := content(t, dir), content(t, rootfs(t, tree(t, "quite/another")))
		if len(one) < 10 || len(one) != len(other) {
			t.Errorf("%d and %d files", len(one), len(other))
		}
		for name, text := range one {
			if other[name] != text {
				t.Errorf("/%s differs", name)
			}
			if !strings.Contains(text, "1700000000") {
				t.Errorf("/%s is not of the time that was asked for", name)
			}
		}
	})
	t.Run("holds what a scratch image needs", func(t *testing.T) { testNeeds(t, dir) })
	t.Run("names nothing of where it was built", func(t *testing.T) { testPlaces(t, dir, source) })
	t.Run("lists every module of the program", func(t *testing.T) { testListed(t, dir) })
}

func testNeeds(t *testing.T, dir string) {
	dockerfile, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	entry := regexp.MustCompile(`(?m)^ENTRYPOINT \["(.*)"\]$`).FindSubmatch(dockerfile)
	client := regexp.MustCompile(`(?m)^ENV CARILLON_SERVER_CLIENT_BUNDLE=(\S+)$`).FindSubmatch(dockerfile)
	if entry == nil || client == nil {
		t.Fatal("the Dockerfile names no entry point or no browser client")
	}
	gateway := filepath.Join(dir, string(entry[1]))

	version, err := exec.Command(gateway, "version").Output()
	if err != nil || string(version) != "v9.8.7\n" {
		t.Errorf("version %q, %v", version, err)
	}
	config := filepath.Join(t.TempDir(), "carillon.yaml")
	if err := os.WriteFile(config, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	check := exec.Command(gateway, "config", "check", config)
	check.Env = []string{"CARILLON_SERVER_CLIENT_BUNDLE=" + filepath.Join(dir, string(client[1]))}
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("the browser client is not where the image says: %v: %s", err, out)
	}
	if info, err := os.Stat(filepath.Join(dir, "etc/ssl/certs/ca-certificates.crt")); err != nil || info.Size() == 0 {
		t.Errorf("no certificate authorities: %v", err)
	}
	program, err := elf.Open(gateway)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the program is linked dynamically; a scratch image has no libraries")
		}
	}
}

func testPlaces(t *testing.T, dir, source string) {
	binary, err := os.ReadFile(filepath.Join(dir, "usr/bin/gateway"))
	if err != nil {
		t.Fatal(err)
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, place := range []string{source, strings.TrimSpace(string(goroot))} {
		if bytes.Contains(binary, []byte(place)) {
			t.Errorf("the program names %s", place)
		}
	}
}

func testListed(t *testing.T, dir string) {
	listed := map[string]string{}
	for _, name := range []string{"gateway.cdx.json", "client.cdx.json"} {
		text, err := os.ReadFile(filepath.Join(dir, "usr/share/doc/carillon", name))
		if err != nil {
			t.Fatal(err)
		}
		var document struct {
			BOMFormat  string `json:"bomFormat"`
			Components []struct{ Name, Version string }
		}
		if err := json.Unmarshal(text, &document); err != nil || document.BOMFormat != "CycloneDX" {
			t.Fatalf("%s: %v in %.100s", name, err, text)
		}
		for _, c := range document.Components {
			listed[c.Name] = c.Version
		}
	}
	info, err := buildinfo.ReadFile(filepath.Join(dir, "usr/bin/gateway"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"socket.io-client": "4.8.4", "std": info.GoVersion}
	for _, m := range info.Deps {
		want[m.Path] = m.Version
	}
	for name, version := range want {
		if listed[name] != version {
			t.Errorf("%s %s is listed as %q", name, version, listed[name])
		}
	}
}
