package redisserver

import (
	"testing"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/internal/redisqueue"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// TestPublisher_SendsAgainOnlyWhatKeepsTheOrder: what was refused before a later message of its slot was taken is lost.
func TestPublisher_SendsAgainOnlyWhatKeepsTheOrder(t *testing.T) {
	busy, refused := redisconn.Error("BUSY script"), redisconn.Error("NOPERM no")
	moved := redisconn.Error("MOVED 2 second:1")
	for name, c := range map[string]struct {
		results []error // of messages in slots 1, 2, 1, 2 and so on
		again   []string
		down    bool
	}{
		"all taken":              {[]error{nil, nil, nil}, nil, false},
		"all refused for now":    {[]error{busy, busy, busy, busy}, []string{"0", "1", "2", "3"}, true},
		"the last ones":          {[]error{nil, nil, busy, busy}, []string{"2", "3"}, true},
		"the first ones":         {[]error{busy, busy, nil, nil}, nil, true},
		"one between two":        {[]error{busy, nil, nil, busy, busy}, []string{"3", "4"}, true},
		"another slot was taken": {[]error{busy, nil, busy, nil}, []string{"0", "2"}, true},
		"for good":               {[]error{refused, adapter.ErrUnknown, refused}, nil, false},
		"one slot has moved":     {[]error{nil, moved, nil, moved, nil}, []string{"1", "3"}, false},
	} {
		_, first, _ := twoServers(t)
		p := &publisher{Server: first}
		for i, err := range c.results {
			p.batch = append(p.batch, redisqueue.Message{Slot: uint16(1 + i%2), Payload: []byte{'0' + byte(i)}})
			p.results = append(p.results, result{err: err})
		}
		if down := p.sort(); down != c.down {
			t.Errorf("%s: down %v", name, down)
		}
		if got := payloads(p.again); len(got) != len(c.again) {
			t.Errorf("%s: %q instead of %q", name, got, c.again)
		} else {
			expectPayloads(t, p.again, c.again...)
		}
	}
}
