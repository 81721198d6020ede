//go:build !race

package hub_test

import (
	"testing"

	"github.com/carillon-io/carillon/internal/sio/hub"
	"github.com/carillon-io/carillon/internal/sio/wire"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// counts is a recipient that only counts.
type counts struct {
	remembers
	delivered int
}

func (c *counts) Deliver(bool, *wire.Message) bool {
	c.delivered++
	return true
}

func TestHub_ABroadcastAllocatesNothingButWhatItsRecipientsDo(t *testing.T) {
	h, _ := newHub(t, 0)
	r := &counts{remembers: remembers{connected: true}}
	if !h.Add(&r.Member, "a", hub.Recipient(r)) {
		t.Fatal("not added")
	}
	var c adapter.Command = adapter.Broadcast{
		Namespace: "/n", Target: rooms.Target{Rooms: []string{"a"}}, Args: packet.Args{JSON: []byte(`["e"]`)},
	}
	const runs = 200
	if allocs := testing.AllocsPerRun(runs, func() { h.Apply(c) }); allocs >= 1 {
		t.Errorf("%v allocations", allocs)
	}
	if r.delivered != runs+1 {
		t.Errorf("%d deliveries", r.delivered)
	}
}
