package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/carillon-io/carillon/test/bench/results"
)

// The page is what the model says of the results, and is never edited.
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
	if err != nil || !bytes.Equal(got, page(c, run)) {
		t.Errorf("docs/capacity.md is not what the results say: make bench-docs (%v)", err)
	}
}
