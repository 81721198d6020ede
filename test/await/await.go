// Package await has the waits of tests for events that must occur, all with the same limit.
package await

import (
	"testing"
	"time"
)

// Limit is how long a test waits for an event that must occur. It only ends tests that would hang: machines that run tests may be
// so busy with other work that what takes milliseconds takes many seconds, so no test may fail earlier.
const Limit = time.Minute

// Deadline is the time at which an operation that starts now has hung: for SetReadDeadline and the like.
func Deadline() time.Time { return time.Now().Add(Limit) }

// True polls a condition until it holds; what names it in the failure.
func True(t testing.TB, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(Limit); !condition(); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("after %s: not %s", Limit, what)
		}
	}
}

// Value receives from a channel, which may also be closed; what names the value in the failure.
func Value[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(Limit):
		t.Fatalf("after %s: no %s", Limit, what)
		panic("unreachable")
	}
}
