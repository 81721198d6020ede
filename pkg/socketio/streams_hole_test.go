package socketio_test

import (
	"fmt"
	"testing"
)

// TestStreams_AClientOfANodeThatMissedEntriesIsNotRecovered, whether it was connected when they went or absent, and wherever it comes
// back: nothing tells what it lacks.
func TestStreams_AClientOfANodeThatMissedEntriesIsNotRecovered(t *testing.T) {
	t.Parallel()
	for to, place := range []string{"at the node", "elsewhere"} {
		for _, absent := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, absent %v", place, absent), func(t *testing.T) {
				t.Parallel()
				s := startStreams(t, 2)
				a, b := s.nodes[0].Of("/n"), s.nodes[1].Of("/n")
				connected := sockets(a)
				c := arrive(t, s.urls[0], "/n")
				socket := receive(t, connected)
				if err := socket.Join("red"); err != nil {
					t.Fatal(err)
				}
				emit(t, b.Emitter, "one", 1)
				c.expectEvents(`["one",1]`)
				s.stored(c, "red")
				if absent {
					c.hangup()
					eventually(t, "it is gone", func() bool { return a.Sockets() == 0 })
				}
				s.redis.Do("DEL", "socket.io")
				eventually(t, "its session is not kept any more", func() bool {
					text, _ := s.redis.Do("GET", "sio:session:"+c.pid).(string)
					return text == ""
				})
				emit(t, b.Emitter, "two", 2)
				if !absent {
					c.expectEvents(`["two",2]`)
					c.hangup()
				}
				c.url = s.urls[to]
				if c.back() {
					t.Error("recovered")
				}
			})
		}
	}
}

// TestStreams_EntriesThatAnotherServerTrimmedAreMissed also by a session that began when the stream was empty, and although this
// cluster would have kept them.
func TestStreams_EntriesThatAnotherServerTrimmedAreMissed(t *testing.T) {
	t.Parallel()
	s := startStreams(t, 2)
	connected := sockets(s.nodes[0].Of("/n"))
	s.nodes[1].Of("/n")
	c := arrive(t, s.urls[0], "/n")
	if err := receive(t, connected).Join("red"); err != nil {
		t.Fatal(err)
	}
	s.stored(c, "red")
	s.cables[0].set(true)
	for i := range 50 {
		s.redis.Do("XADD", "socket.io", "MAXLEN", "5", "*", "uid", "0123456789abcdef", "nsp", "/n", "type", "3", "data",
			fmt.Sprintf(`{"packet":{"type":2,"data":["missed",%d]},"opts":{"rooms":["red"],"except":[],"flags":{}}}`, i))
	}
	c.hangup()
	c.url = s.urls[1]
	if c.back() {
		t.Error("recovered, without what was trimmed")
	}
}
