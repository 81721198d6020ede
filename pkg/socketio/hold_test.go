package socketio_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio"
)

// Credentials, and packets whose attachments are due, count towards what clients may have sent in all.
func TestHold_CountsAuthAndUnfinishedPackets(t *testing.T) {
	registry := prometheus.NewRegistry()
	server, url := serve(t, socketio.Config{Registry: registry, Engine: engine.Config{Registry: registry}})
	echo(server.Of("/"))
	p, _ := join(t, url)
	base := value(t, registry, "carillon_inbound_bytes")
	holds := func(what string, least, most int) {
		t.Helper()
		deadline := time.After(patience)
		for {
			got := int(value(t, registry, "carillon_inbound_bytes") - base)
			if got >= least && got <= most {
				return
			}
			select {
			case <-deadline:
				t.Fatalf("%s: %d bytes are held, want %d to %d", what, got, least, most)
			default:
			}
		}
	}
	server.Of("/a")
	p.send(`40/a,{"token":"` + strings.Repeat("x", 10_000) + `"}`)
	p.read()
	holds("joined", 10_000, 10_100)
	p.send("41/a,")
	holds("left", 0, 0)

	p.send(`452-1["echo",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, `b:`+strings.Repeat("y", 100_000))
	holds("one attachment is there", 100_000, 100_200)
	p.send(`b:z`)
	for range 3 {
		p.read() // the answer
	}
	holds("both are there", 0, 0)

	server.Engine().SetLimits(engine.Limits{Inbound: int(base) + 1000})
	p.send(`451-1["echo",{"_placeholder":true,"num":0}]`)
	p.send(`b:z`)
	for range 2 {
		p.read()
	}
	// The message fits into the client's write buffer, so it comes in one piece: of a longer one the engine may refuse the first
	// part, which is not counted here, and closes while there is more to read.
	p.send(`40/a,{"token":"` + strings.Repeat("x", 3_000) + `"}`)
	p.expect("closed")
	if got := value(t, registry, "carillon_inbound_dropped_total", "memory"); got != 1 {
		t.Errorf("counted %v", got)
	}
}
