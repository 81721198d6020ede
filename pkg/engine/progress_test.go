package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
)

// Bursts of more than an outbox may hold for long reach a client that reads.
func TestBurst_ReachesAClientThatReads(t *testing.T) {
	websocket := func(s *server) (*client, func() string) {
		ws, c := s.connect()
		return c, func() string { return ws.read().data }
	}
	polling := func(query string) func(*server) (*client, func() string) {
		return func(s *server) (*client, func() string) {
			p := s.poll(query)
			return p.client, func() string { return p.get().body }
		}
	}
	for name, connect := range map[string]func(*server) (*client, func() string){
		"websocket":          websocket,
		"polling":            polling("EIO=4&transport=polling"),
		"polling revision 3": polling("EIO=3&transport=polling"),
	} {
		for _, burst := range []struct{ messages, size int }{{2, 1_000_000}, {2, 600_000}, {3, 400_000}, {20, 100_000}, {5_000, 1_000}} {
			t.Run(fmt.Sprintf("%s %d of %d", name, burst.messages, burst.size), func(t *testing.T) {
				s := start(t, engine.Config{EIO3: true})
				c, read := connect(s)
				frame := text(strings.Repeat("x", burst.size))
				for i := range burst.messages {
					if !c.session.Send(false, frame) {
						t.Fatalf("message %d is refused", i)
					}
				}
				for got := 0; got < burst.messages*burst.size; {
					n := strings.Count(read(), "x")
					if got += n; n == 0 {
						t.Fatalf("%d bytes arrived", got)
					}
				}
			})
		}
	}
}

// A client between two polls over a slow line takes nothing for a while. That alone does not make it slow.
func TestSlowConsumer_IsOneWithoutProgress(t *testing.T) {
	const outbox = 100_000
	for name, tt := range map[string]struct {
		pauses []time.Duration // before each poll
		slow   bool
	}{
		"polls in time":  {[]time.Duration{200 * time.Millisecond, 4 * time.Second, 4 * time.Second, 4 * time.Second}, false},
		"polls too late": {[]time.Duration{4 * time.Second, 5 * time.Second}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := startInBubble(t, engine.Config{Outbox: outbox, PingInterval: time.Hour})
				p := s.poll()
				frame := text(strings.Repeat("x", outbox/4*3))
				for _, pause := range tt.pauses {
					for range 3 {
						p.session.Send(false, frame)
					}
					time.Sleep(pause)
					synctest.Wait()
					if len(p.closed) == 0 {
						p.get()
					}
				}
				if tt.slow {
					s.wantClosed(p.client, engine.SlowConsumer)
				} else if len(p.closed) > 0 {
					t.Errorf("closed: %s", <-p.closed)
				}
			})
		})
	}
}

func TestSlowConsumer_AStalledWebSocketIsEndedWhenItsTimeIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startInBubble(t, engine.Config{Outbox: 100_000})
		_, c := s.connect() // and reads no more; the pipe holds nothing
		frame := text(strings.Repeat("x", 75_000))
		began := time.Now()
		for range 2 {
			c.session.Send(false, frame)
		}
		s.wantClosed(c, engine.SlowConsumer)
		passed(t, "the end", began, 5*time.Second, 5*time.Second)
	})
}

func TestSlowConsumer_AWebSocketThatReadsALittleIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startInBubble(t, engine.Config{Outbox: 100_000, OutboxHard: 1 << 20, PingInterval: time.Hour})
		ws, c := s.connect()
		conn := ws.NetConn()
		for range 12 {
			c.session.Send(false, text(strings.Repeat("x", 75_000)))
		}
		got, buffer := 0, make([]byte, 64<<10)
		for got < 12*75_000 {
			time.Sleep(4 * time.Second)
			for read := 0; read < cap(buffer) && got < 12*75_000; {
				n, err := conn.Read(buffer)
				if err != nil {
					t.Fatalf("after %d bytes: %v", got, err)
				}
				read, got = read+n, got+n
			}
		}
		if len(c.closed) > 0 {
			t.Errorf("closed: %s", <-c.closed)
		}
	})
}

func TestSlowConsumer_OverTheHardLimitAtOnce(t *testing.T) {
	s := start(t, engine.Config{Outbox: 100_000, OutboxHard: 200_000})
	p := s.poll()
	for range 3 {
		if !p.session.Send(false, text(strings.Repeat("x", 60_000))) {
			t.Fatal("refused below the limit")
		}
	}
	if p.session.Send(false, text(strings.Repeat("x", 60_000))) {
		t.Error("queued above the limit")
	}
	s.wantClosed(p.client, engine.SlowConsumer)
}
