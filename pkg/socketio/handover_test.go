package socketio_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/socketio"
)

// barrier holds the first call whose text begins with begin, from when on reached is closed, until open is called.
type barrier struct {
	begin   string
	once    sync.Once
	reached chan struct{}
	opened  chan struct{}
	open    func()
}

func newBarrier(t *testing.T, begin string) *barrier {
	b := &barrier{begin: begin, reached: make(chan struct{}), opened: make(chan struct{})}
	b.open = sync.OnceFunc(func() { close(b.opened) })
	t.Cleanup(b.open)
	return b
}

func (b *barrier) pass(text string) {
	if !strings.HasPrefix(text, b.begin) {
		return
	}
	first := false
	b.once.Do(func() {
		first = true
		close(b.reached)
	})
	if first {
		<-b.opened
	}
}

// leave has the first server leave. left is closed once it has.
func (s *several) leave(t *testing.T) (left <-chan struct{}) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.nodes[0].Shutdown(within(t)); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { <-done })
	return done
}

// moment is how long something is held up that must not be noticed. A test relies on it only to fail.
const moment = 50 * time.Millisecond

// TestHandover_AClientThatComesBackMeanwhile: the session is entered as the adopting server's, and is not there yet.
func TestHandover_AClientThatComesBackMeanwhile(t *testing.T) {
	for name, at := range map[string]int{"to the server that adopts it": 1, "to a third one": 2} {
		t.Run(name, func(t *testing.T) {
			asked := make(chan struct{}, 10)
			s := inMemory(t, 3, func(cfg *socketio.Config) {
				cfg.DrainWindow = time.Millisecond
				cfg.Recovery.Except = func(string) bool {
					asked <- struct{}{}
					return false
				}
			})
			c, socket := s.inRoom(t)
			<-asked
			s.away(t, c, socket)
			entered := newBarrier(t, "tag1 ")
			s.log.after = entered.pass
			left := s.leave(t)
			<-entered.reached
			go func() {
				<-asked
				time.Sleep(moment)
				entered.open()
			}()
			c.url = s.urls[at]
			if !c.back() {
				t.Fatal("not recovered")
			}
			c.expectEvents(`["2"]`)
			<-left
		})
	}
}

// adopting has three servers, and an absent session at the first one. Once that leaves, the second one fetches the session, and enters
// it as its own when entering is opened.
func adopting(t *testing.T) (s *several, c *returning, entering *barrier) {
	t.Helper()
	s = inMemory(t, 3, func(cfg *socketio.Config) { cfg.DrainWindow = time.Millisecond })
	c, socket := s.inRoom(t)
	s.away(t, c, socket)
	entering = newBarrier(t, "tag1 ")
	s.log.before = entering.pass
	return s, c, entering
}

// TestHandover_ALaterClaimElsewhereIsPreferred although the session was offered to the adopting server.
func TestHandover_ALaterClaimElsewhereIsPreferred(t *testing.T) {
	s, c, entering := adopting(t)
	left := s.leave(t)
	<-entering.reached
	c.url = s.urls[2]
	if !c.back() {
		t.Fatal("not recovered")
	}
	c.expectEvents(`["2"]`)
	entering.open()
	<-left
	emit(t, s.nodes[1].Of("/").To("a"), "3")
	c.expectEvents(`["3"]`)
}

func TestHandover_WhatWasNotTakenIsOfferedAgain(t *testing.T) {
	s := inMemory(t, 2, func(cfg *socketio.Config) { cfg.DrainWindow = time.Millisecond })
	c, socket := s.inRoom(t)
	s.away(t, c, socket)
	var cuts atomic.Int32
	s.peers[1].lost = func(call string) bool { return call == "cut" && cuts.Add(1) == 1 }
	<-s.leave(t)
	delete(s.peers[1].urls, "tag0")
	c.url = s.urls[1]
	if !c.back() {
		t.Fatal("not recovered")
	}
	c.expectEvents(`["2"]`)
}

// TestHandover_AConnectionThatDoesNotLetGo, such as one that is half open, costs no client its session, its own neither.
func TestHandover_AConnectionThatDoesNotLetGo(t *testing.T) {
	const patience = 4 * time.Second // less than a WebSocket's client may take to answer a Close frame
	s := inMemory(t, 2, func(cfg *socketio.Config) { cfg.DrainWindow = time.Millisecond })
	c, socket := s.inRoom(t)
	silent, _ := s.inRoom(t)
	c.expectEvents(`["1"]`)
	s.away(t, c, socket)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_ = s.nodes[0].Shutdown(ctx) // one had to be cut
	delete(s.peers[1].urls, "tag0")
	for _, client := range []*returning{c, silent} {
		client.url = s.urls[1]
		if !client.back() {
			t.Fatal("not recovered")
		}
		client.expectEvents(`["2"]`)
	}
}

// TestHandover_TheServerEndsInTheMiddle: what it has handed over is the other server's, although that has not entered it yet, and
// a client that comes back to a third one finds it there.
func TestHandover_TheServerEndsInTheMiddle(t *testing.T) {
	s, c, entering := adopting(t)
	ctx, end := context.WithCancel(t.Context())
	left := make(chan struct{})
	go func() {
		defer close(left)
		_ = s.nodes[0].Shutdown(ctx)
	}()
	<-entering.reached
	end()
	<-left
	eventually(t, "the session is entered as the other server's", func() bool {
		entry, _ := s.log.Entry(t.Context(), c.pid)
		return entry == "tag1 1"
	})
	delete(s.peers[2].urls, "tag0")
	time.AfterFunc(moment, entering.open)
	c.url = s.urls[2]
	if !c.back() {
		t.Fatal("not recovered")
	}
	c.expectEvents(`["2"]`)
}

// TestHandover_ADisconnectIsToldAlthoughTheServerHasLeft: the client comes back to the server that has adopted the session, or another.
func TestHandover_ADisconnectIsToldAlthoughTheServerHasLeft(t *testing.T) {
	for name, at := range map[string]int{"where the session has gone": 1, "elsewhere": 2} {
		t.Run(name, func(t *testing.T) {
			s := inMemory(t, 3, func(cfg *socketio.Config) { cfg.DrainWindow = time.Millisecond })
			s.peers[0].urls = map[string]string{"tag0": s.peers[0].urls["tag0"], "tag1": s.peers[0].urls["tag1"]} // it knows the second one alone
			c, socket := s.inRoom(t)
			s.away(t, c, socket)
			s.nodes[1].Of("/").To(c.sid).DisconnectSockets(false)
			eventually(t, "the session has ended", func() bool { return len(socket.Rooms(nil)) == 0 })
			<-s.leave(t)
			delete(s.peers[1].urls, "tag0")
			c.dialAny(t, s.urls[at])
			c.expect("41")
			c.hangup()
			c.dialAny(t, s.urls[at])
			emit(t, s.nodes[at].Of("/").To(c.sid), "told once")
			c.expectEvents(`["told once"]`)
		})
	}
}
