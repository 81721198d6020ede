//go:build race

package backend

// raceEnabled: the race detector's build allocates where others do not.
const raceEnabled = true
