package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/carillon-io/carillon/test/bench/results"
)

// conditions says what is measured, on what and how. What cannot be found out stays empty.
func conditions(ctx context.Context, b *bench) results.Conditions {
	return results.Conditions{
		Date:        time.Now().UTC().Format(time.DateOnly),
		CPU:         field("/proc/cpuinfo", "model name"),
		Cores:       runtime.NumCPU(),
		MemoryGiB:   memory(),
		Kernel:      output(ctx, "uname", "-sr"),
		Descriptors: descriptors(),
		ServerCores: b.servers,
		LoadCores:   b.load,
		Short:       b.short,
		Versions: map[string]string{
			"Carillon":          output(ctx, "git", "describe", "--tags", "--always", "--dirty", "--exclude=*"),
			"Go":                strings.TrimPrefix(runtime.Version(), "go"),
			"Node":              strings.TrimPrefix(output(ctx, "node", "--version"), "v"),
			"socket.io":         npm("socket.io"),
			"Redis adapter":     npm("@socket.io/redis-adapter"),
			"gorilla/websocket": output(ctx, "go", "list", "-m", "-f", "{{.Version}}", "github.com/gorilla/websocket"),
			"Redis":             redisVersion(ctx),
		},
	}
}

func output(ctx context.Context, args ...string) string {
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// field returns the first value of a key in a file of "key : value" lines.
func field(file, key string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range bytes.Lines(data) {
		if k, v, _ := strings.Cut(string(line), ":"); strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func memory() float64 {
	kib, err := strconv.ParseFloat(strings.TrimSuffix(field("/proc/meminfo", "MemTotal"), " kB"), 64)
	if err != nil {
		return 0
	}
	return float64(int(kib/(1<<20)*10)) / 10
}

func npm(name string) string {
	data, err := os.ReadFile("test/node_modules/" + name + "/package.json")
	if err != nil {
		return ""
	}
	var manifest struct{ Version string }
	if err := json.Unmarshal(data, &manifest); err != nil {
		return ""
	}
	return manifest.Version
}

func redisVersion(ctx context.Context) string {
	for word := range strings.FieldsSeq(output(ctx, "redis-server", "--version")) {
		if version, found := strings.CutPrefix(word, "v="); found {
			return version
		}
	}
	return ""
}
