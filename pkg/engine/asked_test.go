package engine_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/test/await"
)

func TestPing_AsksTheClientForASignOfLife(t *testing.T) {
	for name, c := range map[string]struct {
		answers bool
		alive   bool
	}{
		"one that answers":  {true, true},
		"one that does not": {false, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := startInBubble(t, beat)
				ws, session := s.connect()
				answers := make(chan bool, 2)
				asked := time.Now()
				for range 2 {
					session.session.Ping(time.Second, func(alive bool) { answers <- alive })
				}
				ws.want("2")
				if c.answers {
					ws.text("3")
				}
				for range 2 {
					if alive := <-answers; alive != c.alive {
						t.Errorf("alive %v", alive)
					}
				}
				if !c.alive {
					passed(t, "end", asked, time.Second, time.Second)
					s.wantClosed(session, engine.PingTimeout)
					session.session.Ping(time.Second, func(alive bool) { answers <- alive })
					if <-answers {
						t.Error("an ended session is alive")
					}
					return
				}
				time.Sleep(2 * time.Second)
				if err := session.session.Context().Err(); err != nil {
					t.Errorf("a session that has answered has ended: %v", err)
				}
			})
		})
	}
}

// The timer of calls that were answered may be about to run, and must not end a session for later ones.
func TestPing_ATimerThatComesLateConcernsItsOwnCallsOnly(t *testing.T) {
	s := start(t, engine.Config{})
	ws, c := s.connect()
	answers := make(chan bool, 2)
	answer := func(alive bool) { answers <- alive }
	c.session.Ping(time.Hour, answer)
	late := engine.PingTimer(c.session)
	ws.want("2")
	ws.text("3")
	if !<-answers {
		t.Fatal("the first call was not answered")
	}
	c.session.Ping(time.Hour, answer)
	late()
	if err := c.session.Context().Err(); err != nil {
		t.Fatalf("the session has ended: %v", err)
	}
	ws.want("2")
	ws.text("3")
	if !<-answers {
		t.Error("the second call was not answered")
	}
}

// TestPing_TheAnswerToAnEarlierPingIsNone: it may have left before the connection broke.
func TestPing_TheAnswerToAnEarlierPingIsNone(t *testing.T) {
	for name, c := range map[string]struct {
		pongs int
		alive bool
	}{
		"of the heartbeat": {1, false},
		"of both":          {2, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := startInBubble(t, beat)
				ws, session := s.connect()
				ws.want("2") // the heartbeat's
				answer := make(chan bool, 1)
				session.session.Ping(time.Second, func(alive bool) { answer <- alive })
				for range c.pongs {
					ws.text("3")
				}
				if alive := <-answer; alive != c.alive {
					t.Errorf("alive %v", alive)
				}
			})
		})
	}
}

func TestPing_ClientsThatCannotBeAskedAreSilent(t *testing.T) {
	s := start(t, engine.Config{EIO3: true})
	_, c := s.connect("EIO=3&transport=websocket")
	answer := make(chan bool, 1)
	c.session.Ping(time.Hour, func(alive bool) { answer <- alive })
	if <-answer {
		t.Error("alive")
	}
	s.wantClosed(c, engine.PingTimeout)
}

func TestProof_IsWhenTheLastAnsweredPingLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startInBubble(t, beat)
		ws, c := s.connect()
		if proof := c.session.Proof(); !proof.IsZero() {
			t.Errorf("proof %v before any ping", proof)
		}
		ws.text("3") // not asked for
		ws.want("2")
		first := time.Now()
		time.Sleep(5 * time.Second)
		if proof := c.session.Proof(); !proof.IsZero() {
			t.Errorf("a pong that was not asked for proves %v", proof)
		}
		ws.text("3")
		synctest.Wait()
		if proof := c.session.Proof(); !proof.Equal(first) {
			t.Errorf("proof %v, want %v", proof, first)
		}
		// Two pings under way: the first answer proves nothing about the second.
		ws.want("2")
		c.session.Send(false, engine.NewFrame([]byte("between"), false, time.Time{}))
		time.Sleep(time.Second)
		second := time.Now()
		c.session.Ping(time.Hour, func(bool) {})
		ws.want("4between")
		ws.want("2")
		ws.text("3")
		synctest.Wait()
		if proof := c.session.Proof(); !proof.Equal(first) {
			t.Errorf("the answer to an earlier ping proves %v", proof)
		}
		ws.text("3")
		synctest.Wait()
		if proof := c.session.Proof(); !proof.Equal(second) {
			t.Errorf("proof %v, want %v", proof, second)
		}
	})
}

func TestAwaitRoom_CallsWhenWhatWaitsIsTaken(t *testing.T) {
	s := start(t, engine.Config{Outbox: 64 << 10})
	frame := engine.NewFrame([]byte(strings.Repeat("x", 20<<10)), false, time.Time{})
	ws, c := s.connect()
	if !c.session.AwaitRoom(1<<20, nil) {
		t.Error("no room for a message, whatever its size, where nothing waits")
	}
	room, sent := make(chan struct{}, 1), 0
	for c.session.AwaitRoom(20<<10, func() { room <- struct{}{} }) {
		c.session.Send(false, frame) // until the kernel takes no more
		sent++
	}
	for range sent {
		ws.read()
	}
	select {
	case <-room:
	case <-time.After(await.Limit):
		t.Fatal("not called")
	}
	if !c.session.AwaitRoom(20<<10, nil) {
		t.Error("no room")
	}
}

func TestAwaitRoom_CallsWhenTheSessionEnds(t *testing.T) {
	s := start(t, engine.Config{Outbox: 64 << 10})
	c := s.stall()
	frame := engine.NewFrame([]byte(strings.Repeat("x", 20<<10)), false, time.Time{})
	room := make(chan struct{}, 1)
	for c.session.AwaitRoom(20<<10, func() { room <- struct{}{} }) {
		c.session.Send(false, frame)
	}
	c.session.Close(engine.SlowConsumer)
	select {
	case <-room:
	case <-time.After(await.Limit):
		t.Fatal("not called")
	}
	if !c.session.AwaitRoom(20<<10, nil) {
		t.Error("an ended session has no room, and its caller would wait for ever")
	}
}
