package upstream

import (
	"testing"
	"time"
)

func TestToken_SaysWhetherAnAnswerIsLate(t *testing.T) {
	deadline := time.UnixMilli(1_800_000_000_000).Add(300 * time.Microsecond)
	for after, want := range map[time.Duration]bool{
		-time.Second:           false,
		-time.Millisecond:      false,
		0:                      true,
		100 * time.Microsecond: true, // in the same millisecond
		time.Millisecond:       true,
		time.Hour:              true,
	} {
		if got := late(newToken(deadline), deadline.Add(after)); got != want {
			t.Errorf("%v after the deadline: late %t, want %t", after, got, want)
		}
	}
	for _, token := range []string{"", "-", "zz", "made up-x", "1"} {
		if late(token, deadline) {
			t.Errorf("%q, which is no token of a node, is late", token)
		}
	}
}
