package engine_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
)

// probe connects the WebSocket of an upgrade and takes it up to 3probe.
func (p poller) probe() *socket {
	p.t.Helper()
	ws := p.ws(p.upgradeQuery())
	ws.text("2probe")
	ws.want("3probe")
	return ws
}

func (p poller) upgradeQuery() string {
	return strings.Replace(p.query, "polling", "websocket", 1)
}

func TestUpgrade_Dance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startInBubble(t, engine.Config{}, echoing)
		p := s.poll()
		ws := p.probe()
		probed := time.Now()
		for range 2 {
			s.wantAnswer("poll", p.get(), 200, "6")
		}
		if waited := time.Since(probed); waited != 200*time.Millisecond {
			t.Errorf("two noops after %v", waited)
		}
		p.wantPosted("4still polling")
		s.wantAnswer("poll", p.get(), 200, "4still polling")
		ws.text("5")
		ws.text("4hello")
		ws.want("4hello")
		if p.session.Transport() != "websocket" {
			t.Error(p.session.Transport())
		}
		s.wantAnswer("poll after", p.get(), 400, `{"code":3,"message":"Bad request"}`)
		s.wantAnswer("post after", p.post("4x"), 400, `{"code":3,"message":"Bad request"}`)
		second := p.ws(p.upgradeQuery())
		second.wantClose(1005)
		ws.text("4on")
		ws.want("4on")
	})
}

func TestUpgrade_APollWaitingAtTheSwitch(t *testing.T) {
	for _, c := range []struct {
		name   string
		since  time.Duration
		status int
		body   string
	}{
		{"for some time is closed", 50 * time.Millisecond, 200, "1"},
		{"just now was sent after it and is refused", 0, 400, `{"code":3,"message":"Bad request"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := startInBubble(t, engine.Config{}, echoing)
				p := s.poll()
				ws := p.probe()
				waiting := p.getLater()
				synctest.Wait()
				time.Sleep(c.since) // fake: moves the bubble's clock
				ws.text("5")
				s.wantAnswer("poll", <-waiting, c.status, c.body)
				ws.text("4on")
				ws.want("4on")
			})
		})
	}
}

func TestUpgrade_WithoutAProbe(t *testing.T) {
	s := start(t, engine.Config{}, echoing)
	p := s.poll()
	p.session.Send(false, text("queued"))
	ws := p.ws(p.upgradeQuery())
	ws.text("5")
	ws.want("4queued")
	ws.text("4on")
	ws.want("4on")
}

func TestUpgrade_FailuresLeaveTheSessionPolling(t *testing.T) {
	for _, first := range []string{"2", "4hello", "1", "3probe", "2probe5", ""} {
		s := start(t, engine.Config{}, echoing)
		p := s.poll()
		ws := p.ws(p.upgradeQuery())
		ws.text(first)
		ws.wantClose(1005)
		p.wantPosted("4on")
		s.wantAnswer("poll after "+first, p.get(), 200, "4on")
		ws = p.probe() // and it may try again
		ws.text("5")
		ws.text("4on")
		ws.want("4on")
	}
}

func TestUpgrade_BinaryInsteadOfAProbe(t *testing.T) {
	s := start(t, engine.Config{}, echoing)
	p := s.poll()
	ws := p.ws(p.upgradeQuery())
	ws.binary("2probe")
	ws.wantClose(1005)
	p.wantPosted("4on")
	s.wantAnswer("poll", p.get(), 200, "4on")
}

func TestUpgrade_CandidateLost(t *testing.T) {
	s := start(t, engine.Config{}, echoing)
	p := s.poll()
	p.probe().NetConn().Close()
	p.wantPosted("4on")
	s.eventually("the echo comes by polling", func() bool { return p.get().body == "4on" })
}

func TestUpgrade_TimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startInBubble(t, engine.Config{UpgradeTimeout: 500 * time.Millisecond}, echoing)
		p := s.poll()
		began := time.Now()
		p.probe().wantClose(1005)
		if after := time.Since(began); after != 500*time.Millisecond {
			t.Errorf("given up after %v", after)
		}
		p.wantPosted("4on")
		s.wantAnswer("poll", p.get(), 200, "4on")
	})
}

func TestUpgrade_SecondWhileUpgradingIsClosed(t *testing.T) {
	s := start(t, engine.Config{}, echoing)
	p := s.poll()
	ws := p.probe()
	p.ws(p.upgradeQuery()).wantClose(1005)
	ws.text("5")
	ws.text("4on")
	ws.want("4on")
}

func TestUpgrade_OfAClosingSessionDeliversTheRest(t *testing.T) {
	s := start(t, engine.Config{})
	p := s.poll()
	ws := p.probe()
	p.session.Send(false, text("last"))
	p.session.Close(engine.ForcedClose)
	ws.text("5")
	ws.want("4last")
	ws.wantClose(1005)
	s.wantClosed(p.client, engine.ForcedClose)
}

func TestUpgrade_EndOfTheSessionClosesTheCandidate(t *testing.T) {
	s := start(t, engine.Config{})
	p := s.poll()
	ws := p.probe()
	p.wantPosted("1")
	ws.wantClose(1005)
	s.wantClosed(p.client, engine.TransportClose)
}

func TestUpgrade_MessagesSentMeanwhileAreDeliveredOnceAndInOrder(t *testing.T) {
	const rounds, messages = 25, 400
	s := start(t, engine.Config{})
	for range rounds {
		p := s.poll()
		go func() {
			for i := range messages {
				p.session.Send(false, text(strconv.Itoa(i)))
			}
		}()
		got := 0
		take := func(packet string) {
			if packet == "6" {
				return
			}
			if want := fmt.Sprintf("4%d", got); packet != want {
				t.Fatalf("received %q, want %q", packet, want)
			}
			got++
		}
		takeAll := func(a answer) {
			if a.status != 200 {
				t.Fatalf("poll: %d %q", a.status, a.body)
			}
			for packet := range strings.SplitSeq(a.body, "\x1e") {
				take(packet)
			}
		}
		// As a client does: the poll that waits when the probe is answered is the last one.
		polling := p.getLater()
		ws := p.ws(p.upgradeQuery())
		ws.text("2probe")
		takeAll(<-polling)
		ws.want("3probe")
		ws.text("5")
		for got < messages {
			take(ws.read().data)
		}
		ws.Close()
		s.wantClosed(p.client, engine.TransportClose)
	}
}

func TestUpgrade_MessagesOfTheClientStayInOrder(t *testing.T) {
	s := start(t, engine.Config{})
	for range 50 {
		p := s.poll()
		ws := p.probe()
		p.wantPosted("4a\x1e4b")
		ws.text("5")
		ws.text("4c")
		ws.text("4d")
		for _, want := range []string{"a", "b", "c", "d"} {
			s.wantMessage(p.client, want, false)
		}
	}
}

// A client that has had 3probe polls no more: an upgrade that fails now, and a GET that is answered all the same, would leave it
// with neither transport.
func TestUpgrade_SentAwayMeanwhileIsFinishedFirst(t *testing.T) {
	for name, end := range map[string]func(*server, *client){
		"sent away": func(_ *server, c *client) { c.session.SendAway(engine.ShuttingDown) },
		"by id":     func(s *server, c *client) { s.SendAway(c.session.ID(), engine.ShuttingDown) },
		"shed":      func(s *server, _ *client) { s.Shed(s.t.Context(), 1, 0) },
		"drained":   func(s *server, _ *client) { go func() { _ = s.Drain(s.t.Context(), 0) }() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := startInBubble(t, engine.Config{}, echoing)
				p := s.poll()
				ws := p.probe()
				waiting := p.getLater()
				synctest.Wait()
				end(s, p.client)
				s.wantAnswer("the GET that waits", <-waiting, 200, "6")
				p.session.Send(false, text("meanwhile"))
				ws.text("5")
				ws.want("4meanwhile")
				ws.wantClose(1001)
				s.wantClosed(p.client, engine.ShuttingDown)
			})
		})
	}
}

// The transport of a client that does not finish its upgrade fails, so that it connects anew.
func TestUpgrade_SentAwayMeanwhileAndNotFinished(t *testing.T) {
	for name, then := range map[string]struct {
		act   func(*server, poller, *socket)
		after time.Duration
	}{
		"in time":             {func(*server, poller, *socket) {}, 1500 * time.Millisecond},
		"its WebSocket fails": {func(_ *server, _ poller, ws *socket) { ws.Close() }, 0},
		"the drain is over": {func(s *server, _ poller, _ *socket) {
			ctx, cancel := context.WithCancel(s.t.Context())
			cancel()
			go func() { _ = s.Drain(ctx, 0) }()
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := startInBubble(t, engine.Config{}, echoing)
				p := s.poll()
				ws := p.probe()
				s.wantAnswer("poll", p.get(), 200, "6")
				p.session.SendAway(engine.ShuttingDown)
				began := time.Now()
				waiting := p.getLater()
				synctest.Wait()
				then.act(s, p, ws)
				a := <-waiting
				for a.body == "6" { // by the tick, which does not know whether the client has switched
					a = p.get()
				}
				if a.status != 400 { // whether it was there at the end, or came just after it
					t.Errorf("the GET that waits: %d %q, want 400", a.status, a.body)
				}
				if passed := time.Since(began); passed != then.after {
					t.Errorf("after %v, want %v", passed, then.after)
				}
				s.wantClosed(p.client, engine.ShuttingDown)
			})
		})
	}
}

// Before 3probe the client still polls: the upgrade fails, and the session is polled to its end.
func TestUpgrade_SentAwayBeforeTheProbe(t *testing.T) {
	s := start(t, engine.Config{})
	p := s.poll()
	p.session.Send(false, text("last"))
	ws := p.ws(p.upgradeQuery())
	p.session.SendAway(engine.ShuttingDown)
	ws.text("2probe")
	ws.wantClose(1005)
	s.wantAnswer("poll", p.get(), 200, "4last")
	s.wantClosed(p.client, engine.ShuttingDown)
	s.wantAnswer("poll after", p.get(), 400, `{"code":1,"message":"Session ID unknown"}`)
}
