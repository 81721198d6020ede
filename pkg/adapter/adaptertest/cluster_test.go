package adaptertest_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/adapter/adaptertest"
	"github.com/carillon-io/carillon/pkg/rooms"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCluster_Conforms(t *testing.T) {
	adaptertest.Run(t, 3, func(_ *testing.T, n int) []adapter.Adapter {
		c := adaptertest.NewCluster(n)
		var adapters []adapter.Adapter
		for i := range n {
			adapters = append(adapters, c.Adapter(i))
		}
		return adapters
	}, adaptertest.Fences)
}

func TestEchoingCluster_Conforms(t *testing.T) {
	adaptertest.Run(t, 3, func(_ *testing.T, n int) []adapter.Adapter {
		c := adaptertest.NewEchoingCluster(n)
		var adapters []adapter.Adapter
		for i := range n {
			adapters = append(adapters, c.Adapter(i))
		}
		return adapters
	})
}

// member is a node that answers the names of its rooms and hands on what it is told.
type member struct {
	rooms    []string
	commands chan adapter.Command
}

func (m *member) Deliver(c adapter.Command) int {
	m.commands <- c
	return 0
}

func (m *member) Holds(_, name string) bool { return slices.Contains(m.rooms, name) }
func (m *member) Answer(_ adapter.Query, reply func(adapter.Reply)) {
	reply(adapter.RoomNames(m.rooms))
}

// run starts every node of a cluster, with "/" open, in a bubble of synctest.
func run(t *testing.T, nodes ...*member) (c *adaptertest.Cluster, end []context.CancelFunc) {
	c = adaptertest.NewCluster(len(nodes))
	for i, n := range nodes {
		n.commands = make(chan adapter.Command, 100)
		ctx, cancel := context.WithCancel(t.Context())
		c.Adapter(i).Open("/")
		go func() {
			if err := c.Adapter(i).Run(ctx, n); err != nil {
				t.Errorf("Run: %v", err)
			}
		}()
		end = append(end, cancel)
	}
	synctest.Wait()
	return c, end
}

func TestCluster_NodeHearsARoomFromItsTouchUntilTheTouchAfterItLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		receiver := &member{}
		c, _ := run(t, &member{}, receiver)
		for _, step := range []struct {
			rooms []string
			touch bool
			heard int
		}{
			{rooms: []string{"red"}, touch: false, heard: 0},
			{rooms: []string{"red"}, touch: true, heard: 1},
			{rooms: nil, touch: false, heard: 1},
			{rooms: nil, touch: true, heard: 0},
		} {
			receiver.rooms = step.rooms
			if step.touch {
				c.Adapter(1).Touch("/", "red")
			}
			synctest.Wait()
			c.Adapter(0).Publish(adapter.Broadcast{Namespace: "/", Target: rooms.Target{Rooms: []string{"red"}}}, nil)
			synctest.Wait()
			if heard := len(receiver.commands); heard != step.heard {
				t.Errorf("%+v: %d commands came", step, heard)
			}
			for len(receiver.commands) > 0 {
				<-receiver.commands
			}
		}
	})
}

func TestCluster_PausedNodeIsMissingUntilItResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := run(t, &member{}, &member{rooms: []string{"one"}}, &member{rooms: []string{"two"}})
		ask := func() (replies int, missing []string) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			missing, err := c.Adapter(0).Ask(ctx, adapter.AllRooms{Namespace: "/"}, func(adapter.Reply) { replies++ })
			if err != nil {
				t.Errorf("Ask: %v", err)
			}
			return replies, missing
		}
		c.Adapter(2).Pause()
		if replies, missing := ask(); replies != 1 || !slices.Equal(missing, []string{c.Adapter(2).Name()}) {
			t.Errorf("paused: %d replies, missing %q", replies, missing)
		}
		c.Adapter(2).Resume()
		if replies, missing := ask(); replies != 2 || missing != nil {
			t.Errorf("resumed: %d replies, missing %q", replies, missing)
		}
	})
}

func TestCluster_NodeThatEndsIsMissingAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, end := run(t, &member{}, &member{})
		c.Adapter(1).Pause()
		start := time.Now()
		done := make(chan []string)
		go func() {
			missing, err := c.Adapter(0).Ask(t.Context(), adapter.AllRooms{Namespace: "/"}, func(adapter.Reply) {})
			if err != nil {
				t.Errorf("Ask: %v", err)
			}
			done <- missing
		}()
		synctest.Wait()
		end[1]()
		if missing := <-done; !slices.Equal(missing, []string{"node-1"}) || time.Since(start) > 0 {
			t.Errorf("missing %q after %s", missing, time.Since(start))
		}
	})
}

func TestCluster_PausedNodeConfirmsWithAnErrorInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := run(t, &member{rooms: []string{"red"}})
		c.Adapter(0).Pause()
		done := make(chan error, 1)
		c.Adapter(0).Confirm("/", []string{"red"}, func(err error) { done <- err })
		if err := <-done; !errors.Is(err, adapter.ErrAway) {
			t.Errorf("Confirm: %v", err)
		}
	})
}

// TestCluster_BreakEndsTheLane: a fence that was on its way is lost with all else, and both sides can tell.
func TestCluster_BreakEndsTheLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := run(t, &member{}, &member{})
		fencer := adapter.FencerOf(c.Adapter(0))
		var lanes []adapter.Lane
		fencer.ConfirmLanes("/", nil, func(l []adapter.Lane, err error) { lanes = l })
		synctest.Wait()
		if len(lanes) != 1 || !fencer.Whole(lanes) {
			t.Fatalf("lanes %v, whole %t", lanes, fencer.Whole(lanes))
		}
		c.Adapter(0).Pause()
		outcome := errors.New("none")
		_, back := fencer.Fence("/", nil, func(err error) { outcome = err })
		if !slices.Equal(back, lanes) {
			t.Errorf("the fence comes back in %v instead of %v", back, lanes)
		}
		c.Adapter(0).Break()
		c.Adapter(0).Resume()
		if !errors.Is(outcome, adapter.ErrAway) || fencer.Whole(lanes) {
			t.Errorf("after Break: %v, whole %t", outcome, fencer.Whole(lanes))
		}
		fencer.ConfirmLanes("/", nil, func(l []adapter.Lane, err error) { lanes = l })
		synctest.Wait()
		if !fencer.Whole(lanes) {
			t.Errorf("new lanes %v are not whole", lanes)
		}
	})
}
