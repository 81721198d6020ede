package socketio_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/carillon-io/carillon/pkg/socketio"
)

// Whoever handles them, the events of a connection stay in order, and one is handled at a time.
func TestInline_EventsStayInOrderWithWhatIsQueued(t *testing.T) {
	const events = 1000
	server, url := serve(t, socketio.Config{})
	got := make(chan string, 2*events)
	proceed := make(chan struct{})
	server.Of("/").OnConnect(func(s *socketio.Socket) {
		s.Inline()
		busy := false // the race detector tells when two handle at once
		s.OnAny(func(e socketio.Event) {
			if busy {
				t.Error("two events at once")
			}
			busy = true
			runtime.Gosched()
			got <- string(e.Args.JSON)
			busy = false
		})
		<-proceed // meanwhile events queue up
	})
	p, _ := join(t, url)
	for n := range events {
		p.send(fmt.Sprintf(`42["n",%d]`, n))
		if n == events/4 {
			close(proceed)
		}
	}
	for n := range events {
		if have, want := receive(t, got), fmt.Sprintf("[%d]", n); have != want {
			t.Fatalf("got %s, want %s", have, want)
		}
	}
}

func TestInline_HandlerMayEndItsSocketOrConnection(t *testing.T) {
	for name, end := range map[string]func(*socketio.Socket){
		"disconnect": (*socketio.Socket).Disconnect,
		"close":      (*socketio.Socket).CloseConnection,
		"panic":      func(*socketio.Socket) { panic("in a handler") },
		"goexit":     func(*socketio.Socket) { runtime.Goexit() },
	} {
		t.Run(name, func(t *testing.T) {
			server, url := serve(t, socketio.Config{})
			gone := make(chan string, 1)
			server.Of("/").OnConnect(func(s *socketio.Socket) {
				s.Inline()
				s.OnDisconnect(func(reason string) { gone <- reason })
				s.On("end", func() { end(s) })
			})
			p, _ := join(t, url)
			p.send(`42["end"]`)
			receive(t, gone)
		})
	}
}
