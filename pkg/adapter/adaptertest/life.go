package adaptertest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/carillon-io/carillon/pkg/adapter"
)

func testRunEnds(t *testing.T, nodes []*node) {
	nodes[1].join(t, mainNsp, "red")
	n := nodes[0]
	for i := range 100 { // some of them still on their way when Run ends
		n.publish(adapter.Broadcast{Namespace: mainNsp, Args: event("last", i), Target: to("red")})
	}
	if err := n.end(); err != nil {
		t.Fatalf("Run: %v", err)
	}
	if n.State().Connected {
		t.Error("connected after Run")
	}
	late := n.publish(adapter.Broadcast{Namespace: mainNsp, Args: event("late", 1)})
	if err := late.wait(t); !errors.Is(err, adapter.ErrAway) {
		t.Errorf("Publish after Run: %v", err)
	}
	confirmed := n.newOutcome()
	n.Confirm(mainNsp, []string{"red"}, confirmed.done)
	if err := confirmed.wait(t); !errors.Is(err, adapter.ErrAway) {
		t.Errorf("Confirm after Run: %v", err)
	}
	_, err := n.Ask(context.Background(), adapter.AllRooms{Namespace: mainNsp}, func(adapter.Reply) {})
	if !errors.Is(err, adapter.ErrAway) {
		t.Errorf("Ask after Run: %v", err)
	}
	n.Touch(mainNsp, "red")
	n.Close(mainNsp)

	for _, other := range nodes[1:] {
		if err := other.end(); err != nil {
			t.Fatalf("Run: %v", err)
		}
	}
}

// testComeAndGo ends all nodes but one while everybody talks, joins and asks; the one left has to be none the worse.
func testComeAndGo(t *testing.T, nodes []*node) {
	var wg sync.WaitGroup
	for i, n := range nodes {
		n.answers(func(_ adapter.Query, reply func(adapter.Reply)) { reply(adapter.RoomNames{"x"}) })
		started := make(chan struct{})
		wg.Go(func() {
			for k := range 200 {
				n.publish(adapter.Broadcast{Namespace: mainNsp, Args: event("talk", k)})
				n.hold(mainNsp, k%2 == 0, "red")
				n.Touch(mainNsp, "red")
				n.Confirm(mainNsp, []string{"red"}, n.newOutcome().done)
				if k == 20 {
					close(started)
				}
			}
		})
		wg.Go(func() {
			<-started
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			// Whoever ends meanwhile is missing, or could not ask; either is right.
			_, _ = n.Ask(ctx, adapter.AllRooms{Namespace: mainNsp}, func(adapter.Reply) {})
		})
		if i > 0 {
			wg.Go(func() {
				<-started
				if err := n.end(); err != nil {
					t.Errorf("%s: Run: %v", n.name, err)
				}
			})
		}
	}
	wg.Wait()
	nodes[0].join(t, mainNsp, "after")
	nodes[0].mustPublish(t, adapter.Broadcast{Namespace: mainNsp, Args: event("after", 1)})
}
