// Package results is what a run of the benchmark leaves behind: a file of JSON lines, the first of which says where and how
// it was measured and each other what one load did to one server once. Tables, plots and the capacity model are made
// from it alone.
package results

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
)

// Conditions are where and how a run was made.
type Conditions struct {
	Date        string            `json:"date"`
	CPU         string            `json:"cpu"`
	Cores       int               `json:"cores"`
	MemoryGiB   float64           `json:"memory_gib"`
	Kernel      string            `json:"kernel"`
	Descriptors uint64            `json:"descriptors"` // that a process may have
	ServerCores string            `json:"server_cores"`
	LoadCores   string            `json:"load_cores"`
	Short       bool              `json:"short,omitempty"` // a trial with shortened loads
	Versions    map[string]string `json:"versions"`
}

// OneServerCore reports whether the servers had one core.
func (c Conditions) OneServerCore() bool {
	return c.Cores == 1 || c.ServerCores != "" && !strings.ContainsAny(c.ServerCores, ",-")
}

// Result is one load on one server.
type Result struct {
	Scenario string             `json:"scenario"`
	Peer     string             `json:"peer"`
	Round    int                `json:"round"`
	At       float64            `json:"at,omitempty"`     // what grows, in the scenarios of growth
	Took     float64            `json:"took_s,omitempty"` // seconds, servers' start and end included
	Error    string             `json:"error,omitempty"`
	Values   map[string]float64 `json:"values,omitempty"`
}

// Run is a whole file.
type Run struct {
	Conditions Conditions
	Results    []Result
}

// Read reads a file. Of several results of the same load on the same server the last is taken that did not fail.
func Read(name string) (Run, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return Run{}, err
	}
	var run Run
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		if n == 1 {
			err = json.Unmarshal(lines.Bytes(), &run.Conditions)
		} else {
			var r Result
			err = json.Unmarshal(lines.Bytes(), &r)
			run.add(r)
		}
		if err != nil {
			return Run{}, fmt.Errorf("%s:%d: %w", name, n, err)
		}
	}
	return run, lines.Err()
}

func (r *Run) add(x Result) {
	switch i := slices.IndexFunc(r.Results, x.Same); {
	case i < 0:
		r.Results = append(r.Results, x)
	case x.Error == "" || r.Results[i].Error != "":
		r.Results[i] = x
	}
}

// Same reports whether two results are of the same load on the same server.
func (r Result) Same(o Result) bool {
	return r.Scenario == o.Scenario && r.Peer == o.Peer && r.Round == o.Round && r.At == o.At
}

// Merge makes the conditions those of two runs on one machine: whatever differs in versions is named twice.
func (c Conditions) Merge(o Conditions) (Conditions, error) {
	same := c
	same.Date, same.Versions = o.Date, o.Versions
	if !reflect.DeepEqual(same, o) {
		return c, fmt.Errorf("kept results are of another machine or other loads: %+v, not %+v", c, o)
	}
	merged := o
	merged.Versions = maps.Clone(o.Versions)
	for name, version := range c.Versions {
		if now, found := merged.Versions[name]; !found || !slices.Contains(strings.Split(version, " and "), now) {
			merged.Versions[name] = strings.Trim(version+" and "+now, " ")
		} else {
			merged.Versions[name] = version
		}
	}
	return merged, nil
}

// Values returns what the rounds of a scenario gave for a field; failed ones and those without it are left out.
func (r Run) Values(scenario, peer string, at float64, field string) []float64 {
	var values []float64
	for _, x := range r.Results {
		if x.Scenario != scenario || x.Peer != peer || x.At != at {
			continue
		}
		if v, found := x.Values[field]; found {
			values = append(values, v)
		}
	}
	return values
}

// Median is the median over the rounds; ok is false when there is none.
func (r Run) Median(scenario, peer string, at float64, field string) (median float64, ok bool) {
	values := r.Values(scenario, peer, at, field)
	if len(values) == 0 {
		return 0, false
	}
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2, true
}

// Measured reports whether there is any result of a scenario.
func (r Run) Measured(scenario string) bool {
	return slices.ContainsFunc(r.Results, func(x Result) bool { return x.Scenario == scenario })
}

// Steps returns, in order, where a scenario of growth was measured.
func (r Run) Steps(scenario string) []float64 {
	var steps []float64
	for _, x := range r.Results {
		if x.Scenario == scenario && !slices.Contains(steps, x.At) {
			steps = append(steps, x.At)
		}
	}
	slices.Sort(steps)
	return steps
}
