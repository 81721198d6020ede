package socketio_test

import (
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/socketio"
)

// TestStreams_ASessionThatIsTakenAndCannotBeInstalledIsNone: the node has entered itself for it, and its reader has missed entries
// meanwhile. The client gets a new socket, at that claim and at any later one, whether or not what is stored has been removed by then.
func TestStreams_ASessionThatIsTakenAndCannotBeInstalledIsNone(t *testing.T) {
	s := startStreams(t, 2)
	a, b := sockets(s.nodes[0].Of("/n")), sockets(s.nodes[1].Of("/n"))
	c, witness := arrive(t, s.urls[0], "/n"), arrive(t, s.urls[1], "/n")
	receive(t, a)
	if err := receive(t, b).Join("witness"); err != nil {
		t.Fatal(err)
	}
	emit(t, s.nodes[1].Of("/n").Emitter, "one")
	c.expectEvents(`["one"]`)
	witness.expectEvents(`["one"]`)
	s.stored(c, c.sid)
	s.stored(witness, "witness")
	s.cables[0].set(true)
	c.hangup()
	stored := func(c *returning) string {
		text, _ := s.redis.Do("GET", "sio:session:"+c.pid).(string)
		return text
	}

	taken, proceed := make(chan struct{}), make(chan struct{})
	pause := func() { close(taken); <-proceed }
	s.taking[1].taken.Store(&pause)
	c.peer = dial(t, s.urls[1])
	c.send("40/n," + c.claim())
	receive(t, taken)
	s.taking[1].taken.Store(nil)
	record := stored(c)
	s.redis.Do("DEL", "socket.io")
	eventually(t, "the node has noticed", func() bool { return stored(witness) == "" })
	close(proceed)
	former := *c
	if c.answered(); c.pid == former.pid {
		t.Fatal("recovered")
	}
	eventually(t, "what is stored is removed", func() bool { return stored(&former) == "" })

	s.redis.Do("SET", "sio:session:"+former.pid, record)
	again := former
	if again.url = s.urls[1]; again.back() {
		t.Error("recovered")
	}
}

// TestStreams_AClientThatHasTriedForTheWindowGetsANewSocket although Redis does not answer where it comes back.
func TestStreams_AClientThatHasTriedForTheWindowGetsANewSocket(t *testing.T) {
	s := startStreams(t, 2, func(cfg *socketio.Config) {
		cfg.Recovery.Window, cfg.Recovery.MoveTimeout = time.Second, 100*time.Millisecond
	})
	connected := sockets(s.nodes[0].Of("/"))
	c := arrive(t, s.urls[0], "/")
	receive(t, connected)
	s.cables[1].set(true)
	c.hangup()
	if closed, recovered := c.tries(t, s.urls[1]); closed == 0 || recovered {
		t.Errorf("recovered: %v, after its transport was closed %d times", recovered, closed)
	}
}
