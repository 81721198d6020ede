package engine_test

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
)

var beat = engine.Config{PingInterval: 25 * time.Second, PingTimeout: 20 * time.Second, EIO3: true}

// passed checks how long something took in the bubble.
func passed(t *testing.T, what string, since time.Time, least, most time.Duration) {
	t.Helper()
	if d := time.Since(since); d < least || d > most {
		t.Errorf("%s after %v, want %v to %v", what, d, least, most)
	}
}

func TestHeartbeat_PingAnIntervalAfterEachPong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startInBubble(t, beat)
		began := time.Now()
		ws, c := s.connect()
		ws.want("2")
		passed(t, "first ping", began, 22500*time.Millisecond, 25*time.Second)
		time.Sleep(7 * time.Second)
		ws.text("3")
		pong := time.Now()
		ws.want("2")
		passed(t, "second ping", pong, 25*time.Second, 25*time.Second)
		ping := time.Now()
		ws.wantClose(1005)
		passed(t, "end", ping, 20*time.Second, 20*time.Second)
		s.wantClosed(c, engine.PingTimeout)
	})
}

func TestHeartbeat_UnaskedPongRestartsTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startInBubble(t, beat)
		ws, _ := s.connect()
		time.Sleep(10 * time.Second)
		ws.text("3")
		pong := time.Now()
		ws.want("2")
		passed(t, "ping", pong, 25*time.Second, 25*time.Second)
	})
}

func TestHeartbeat_OtherTrafficExtendsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startInBubble(t, beat)
		ws, c := s.connect()
		ws.want("2")
		time.Sleep(15 * time.Second)
		ws.text("4x")
		extended := time.Now()
		time.Sleep(15 * time.Second)
		ws.text("4y")
		ws.wantClose(1005)
		passed(t, "end", extended, 20*time.Second, 20*time.Second)
		s.wantClosed(c, engine.PingTimeout)
	})
}

func TestHeartbeat_Polling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startInBubble(t, beat)
		p := s.poll()
		s.wantAnswer("poll", p.get(), 200, "2")
		p.wantPosted("3")
		s.wantAnswer("poll", p.get(), 200, "2")
		ping := time.Now()
		s.wantAnswer("poll", p.get(), 200, "1")
		passed(t, "end", ping, 20*time.Second, 20*time.Second)
		s.wantClosed(p.client, engine.PingTimeout)
	})
}

func TestHeartbeat_PollingClientThatNeverPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startInBubble(t, beat)
		began := time.Now()
		p := s.poll()
		s.wantClosed(p.client, engine.PingTimeout)
		passed(t, "end", began, 42500*time.Millisecond, 45*time.Second)
		s.wantAnswer("poll", p.get(), 400, `{"code":1,"message":"Session ID unknown"}`)
	})
}

func TestHeartbeat_UpgradeForgetsAPingSentByPolling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startInBubble(t, beat)
		p := s.poll()
		s.wantAnswer("poll", p.get(), 200, "2")
		ws := p.probe()
		ws.text("5")
		switched := time.Now()
		ws.want("2")
		passed(t, "ping", switched, 25*time.Second, 25*time.Second)
	})
}

func TestHeartbeat_BlockedReceiverDoesNotTimeOutItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		s := startInBubble(t, beat, func(c *client) { c.hold = hold })
		ws, c := s.connect()
		ws.text("4x")
		for range 5 { // the client, which cannot be heard, must still be told that we are there
			ws.want("2")
		}
		close(hold)
		s.wantMessage(c, "x", false)
		ws.want("2")
		resumed := time.Now()
		ws.wantClose(1005)
		passed(t, "end of a client silent since", resumed, 20*time.Second, 45*time.Second)
		s.wantClosed(c, engine.PingTimeout)
	})
}

// A revision 3 client gets no pong while its ping is not read, and leaves: waiting for it would be in vain.
func TestHeartbeat_BlockedReceiverLosesARevision3ClientInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		s := startInBubble(t, beat, func(c *client) { c.hold = hold })
		began := time.Now()
		ws, c := s.connect("EIO=3&transport=websocket")
		ws.text("4x")
		hold <- struct{}{}
		time.Sleep(30 * time.Second)
		ws.text("2")
		ws.want("3")
		passed(t, "pong", began, 30*time.Second, 30*time.Second)
		ws.text("4y")
		pinged := time.Now()
		time.Sleep(40 * time.Second)
		hold <- struct{}{} // in time: the client gets back what we did not read
		ws.text("4z")
		time.Sleep(45 * time.Second)
		passed(t, "end", pinged, 85*time.Second, 85*time.Second)
		for s.Sessions() > 0 { // the bubble's clock stands still: the end waits for the receiver
			runtime.Gosched()
		}
		close(hold)
		s.wantClosed(c, engine.PingTimeout)
		ws.wantClose(1005)
	})
}

func TestHeartbeat_Revision3ClientPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startInBubble(t, beat)
		ws, c := s.connect("EIO=3&transport=websocket")
		time.Sleep(40 * time.Second)
		ws.text("2")
		ws.want("3")
		ws.text("2probe")
		ws.want("3")
		pinged := time.Now()
		time.Sleep(10 * time.Second)
		ws.text("4x") // counts for nothing
		ws.wantClose(1005)
		passed(t, "end", pinged, 45*time.Second, 45*time.Second)
		s.wantClosed(c, engine.PingTimeout)
	})
}

func TestHeartbeat_Revision3PongIsTheWrongDirection(t *testing.T) {
	s := start(t, beat)
	ws, c := s.connect("EIO=3&transport=websocket")
	ws.text("3")
	ws.wantClose(1005)
	s.wantClosed(c, engine.TransportError)
}

// gorilla answers WebSocket pings and leaves a write deadline of one second behind; ours must survive that.
func TestWebSocket_PongDoesNotPoisonLaterWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startInBubble(t, beat)
		ws, c := s.connect()
		pong := make(chan string, 1)
		ws.SetPongHandler(func(data string) error { pong <- data; return nil })
		if err := ws.WriteControl(9, []byte("are you there"), time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		time.Sleep(1300 * time.Millisecond)
		c.session.Send(false, text("still"))
		ws.want("4still")
		if got := <-pong; got != "are you there" {
			t.Errorf("pong %q", got)
		}
	})
}

func TestClose_PollingClientThatNeverComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startInBubble(t, beat)
		p := s.poll()
		began := time.Now()
		p.session.Close(engine.ForcedClose)
		s.wantClosed(p.client, engine.ForcedClose)
		passed(t, "end", began, 30*time.Second, 30*time.Second)
	})
}

func TestClose_WebSocketClientThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startInBubble(t, beat)
		ws, c := s.connect()
		began := time.Now()
		c.session.Close(engine.ForcedClose)
		s.wantClosed(c, engine.ForcedClose)
		passed(t, "end of one that does not read", began, 5*time.Second, 7*time.Second)
		ws.Close()
	})
}

func TestVolatile_PollingClientWithoutAPollForASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startInBubble(t, beat)
		p := s.poll()
		if time.Sleep(900 * time.Millisecond); !p.session.Send(true, text("a")) {
			t.Error("dropped too early")
		}
		s.wantAnswer("poll", p.get(), 200, "4a")
		if time.Sleep(1100 * time.Millisecond); p.session.Send(true, text("b")) {
			t.Error("queued for a client that does not poll")
		}
		waiting := p.getLater()
		synctest.Wait()
		if time.Sleep(5 * time.Second); !p.session.Send(true, text("c")) {
			t.Error("dropped although a poll waits")
		}
		s.wantAnswer("poll", <-waiting, 200, "4c")
	})
}

func TestTombstone_IsGoneAfterASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startInBubble(t, beat)
		p := s.poll()
		p.wantPosted("1")
		time.Sleep(1100 * time.Millisecond)
		s.wantAnswer("poll", p.get(), 400, `{"code":1,"message":"Session ID unknown"}`)
	})
}
