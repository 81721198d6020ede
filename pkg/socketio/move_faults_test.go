package socketio_test

import (
	"sync/atomic"
	"testing"

	"github.com/carillon-io/carillon/pkg/socketio"
)

// slowData is Data that takes its time to become JSON when the session is described for another server.
type slowData struct {
	calls     atomic.Int32
	slow      int32 // which call it is; the first is for whether it can be described
	begun     chan struct{}
	continued chan struct{}
}

func (d *slowData) MarshalJSON() ([]byte, error) {
	if d.calls.Add(1) == d.slow {
		close(d.begun)
		<-d.continued
	}
	return []byte(`7`), nil
}

// claimSlowly has a client claim its session at the second server, and returns while a call of MarshalJSON at the first one holds
// that up. proceed ends the call. first is the client with the connection of the claim.
func (s *several) claimSlowly(t *testing.T, slow int32) (c, first *returning, proceed func()) {
	t.Helper()
	c, socket := s.inRoom(t)
	d := &slowData{slow: slow, begun: make(chan struct{}), continued: make(chan struct{})}
	socket.SetData(d)
	s.away(t, c, socket)
	claiming := *c
	claiming.peer = dial(t, s.urls[1])
	claiming.send("40" + claiming.claim())
	<-d.begun
	return c, &claiming, func() { close(d.continued) }
}

func TestMove_ALaterClaimEndsAMoveBeforeItsFence(t *testing.T) {
	s := inMemory(t, 2, nil)
	c, first, proceed := s.claimSlowly(t, 2)
	if !c.back() {
		t.Fatal("not recovered where the session is")
	}
	c.expectEvents(`["2"]`)
	proceed()
	if err := first.ended(); err == nil {
		t.Error("the transport of the earlier claim was not closed")
	}
	emit(t, s.nodes[1].Of("/").To("a"), "3")
	c.expectEvents(`["3"]`)
}

func TestMove_ASessionOfAServerThatMovesNoneIsUnknown(t *testing.T) {
	s := inMemory(t, 2, func(cfg *socketio.Config) {
		if cfg.Engine.Tag() == "tag0" {
			cfg.Recovery.Peers = nil
		}
	})
	c, socket := s.inRoom(t)
	s.away(t, c, socket)
	c.url = s.urls[1]
	if c.back() {
		t.Error("recovered")
	}
}

func TestMove_ADisconnectIsToldWhereverTheSessionHasBeen(t *testing.T) {
	s := inMemory(t, 3, nil)
	c, socket := s.inRoom(t)
	s.away(t, c, socket)
	connected := sockets(s.nodes[1].Of("/"))
	c.url = s.urls[1]
	if !c.back() {
		t.Fatal("not recovered")
	}
	c.expectEvents(`["2"]`)
	c.hangup()
	socket = receive(t, connected)
	gone(t, socket)
	s.nodes[2].Of("/").To(c.sid).DisconnectSockets(false)
	eventually(t, "the session has ended", func() bool { return len(socket.Rooms(nil)) == 0 })
	c.dialAny(t, s.urls[2])
	c.expect("41")
}

// TestMove_OfWhatCameBeforeTheKeyOfTheCluster: the servers agree on a key only after the client has missed something.
func TestMove_OfWhatCameBeforeTheKeyOfTheCluster(t *testing.T) {
	s := inMemory(t, 2, func(cfg *socketio.Config) { cfg.Recovery.Key = nil })
	c, socket := s.inRoom(t)
	s.away(t, c, socket)
	for _, n := range s.nodes {
		n.SetRecoveryKey([32]byte{7})
	}
	c.url = s.urls[1]
	if !c.back() {
		t.Fatal("not recovered")
	}
	c.expectEvents(`["2"]`)
}
