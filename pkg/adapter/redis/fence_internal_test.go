package redis

import (
	"testing"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/internal/redisserver"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// following is counting that follows namespaces.
type following struct {
	*counting

	fences []adapter.Fence
	lanes  []adapter.Lane
}

func (f *following) DeliverAt(c adapter.Command, _ adapter.Arrival) int { return f.Deliver(c) }

func (f *following) Fenced(_ string, name adapter.Fence, lane adapter.Lane) {
	f.fences, f.lanes = append(f.fences, name), append(f.lanes, lane)
}

// fencing is an adapter that is fed by hand, and follows the main namespace.
func fencing(t testing.TB) (*Adapter, *following) {
	t.Helper()
	a, n := receiver(t, Config{NodeID: "this", Fences: true})
	f := &following{counting: n}
	a.follower = f
	a.Fencer().Follow("/")
	return a, f
}

// TestFence_WhatIsReceived: another server's fence has lane 0, and what is no fence is dropped.
func TestFence_WhatIsReceived(t *testing.T) {
	for payload, c := range map[string]struct {
		drop redisserver.Drop
		lane adapter.Lane
		came bool
	}{
		`{"node":"a","number":7,"nsp":"/"}`:                  {redisserver.Accepted, 5, true},
		`{"node":"a","number":7,"nsp":"/","server":"here"}`:  {redisserver.Accepted, 5, true},
		`{"node":"a","number":7,"nsp":"/","server":"there"}`: {redisserver.Accepted, 0, true},
		`{"node":"a","number":7,"nsp":"/","later":true}`:     {redisserver.Accepted, 5, true},
		`{"node":"a","number":7,"nsp":"/unfollowed"}`:        {redisserver.Accepted, 0, false},
		`{"node":"this","number":7,"nsp":"/"}`:               {redisserver.Accepted, 5, true},
		`{"node":"a","number":0,"nsp":"/"}`:                  {droppedMalformed, 0, false},
		`{"node":"","number":7,"nsp":"/"}`:                   {droppedMalformed, 0, false},
		`{"node":"a","number":-1,"nsp":"/"}`:                 {droppedMalformed, 0, false},
		`["a"]`:                                              {droppedMalformed, 0, false},
		``:                                                   {droppedMalformed, 0, false},
	} {
		a, f := fencing(t)
		drop := a.fenced("here", &redisconn.Push{Payload: []byte(payload), Lane: 5})
		if drop != c.drop || (len(f.lanes) == 1) != c.came || c.came && f.lanes[0] != c.lane {
			t.Errorf("%s: dropped as %d, lanes %v; want %d, lane %d, %t", payload, drop, f.lanes, c.drop, c.lane, c.came)
		}
	}
}

func FuzzFence(f *testing.F) {
	f.Add([]byte(`{"node":"a","number":7,"nsp":"/","server":"there"}`))
	f.Add([]byte(`{"node":1}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		a, n := fencing(t)
		drop := a.fenced("here", &redisconn.Push{Payload: payload, Lane: 5})
		if drop != redisserver.Accepted && drop != droppedMalformed {
			t.Errorf("dropped as %d", drop)
		}
		for _, name := range n.fences {
			if name == (adapter.Fence{}) {
				t.Error("a fence without a name")
			}
		}
	})
}
