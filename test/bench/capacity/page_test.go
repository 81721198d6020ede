package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/carillon-io/carillon/test/bench/results"
)

// Nobody edits the page: it is what the model says of the results.
func TestDocs_AreWhatTheModelSays(t *testing.T) {
	docs := filepath.Join("..", "..", "..", "docs")
	run, err := results.Read(filepath.Join(docs, "benchmarks", "results.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := read(run)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(docs, "capacity.md"))
	if err != nil || !bytes.Equal(got, page(c, run.Conditions)) {
		t.Errorf("docs/capacity.md is not what the results say: make bench-docs (%v)", err)
	}
}
