package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/carillon-io/carillon/test/await"
)

func TestDrain_AsksTheOwnerToSendAWebSocketsClientAway(t *testing.T) {
	proceed := make(chan struct{})
	relaying, owner := pair(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		frame := serverFrame(1000)
		_, _ = conn.Write(append([]byte("HTTP/1.1 101 Switching Protocols\r\n\r\n"), frame[:500]...))
		<-proceed
		_, _ = conn.Write(append(frame[500:], serverFrame(7)...)) // what was queued goes out first
		_, _ = io.Copy(io.Discard, buffered)
	})
	conn, reader, _ := upgrade(t, relaying, nil)
	expect(t, reader, serverFrame(1000)[:500])
	drained := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), hang)
		defer cancel()
		drained <- relaying.relay.Drain(ctx, time.Millisecond)
	}()
	if got := <-owner.away; got != sid {
		t.Errorf("sent away %q; want %q", got, sid)
	}
	close(proceed)
	expect(t, reader, append(serverFrame(1000)[500:], serverFrame(7)...))
	conn.Close()
	if err := <-drained; err != nil {
		t.Errorf("Drain: %v", err)
	}
}

func TestDrain_CutsAWebSocketWhoseOwnerDoesNotAnswer(t *testing.T) {
	relaying, owner := pair(t, echo)
	_, reader, _ := upgrade(t, relaying, nil)
	expect(t, reader, serverFrame(3))
	owner.peers.Listener.Close()
	owner.peers.Config.Close() // not the connections that were taken over
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	if err := relaying.relay.Drain(ctx, time.Millisecond); err != nil {
		t.Errorf("Drain: %v", err)
	}
	if rest, err := io.ReadAll(reader); len(rest) > 0 {
		t.Errorf("read %x, %v", rest, err)
	}
}

func TestDrain_CutsAWebSocketThatComesTooLate(t *testing.T) {
	relaying, _ := pair(t, echo)
	if err := relaying.relay.Drain(t.Context(), time.Millisecond); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", relaying.clients.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(hang))
	_, _ = conn.Write([]byte(upgradeRequest))
	if answer, _ := io.ReadAll(conn); len(answer) > 0 {
		t.Errorf("read %q", answer)
	}
}

func TestDrain_CutsAWebSocketThatStays(t *testing.T) {
	relaying, _ := pair(t, echo)
	_, reader, _ := upgrade(t, relaying, nil)
	expect(t, reader, serverFrame(3))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := relaying.relay.Drain(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("Drain: %v; want %v", err, context.Canceled)
	}
	if rest, err := io.ReadAll(reader); len(rest) > 0 {
		t.Errorf("read %x, %v", rest, err)
	}
}

func TestDrain_AsksTheOwnerToEndAPoll(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	relaying, owner := pair(t, func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		fmt.Fprint(w, "6")
	})
	var polling sync.WaitGroup
	polling.Go(func() {
		if response, body := relaying.request(t, http.MethodGet, "sid="+sid, ""); body != "6" || response.StatusCode != http.StatusOK {
			t.Errorf("%d %q; want 200 6", response.StatusCode, body)
		}
	})
	await.Value(t, "poll at the owner", arrived)
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	if err := relaying.relay.Drain(ctx, time.Millisecond); err != nil {
		t.Error(err)
	}
	select {
	case got := <-owner.released:
		if got != sid {
			t.Errorf("released %q; want %q", got, sid)
		}
	default:
		t.Error("the owner was not asked")
	}
	close(release)
	polling.Wait()
}
