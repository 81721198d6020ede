package upstream_test

import (
	"errors"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/upstream"
)

func TestClose_DoesNotWaitForARedisThatIsAwayOrHangs(t *testing.T) {
	for name, harm := range map[string]func(*server){
		"away":  func(s *server) { s.Kill() },
		"hangs": func(s *server) { s.Signal(syscall.SIGSTOP) },
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t)
			n := startWith(t, goredis.NewClient(&goredis.Options{
				Addr: s.Address, Protocol: 2, MaxRetries: -1, DialTimeout: time.Hour, ReadTimeout: time.Hour,
			}), route(func(r *config.Route) { r.Lifecycle, r.Deadline = true, time.Hour }))
			c := n.open(upstream.Client{ID: "sid"})
			receive(t, "outcome", c.send("orders", "e", "[]"))
			harm(s)
			stored := c.send("orders", "e", "[]")
			c.leave("server shutting down")
			n.leave(100 * time.Millisecond) // or the test would take an hour
			select {
			case got := <-stored:
				if got.err == nil || !errors.Is(got.err, upstream.ErrUnavailable) {
					t.Errorf("an event that is left over: %v", got.err)
				}
			default: // nothing waits for it any more
			}
		})
	}
}

func TestClose_StoresWhatIsUnderWay(t *testing.T) {
	s := startServer(t)
	n := startNode(t, s, route(lifecycle))
	c := n.open(upstream.Client{ID: "sid"})
	for range 2000 {
		c.send("orders", "e", "[]")
	}
	c.leave("server shutting down")
	n.leave(patience)
	if entries := s.entries(orders); len(entries) != 2002 || entries[2001].Values["reason"] != "server shutting down" {
		t.Errorf("%d entries", len(entries))
	}
	if left := s.Client.HLen(t.Context(), "carillon:{upstream}:nodes").Val(); left != 0 {
		t.Errorf("%d nodes are still registered", left)
	}
}

// A heartbeat that is at Redis while the node leaves does not register it again.
func TestClose_LeavesNoHeartbeatBehind(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	often := fast
	often.Beat = 100 * time.Microsecond
	for range 50 {
		n := startAt(t, goredis.NewClient(&goredis.Options{Addr: s.Address, Protocol: 2}), often, route(lifecycle))
		c := n.open(upstream.Client{ID: "sid"})
		receive(t, "outcome", c.send("orders", "e", "[]"))
		c.leave("server shutting down")
		n.leave(patience)
		if left := s.Client.HGetAll(t.Context(), "carillon:{upstream}:nodes").Val(); len(left) != 0 {
			t.Fatalf("still registered: %v", left)
		}
	}
}
