package socketio_test

import (
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/carillon-io/carillon/pkg/socketio"
)

// Several goroutines send for all they are worth, each a broadcast and then an event of the socket's own, while the
// client polls and then moves to a WebSocket.
func TestOrder_HoldsAcrossAnUpgradeUnderLoad(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	n := server.Of("/")
	connected := sockets(n)
	p := poll(t, url, "4")
	p.post(`40`)
	if got := p.next(); !strings.HasPrefix(got, `40{"sid":`) {
		t.Fatalf("CONNECT was answered %q", got)
	}
	s := receive(t, connected)

	const senders, rounds = 4, 500
	upgraded := make(chan struct{})
	var sending sync.WaitGroup
	for sender := range senders {
		name := "s" + itoa(sender)
		sending.Go(func() {
			for i := range rounds {
				if i == rounds/2 { // one half before the upgrade is over, one behind it
					<-upgraded
				}
				_ = n.Emit(name, 2*i)
				_ = s.Emit(name, 2*i+1)
			}
		})
	}
	var got []string
	for range rounds / 4 {
		got = append(got, p.next())
	}
	next := p.upgrade()
	got = append(got, p.inbox...)
	close(upgraded)
	events := 0
	for _, packet := range got {
		if packet != "6" {
			events++
		}
	}
	for ; events < 2*senders*rounds; events++ {
		got = append(got, next.read())
	}
	sending.Wait()

	var heard [senders]int
	for _, packet := range got {
		rest, ok := strings.CutPrefix(packet, `42["s`)
		if !ok {
			continue // a noop
		}
		sender, number, _ := strings.Cut(strings.TrimSuffix(rest, "]"), `",`)
		i, err := strconv.Atoi(sender)
		if err != nil || number != itoa(heard[i]) {
			t.Fatalf("%s came when number %d was due", packet, heard[i])
		}
		heard[i]++
	}
	for i, count := range heard {
		if count != 2*rounds {
			t.Errorf("sender %d: %d events", i, count)
		}
	}
}
