package redisconn_test

import (
	"errors"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/redisconn"
)

func TestMovedTo_ReadsOnlyWhatRedisSaysSo(t *testing.T) {
	for text, want := range map[string]struct {
		slot    uint16
		address string
	}{
		"MOVED 3999 127.0.0.1:6381":  {3999, "127.0.0.1:6381"},
		"MOVED 0 :6381":              {0, "10.0.0.1:6381"},
		"MOVED 16383 [::1]:6381":     {16383, "[::1]:6381"},
		"MOVED 16384 127.0.0.1:6381": {},
		"MOVED -1 127.0.0.1:6381":    {},
		"MOVED x 127.0.0.1:6381":     {},
		"MOVED 1":                    {},
		"MOVEDX 1 a:1":               {},
		"ASK 3999 127.0.0.1:6381":    {},
	} {
		slot, address, ok := redisconn.MovedTo(redisconn.Error(text), "10.0.0.1:7000")
		if slot != want.slot || address != want.address || ok != (want.address != "") {
			t.Errorf("%q: %d, %q, %v", text, slot, address, ok)
		}
	}
	if _, _, ok := redisconn.MovedTo(errors.New("MOVED 1 a:1"), ""); ok {
		t.Error("an error that is no reply")
	}
}

func TestErrors_AreToldApart(t *testing.T) {
	for text, want := range map[string][4]bool{ // not now, denied, its channel, unknown command
		"BUSY Redis is busy running a script.":                                                {true},
		"LOADING Redis is loading":                                                            {true},
		"MASTERDOWN Link with MASTER is down":                                                 {true},
		"TRYAGAIN Multiple keys request":                                                      {true},
		"CLUSTERDOWN Hash slot not served":                                                    {true},
		"ERR unknown command 'SSUBSCRIBE'":                                                    {3: true},
		"NOAUTH Authentication required.":                                                     {1: true},
		"NOPERM this user has no permissions to run the 'subscribe' command":                  {1: true},
		"NOPERM this user has no permissions to access one of the channels used as arguments": {1: true, 2: true},
		"NOPERM User u has no permissions to access the 'c' channel":                          {1: true, 2: true},
		"BUSYGROUP exists":                                                                    {},
	} {
		err := redisconn.Error(text)
		got := [4]bool{
			redisconn.NotNow(err), redisconn.Denied(err), redisconn.DeniedChannel(err), redisconn.UnknownCommand(err),
		}
		if got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestNoWrites_IsForNow(t *testing.T) {
	for text, want := range map[string]bool{
		"OOM command not allowed when used memory > 'maxmemory'.":   true,
		"NOREPLICAS Not enough good replicas to write.":             true,
		"MISCONF Redis is configured to save RDB snapshots, but it": true,
		"WRONGTYPE Operation against a key":                         false,
		"READONLY You can't write against a read only replica.":     false,
	} {
		if got := redisconn.NoWrites(redisconn.Error(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	if !redisconn.Asks(redisconn.Error("ASK 3999 127.0.0.1:6381")) || redisconn.Asks(redisconn.Error("MOVED 3999 127.0.0.1:6381")) {
		t.Error("ASK is not told from MOVED")
	}
}

func TestBackoff_GrowsToItsLimitAndStaysSpread(t *testing.T) {
	var b redisconn.Backoff
	for i, want := range []time.Duration{50, 100, 200, 400, 800, 1600, 2000, 2000} {
		want *= time.Millisecond
		if got := b.Delay(); got < want/2 || got >= want*3/2 {
			t.Errorf("delay %d is %s instead of about %s", i, got, want)
		}
	}
	b.Reset()
	if got := b.Delay(); got >= 75*time.Millisecond {
		t.Errorf("after a reset %s", got)
	}
}
