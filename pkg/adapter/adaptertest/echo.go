package adaptertest

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/carillon-io/carillon/pkg/adapter"
)

// echoed are the commands that come back to the node that published them, where its adapter echoes.
func echoed(commands []adapter.Command) []adapter.Command {
	return slices.DeleteFunc(slices.Clone(commands), func(c adapter.Command) bool {
		_, ok := c.(adapter.ServerEmit)
		return ok
	})
}

// testEcho holds the adapter to what it answers for.
func testEcho(t *testing.T, nodes []*node) {
	n := nodes[0]
	n.join(t, mainNsp, heldRooms...)
	for _, c := range commandsIn(mainNsp) {
		n.mustPublish(t, c)
	}
	flush(t, nodes)
	if n.Echoes() {
		n.await(t, mainNsp, show(adapter.Broadcast{Namespace: mainNsp, Args: event(flushEvent, 0)}))
		expect(t, n, mainNsp, showAll(echoed(commandsIn(mainNsp))))
	} else {
		expect(t, n, mainNsp, nil)
	}
}

// testOneOrder has all nodes publish at the same time: where the adapter echoes, all receive the same commands in the same
// order, and the offsets of broadcasts tell it.
func testOneOrder(t *testing.T, nodes []*node) {
	const each = 50
	for _, n := range nodes {
		n.join(t, mainNsp, "red")
	}
	var group sync.WaitGroup
	for i, n := range nodes {
		group.Go(func() {
			for k := range each {
				n.publish(adapter.Broadcast{Namespace: mainNsp, Args: event(fmt.Sprint("of ", i), k), Target: to("red")})
			}
		})
	}
	group.Wait()
	flush(t, nodes)
	if !nodes[0].Echoes() {
		for _, n := range nodes {
			if offsets := n.heardOffsets(); slices.ContainsFunc(offsets, func(o string) bool { return o != "" }) {
				t.Errorf("%s received offsets: %q", n.name, offsets)
			}
		}
		return
	}
	for _, n := range nodes {
		n.awaitCommands(t, len(nodes)*(each+1))
		expect(t, n, mainNsp, nodes[0].heard(mainNsp))
		offsets := n.heardOffsets()
		if !slices.IsSortedFunc(offsets, compareOffsets) || len(slices.Compact(slices.Clone(offsets))) != len(nodes)*(each+1) {
			t.Errorf("%s: offsets do not ascend: %q", n.name, offsets)
		}
		if !slices.Equal(offsets, nodes[0].heardOffsets()) {
			t.Errorf("%s and %s were told other offsets", n.name, nodes[0].name)
		}
	}
}

// compareOffsets compares two numbers with a dash between them; what is none is 0.
func compareOffsets(a, b string) int {
	number := func(text string) uint64 {
		n, _ := strconv.ParseUint(text, 10, 64)
		return n
	}
	aLeft, aRight, _ := strings.Cut(a, "-")
	bLeft, bRight, _ := strings.Cut(b, "-")
	return cmp.Or(cmp.Compare(number(aLeft), number(bLeft)), cmp.Compare(number(aRight), number(bRight)))
}
