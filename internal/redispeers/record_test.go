package redispeers

import (
	"strings"
	"testing"
)

func TestRecord_WhatCannotBeOneIsNotRead(t *testing.T) {
	probes := func(n int) string { return `{"id":"a","probes":["p"` + strings.Repeat(`,"p"`, n-1) + `]}` }
	for text, want := range map[string]bool{
		`{"id":"a","of later versions":1}`: true,
		`{"id":"b"}`:                       false,
		`{"id":"a"`:                        false,
		`{"id":"a","tags":[""]}`:           false,
		`{"id":"a","version":"` + strings.Repeat("x", maxRecord) + `"}`: false,
		probes(maxProbes):     true,
		probes(maxProbes + 1): false,
	} {
		if _, ok := decodeRecord("a", text); ok != want {
			t.Errorf("%.40s: %t", text, ok)
		}
	}
}
