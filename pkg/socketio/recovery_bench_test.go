package socketio_test

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/carillon-io/carillon/pkg/socketio"
)

// withRecovery is a configuration with recovery on or off, and without pings, which would be counted.
func withRecovery(on bool) socketio.Config {
	cfg := recovering()
	cfg.Recovery.Enabled = on
	return cfg
}

// BenchmarkRecovery_Broadcast is what offsets and the log cost a broadcast to a thousand clients, each of which has received it
// before the next: the CPU time of server and clients, since the wall clock tells more about how many frames leave in one
// write. The two are to be compared in one run.
func BenchmarkRecovery_Broadcast(b *testing.B) {
	const recipients = 1000
	for _, on := range []bool{false, true} {
		b.Run(fmt.Sprint("recovery=", on), func(b *testing.B) {
			server, url := serve(b, withRecovery(on))
			connected := sockets(server.Of("/"))
			var received, due atomic.Int64 // bytes
			complete := make(chan struct{}, 1)
			for range recipients {
				p, _ := join(b, url)
				if err := receive(b, connected).Join("r"); err != nil {
					b.Fatal(err)
				}
				go func() {
					buf := make([]byte, 4096)
					for {
						n, err := p.ws.NetConn().Read(buf)
						if n > 0 && received.Add(int64(n)) == due.Load() {
							complete <- struct{}{}
						}
						if err != nil {
							return
						}
					}
				}()
			}
			e := server.Of("/").To("r")
			size := int64(len(chat.JSON) + len("\x81\x00"+"42"))
			if on {
				size += int64(len(`,"@"`) + 22)
			}
			b.ReportAllocs()
			before := spent()
			for b.Loop() {
				due.Add(size * recipients)
				if err := e.EmitArgs(chat); err != nil {
					b.Fatal(err)
				}
				select {
				case <-complete:
				case <-time.After(time.Minute):
					b.Fatal(received.Load(), due.Load())
				}
			}
			b.ReportMetric(float64(spent()-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

// spent is the CPU time of this process in nanoseconds.
func spent() int64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}

// BenchmarkRecovery_Join is what the journal costs a join and a leave.
func BenchmarkRecovery_Join(b *testing.B) {
	for _, on := range []bool{false, true} {
		b.Run(fmt.Sprint("recovery=", on), func(b *testing.B) {
			_, members := audienceOf(b, withRecovery(on), 1)
			b.ReportAllocs()
			for b.Loop() {
				if err := members[0].Join("another room"); err != nil {
					b.Fatal(err)
				}
				members[0].Leave("another room")
			}
		})
	}
}

// BenchmarkRecovery_Memory is what an absent socket and an event take.
func BenchmarkRecovery_Memory(b *testing.B) {
	const clients, events = 2000, 20000
	held := func() float64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	for b.Loop() {
		server, url := serve(b, recovering())
		n := server.Of("/")
		connected := sockets(n)
		before := held()
		for range clients {
			ws, resp, err := websocket.DefaultDialer.Dial("ws"+url[len("http"):]+"/socket.io/?EIO=4&transport=websocket", nil)
			if err != nil {
				b.Fatal(err)
			}
			_ = resp.Body.Close()
			_ = ws.WriteMessage(websocket.TextMessage, []byte("40"))
			s := receive(b, connected)
			for i := range 5 {
				_ = s.Join(fmt.Sprint("room ", i))
			}
			_ = ws.Close()
			gone(b, s)
		}
		for n.Sockets() > 0 {
			runtime.Gosched()
		}
		away := held()
		for range events {
			if err := n.To("room 1").EmitArgs(chat); err != nil {
				b.Fatal(err)
			}
		}
		full := held()
		b.ReportMetric((away-before)/clients, "B/socket")
		b.ReportMetric((full-away)/events, "B/event")
		runtime.KeepAlive(server)
	}
}
