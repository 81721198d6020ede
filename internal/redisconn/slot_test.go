package redisconn_test

import (
	"testing"

	"github.com/carillon-io/carillon/internal/redisconn"
)

func TestSlot_IsRedisCluster(t *testing.T) {
	for name, want := range map[string]uint16{ // CLUSTER KEYSLOT
		"": 0, "123456789": 12739, "foo": 12182, "foo{}{bar}": 8363, "foo{{bar}}zap": 4015, "foo{bar}{zap}": 5061,
		"{user1000}.following": 3443, "socket.io#/#": 13868,
	} {
		if got := redisconn.Slot(name); got != want {
			t.Errorf("%q: slot %d instead of %d", name, got, want)
		}
	}
}
