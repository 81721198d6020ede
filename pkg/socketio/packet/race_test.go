//go:build race

package packet_test

// raceEnabled: the race detector's build allocates where others do not.
const raceEnabled = true
