//go:build !race

package socketio_test

// raceEnabled: the race detector allocates by itself, so allocations are not counted.
const raceEnabled = false
