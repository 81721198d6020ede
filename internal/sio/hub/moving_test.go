package hub_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/recovery"
	"github.com/carillon-io/carillon/internal/sio/hub"
	"github.com/carillon-io/carillon/internal/sio/tally"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"go.uber.org/zap"
)

// A room that is held for a member on its way while another leaves it, and then has that member, is held at every moment.
func TestHub_HoldsARoomThatPassesFromMemberToMember(t *testing.T) {
	counts, err := tally.New(zap.NewNop(), nil)
	if err != nil {
		t.Fatal(err)
	}
	store, err := recovery.New(recovery.Config{Window: time.Minute, Bytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	server := &hub.Server{
		Adapter: &touches{rooms: make(map[string]int)}, Tally: counts, Recovery: store, MaxRooms: func() int { return 10 },
	}
	t.Cleanup(server.Wait)
	h := server.New("/n", func(packet.Args, func(packet.Args)) {})
	room := []string{"r"}
	enter := func(id string) *remembers {
		r := &remembers{connected: true}
		if !h.Add(&r.Member, id, r) || h.Join(&r.Member, room) != nil {
			t.Errorf("%s was not added", id)
		}
		return r
	}
	present := enter("m")
	over := make(chan struct{})
	go func() {
		defer close(over)
		for n := range 5_000 {
			arrival := h.Log().Expect()
			release := h.Hold(room)
			h.Remove(&present.Member)
			present = enter(fmt.Sprint("m", n))
			release()
			arrival.End()
		}
	}()
	var missed atomic.Int64
	var looking sync.WaitGroup
	for range 8 { // more than there are processors: they are interrupted anywhere
		looking.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
					if !h.Holds("r") {
						missed.Add(1)
					}
				}
			}
		})
	}
	looking.Wait()
	if n := missed.Load(); n > 0 {
		t.Errorf("the room was not held at %d moments", n)
	}
}
