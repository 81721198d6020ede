//go:build race

package engine_test

// raceEnabled: the race detector allocates by itself, so allocations are not counted.
const raceEnabled = true
