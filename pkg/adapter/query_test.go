package adapter_test

import (
	"testing"

	"github.com/carillon-io/carillon/pkg/adapter"
)

// A query that is taken for a command would be published instead of asked, and its asker would wait in vain.
func TestQuery_NoneIsACommand(t *testing.T) {
	for _, q := range []adapter.Query{
		adapter.FetchSockets{}, adapter.AllRooms{}, adapter.ServerAsk{}, adapter.BroadcastAsk{},
	} {
		if _, ok := q.(adapter.Command); ok {
			t.Errorf("%T is a command", q)
		}
	}
}
