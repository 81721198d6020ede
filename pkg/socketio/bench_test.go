package socketio_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// audience joins clients that read and throw away, all in room "r".
func audience(tb testing.TB, size int) (*socketio.Server, []*socketio.Socket) {
	return audienceOf(tb, socketio.Config{}, size)
}

func audienceOf(tb testing.TB, cfg socketio.Config, size int) (*socketio.Server, []*socketio.Socket) {
	server, url := serve(tb, cfg)
	connected := sockets(server.Of("/"))
	members := make([]*socketio.Socket, size)
	for i := range members {
		p, _ := join(tb, url)
		members[i] = receive(tb, connected)
		if err := members[i].Join("r"); err != nil {
			tb.Fatal(err)
		}
		go func() { _, _ = io.Copy(io.Discard, p.ws.NetConn()) }()
	}
	return server, members
}

var chat = packet.Args{JSON: []byte(`["message","a text of the length people write in a chat on most days"]`)}

func TestBroadcast_AllocatesNothingPerRecipient(t *testing.T) {
	const recipients = 1000
	server, members := audience(t, recipients)
	n := server.Of("/")
	broadcast := func() {
		if err := n.To("r").Except(members[0].ID()).EmitArgs(chat); err != nil {
			t.Error(err)
		}
	}
	for range 20 {
		broadcast() // queues and pools grow to their size
	}
	// What is allocated is the packet, its frames and the target; a little more where a flusher needs a new stack, as
	// many do at once on a machine that is busy.
	const limit = recipients / 5
	if allocs := testing.AllocsPerRun(100, broadcast); allocs > limit && !raceEnabled {
		t.Errorf("%.0f allocations for %d recipients", allocs, recipients)
	} else {
		t.Logf("%.0f allocations for %d recipients", allocs, recipients)
	}
}

func BenchmarkBroadcast(b *testing.B) {
	const recipients = 1000
	server, _ := audience(b, recipients)
	defer func() {
		if n := server.Of("/").Sockets(); n != recipients {
			b.Logf("%d clients were too slow", recipients-n)
		}
	}()
	e := server.Of("/").To("r")
	b.ReportAllocs()
	for b.Loop() {
		if err := e.EmitArgs(chat); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*recipients/b.Elapsed().Seconds(), "deliveries/s")
}

func BenchmarkEchoWithAck(b *testing.B) {
	server, url := serve(b, socketio.Config{})
	echo(server.Of("/"))
	b.RunParallel(func(pb *testing.PB) {
		p, _ := join(b, url)
		for pb.Next() {
			p.sync()
		}
	})
}

func TestEcho_WithAnAckCostsFewAllocations(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	echo(server.Of("/"))
	p, _ := join(t, url)
	const asked, answered = `420["echo",1]`, "\x81\x06" + `430[1]`
	conn := p.ws.NetConn()
	out, in := []byte("\x81\x8d\x00\x00\x00\x00"+asked), make([]byte, len(answered))
	once := func() {
		if _, err := conn.Write(out); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, in); err != nil {
			t.Fatal(err)
		}
	}
	for range 50 {
		once() // until the reader stays, and pools have grown
	}
	const limit = 6
	if allocs := testing.AllocsPerRun(100, once); allocs > limit && !raceEnabled {
		t.Errorf("%.0f allocations", allocs)
	}
	if !bytes.HasSuffix(in, []byte(`430[1]`)) {
		t.Errorf("received %q", in)
	}
}
