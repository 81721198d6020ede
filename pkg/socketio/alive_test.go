package socketio_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/carillon-io/carillon/pkg/socketio"
)

// claimEarlier has a client claim its session at the second server, and returns while it is fetched from the first one.
// proceed lets that go on. slow is the step of the owner's that takes its time: 1, it reserves the session; 2, it describes it.
// Without alive the client answers no ping; end says how its connection ended.
func (s *several) claimEarlier(t *testing.T, slow int32, alive bool) (c *returning, proceed func(), answer, end <-chan string) {
	t.Helper()
	c, first, proceed := s.claimSlowly(t, slow)
	answers, ends := make(chan string, 1), make(chan string, 1)
	go func() {
		for {
			_, text, err := first.ws.ReadMessage()
			switch {
			case err != nil:
				ends <- err.Error()
				return
			case string(text) == "2" && alive:
				first.send("3")
			case len(text) > 1 && string(text[:2]) == "40":
				answers <- string(text)
			}
		}
	}()
	return c, proceed, answers, ends
}

// TestMove_AnEarlierClaimElsewhereIsAsked: between servers as on one, a later claim is preferred unless the client of the earlier one
// answers a ping.
func TestMove_AnEarlierClaimElsewhereIsAsked(t *testing.T) {
	for name, at := range map[string]int{"at the owner": 0, "at a third server": 2} {
		t.Run(name, func(t *testing.T) {
			t.Run("it answers", func(t *testing.T) {
				s := inMemory(t, 3, func(cfg *socketio.Config) { cfg.Recovery.MoveTimeout = patience })
				c, proceed, answer, _ := s.claimEarlier(t, 2, true)
				later := *c
				later.url = s.urls[at]
				if later.back() {
					t.Error("the later claim was preferred")
				}
				proceed()
				if got := receive(t, answer); !strings.Contains(got, c.pid) {
					t.Errorf("the earlier claim was answered %s", got)
				}
			})
			t.Run("it is silent", func(t *testing.T) {
				s := inMemory(t, 3, func(cfg *socketio.Config) { cfg.Recovery.MoveTimeout = patience })
				c, proceed, _, end := s.claimEarlier(t, 2, false)
				c.url = s.urls[at]
				if !c.back() {
					t.Fatal("not recovered")
				}
				proceed()
				c.expectEvents(`["2"]`)
				receive(t, end)
			})
		})
	}
}

// TestMove_AClaimWhileTheSessionIsReserved for an earlier one, which counts from its first moment on.
func TestMove_AClaimWhileTheSessionIsReserved(t *testing.T) {
	s := inMemory(t, 2, func(cfg *socketio.Config) { cfg.Recovery.MoveTimeout = patience })
	c, proceed, answer, _ := s.claimEarlier(t, 1, true)
	later := *c
	if later.back() {
		t.Error("the later claim was preferred")
	}
	proceed()
	if got := receive(t, answer); !strings.Contains(got, c.pid) {
		t.Errorf("the earlier claim was answered %s", got)
	}
}

// TestMove_WhileTheSessionIsGivenBackTheClientTriesAgain: it is entered as one of a server that cannot take it, which has not said so.
func TestMove_WhileTheSessionIsGivenBackTheClientTriesAgain(t *testing.T) {
	s := inMemory(t, 3, nil)
	c, socket := s.inRoom(t)
	s.away(t, c, socket)
	var silent atomic.Bool
	silent.Store(true)
	asked := make(chan struct{}, 100)
	s.peers[1].lost = func(call string) bool {
		if call != "done" {
			return false
		}
		asked <- struct{}{}
		return silent.Load()
	}
	s.log.unknown = func(to string) bool { return to == "tag1 1" }
	first := dial(t, s.urls[1])
	first.send("40" + c.claim())
	receive(t, asked)
	for _, at := range []int{0, 2} {
		c.sentAway(t, s.urls[at])
	}
	silent.Store(false)
	eventually(t, "the owner has changed the entry", func() bool {
		entry, _ := s.log.Entry(t.Context(), c.pid)
		return strings.HasPrefix(entry, "tag0 ")
	})
	c.url = s.urls[2]
	if !c.back() {
		t.Fatal("not recovered")
	}
	c.expectEvents(`["2"]`)
}
