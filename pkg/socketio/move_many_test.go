package socketio_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/socketio"
)

// crowd connects clients to the first server and cuts them off again.
func (s *several) crowd(t *testing.T, n int) []*returning {
	t.Helper()
	connected := sockets(s.nodes[0].Of("/"))
	all := make([]*returning, n)
	absent := make([]*socketio.Socket, n)
	for i := range all {
		all[i] = arrive(t, s.urls[0], "/")
		absent[i] = receive(t, connected)
	}
	for i, c := range all {
		c.hangup()
		gone(t, absent[i])
	}
	return all
}

// jam holds up calls until it is opened.
type jam struct {
	most    int32 // closes full
	calls   atomic.Int32
	full    chan struct{}
	cleared chan struct{} // lets the calls pass
}

func newJam(most int32) *jam {
	return &jam{most: most, full: make(chan struct{}), cleared: make(chan struct{})}
}

func (j *jam) pass() {
	if j.calls.Add(1) == j.most {
		close(j.full)
	}
	<-j.cleared
}

// claimAll has clients claim their sessions at a server. wait returns once all have done so.
func claimAll(t *testing.T, all []*returning, url string) (wait func()) {
	var claiming sync.WaitGroup
	for _, c := range all {
		c.url = url
		claiming.Go(func() {
			if !c.back() {
				t.Error("not recovered")
			}
		})
	}
	return claiming.Wait
}

// TestMove_ManyAtOnceWaitInLine: a server asks for a bounded number at a time, and each client has its session in the end.
func TestMove_ManyAtOnceWaitInLine(t *testing.T) {
	const clients, most = 100, 64
	s := inMemory(t, 2, nil)
	all := s.crowd(t, clients)
	asking := newJam(most)
	s.peers[1].lost = func(call string) bool {
		if call == "reserve" {
			asking.pass()
		}
		return false
	}
	wait := claimAll(t, all, s.urls[1])
	<-asking.full
	time.Sleep(moment) // in which more would ask
	if n := asking.calls.Load(); n != most {
		t.Errorf("%d sessions are asked for at a time", n)
	}
	close(asking.cleared)
	wait()
}

func TestMove_AServerThatHangsHoldsUpItsOwnSessionsAlone(t *testing.T) {
	const clients = 70 // more than are asked for at a time
	s := inMemory(t, 3, func(cfg *socketio.Config) { cfg.Recovery.MoveTimeout = time.Minute })
	hanging := s.crowd(t, clients)
	connected := sockets(s.nodes[1].Of("/"))
	c := arrive(t, s.urls[1], "/")
	socket := receive(t, connected)
	c.hangup()
	gone(t, socket)
	asking := newJam(64)
	s.peers[2].hangs = func(tag string) {
		if tag == "tag0" {
			asking.pass()
		}
	}
	wait := claimAll(t, hanging, s.urls[2])
	<-asking.full
	c.url = s.urls[2]
	if !c.back() {
		t.Error("a session of another server was not recovered meanwhile")
	}
	close(asking.cleared)
	wait()
}

// TestMove_ASessionThatEndsAsItArrivesHoldsNoEntry: its address has more than its share of the memory.
func TestMove_ASessionThatEndsAsItArrivesHoldsNoEntry(t *testing.T) {
	for name, bytes := range map[string]int{"each": 16 << 10, "most": 256 << 10} {
		t.Run(name, func(t *testing.T) {
			s := inMemory(t, 2, func(cfg *socketio.Config) {
				cfg.DrainWindow = time.Millisecond
				if cfg.Engine.Tag() == "tag1" {
					cfg.Recovery.Bytes = bytes
				}
			})
			var entered atomic.Int32
			s.log.after = func(string) { entered.Add(1) }
			s.log.holding = func() { time.Sleep(moment) } // in which the session is over, if it ends
			s.crowd(t, 100)
			if err := s.nodes[0].Shutdown(within(t)); err != nil {
				t.Fatal(err)
			}
			if n := entered.Load(); n < 100 {
				t.Errorf("%d sessions have arrived", n)
			}
			s.nodes[1].Close() // ends those that are left
			eventually(t, "no entry is held", func() bool { return s.log.holds() == 0 })
		})
	}
}
