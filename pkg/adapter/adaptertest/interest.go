package adaptertest

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/carillon-io/carillon/pkg/adapter"
)

// race publishes to a room from goroutines of its own while the caller joins it.
func race(wg *sync.WaitGroup, nodes []*node, name string) {
	for _, n := range nodes {
		wg.Go(func() {
			for i := range 20 {
				// Whether these arrive is open, and so is whether the queue takes them all.
				n.publish(adapter.Broadcast{Namespace: mainNsp, Args: event("noise", i), Target: to(name)})
			}
		})
	}
}

func marker(i int, name string) adapter.Broadcast {
	return adapter.Broadcast{Namespace: mainNsp, Args: event("marker", i), Target: to(name)}
}

// expectOnce waits for commands and then sees that each came once.
func expectOnce(t *testing.T, n *node, want []adapter.Broadcast) {
	t.Helper()
	for _, c := range want {
		n.await(t, mainNsp, show(c))
	}
	heard := slices.Sorted(slices.Values(n.heard(mainNsp)))
	for _, c := range want {
		s := show(c)
		at, found := slices.BinarySearch(heard, s)
		if !found || at+1 < len(heard) && heard[at+1] == s {
			t.Errorf("%s did not hear once: %s", n.name, s)
		}
	}
}

func testConfirmRacing(t *testing.T, nodes []*node) {
	const joins, joiners = 200, 8
	names := make([]string, joins)
	for i := range names {
		names[i] = fmt.Sprint("room-", i)
	}
	next := make(chan int)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var markers []adapter.Broadcast
	for range joiners {
		wg.Go(func() {
			for i := range next {
				race(&wg, []*node{nodes[0], nodes[2]}, names[i])
				nodes[1].hold(mainNsp, true, names[i])
				nodes[1].Touch(mainNsp, names[i])
				confirmed := nodes[1].newOutcome()
				nodes[1].Confirm(mainNsp, names[i:i+1], confirmed.done)
				if err := <-confirmed.first; err != nil {
					t.Errorf("confirm %s: %v", names[i], err)
					continue
				}
				m := marker(i, names[i])
				if err := <-nodes[i%2*2].publish(m).first; err != nil {
					t.Errorf("publish to %s: %v", names[i], err)
					continue
				}
				mu.Lock()
				markers = append(markers, m)
				mu.Unlock()
			}
		})
	}
	for i := range joins {
		next <- i
	}
	close(next)
	wg.Wait()
	if len(markers) != joins {
		t.Fatalf("%d joins of %d", len(markers), joins)
	}
	expectOnce(t, nodes[1], markers)
}

// testConfirmChurn changes its mind often, so that hints and confirmations of several wishes are under way together.
func testConfirmChurn(t *testing.T, nodes []*node) {
	const rounds = 50
	var markers []adapter.Broadcast
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range rounds {
		race(&wg, []*node{nodes[0]}, "red")
		for range 3 {
			nodes[1].hold(mainNsp, true, "red")
			nodes[1].Touch(mainNsp, "red")
			nodes[1].hold(mainNsp, false, "red")
			nodes[1].Touch(mainNsp, "red")
		}
		nodes[1].join(t, mainNsp, "red")
		m := marker(i, "red")
		nodes[2].mustPublish(t, m)
		markers = append(markers, m)
		// The next round leaves the room, and what is on its way then may be lost.
		nodes[1].await(t, mainNsp, show(m))
	}
	expectOnce(t, nodes[1], markers)
}

func testConfirmMany(t *testing.T, nodes []*node) {
	const count = 3000
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprint("room-", i)
	}
	nodes[1].join(t, mainNsp, names...)
	var markers []adapter.Broadcast
	for i := 0; i < count; i += 97 {
		m := marker(i, names[i])
		nodes[0].mustPublish(t, m)
		markers = append(markers, m)
	}
	expectOnce(t, nodes[1], markers)
}
