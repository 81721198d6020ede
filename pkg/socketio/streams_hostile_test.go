package socketio_test

import (
	"encoding/base64"
	"strconv"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/msgjson"
)

// TestStreams_WhatIsNoSessionIsNoSession: what is stored under the pid of a client and cannot be read keeps it from nothing but
// its former socket.
func TestStreams_WhatIsNoSessionIsNoSession(t *testing.T) {
	s := startStreams(t, 1)
	n := s.nodes[0].Of("/")
	connected := sockets(n)
	other := arrive(t, s.urls[0], "/")
	receive(t, connected)
	emit(t, n.Emitter, "one")
	other.expectEvents(`["one"]`)

	record := func(pid string, data int) string {
		b := msgjson.AppendMap(nil, 4)
		for _, member := range []string{"sid", "NODEsocketNODEsocket", "pid", pid} {
			b = msgjson.AppendString(b, member)
		}
		b = msgjson.AppendArray(msgjson.AppendString(b, "rooms"), 0)
		b = msgjson.AppendString(msgjson.AppendString(b, "data"), strings.Repeat("x", data))
		return base64.StdEncoding.EncodeToString(b)
	}
	for name, value := range map[string]string{
		"no base64": "*", "no map": "AAAA", "cut": record("cut", 3)[:20], "too large": record("too large", 1<<20), "another's": record("stranger", 3),
	} {
		s.redis.Do("SET", "sio:session:"+name, value, "PX", 60_000)
	}
	s.redis.Do("LPUSH", "sio:session:list", "element")
	for _, name := range []string{"no base64", "no map", "cut", "too large", "another's", "list"} {
		t.Run(name, func(t *testing.T) {
			c := &returning{peer: &peer{t: t}, url: s.urls[0], nsp: "/", pid: name, offset: other.offset}
			if c.back() || c.sid == "" {
				t.Errorf("recovered, or not let in: %q", c.sid)
			}
		})
	}
}

// TestStreams_ANodeKilledWhileItTakesASession: it has written that it has the session, and nothing that happened meanwhile.
func TestStreams_ANodeKilledWhileItTakesASession(t *testing.T) {
	s := startStreams(t, 4)
	a, c := s.nodes[0].Of("/"), s.nodes[3].Of("/")
	connected, again := sockets(a), sockets(c)
	joins, banned := arrive(t, s.urls[0], "/"), arrive(t, s.urls[0], "/")
	for _, room := range []string{"red", "user:1"} {
		if err := receive(t, connected).Join(room); err != nil {
			t.Fatal(err)
		}
	}
	s.stored(joins, "red")
	s.stored(banned, "user:1")
	s.cables[0].set(true)
	c.To("red").SocketsJoin("blue")
	emit(t, c.To("blue"), "missed")
	c.To("user:1").DisconnectSockets(false)

	for i, client := range []*returning{joins, banned} {
		die := func() { s.cables[1+i].set(true) }
		s.taking[1+i].taken.Store(&die)
		client.hangup()
		client.url = s.urls[1+i]
		pid := client.pid
		client.back()
		client.pid = pid // it has not received the answer
		client.hangup()
		client.url = s.urls[3]
	}
	if !joins.back() {
		t.Fatal("not recovered")
	}
	if back := receive(t, again); !back.In("blue") {
		t.Errorf("it is in %q", back.Rooms(nil))
	}
	joins.expectEvents(`["missed"]`)
	banned.back()
	if got := banned.read(); got != "41" {
		t.Errorf("received %q instead of a DISCONNECT", got)
	}
}

// TestStreams_AnOffsetOfBeforeTheSession, which another session of the client had, brings nothing of that time.
func TestStreams_AnOffsetOfBeforeTheSession(t *testing.T) {
	s := startStreams(t, 2)
	a, b := s.nodes[0].Of("/"), s.nodes[1].Of("/")
	connected := sockets(a)
	other := arrive(t, s.urls[0], "/")
	receive(t, connected)
	emit(t, a.Emitter, "one")
	other.expectEvents(`["one"]`)
	offset := other.offset
	emit(t, a.Emitter, "two")
	other.expectEvents(`["two"]`)
	c := arrive(t, s.urls[0], "/")
	receive(t, connected)
	s.stored(c, c.sid)
	s.cables[0].set(true)
	emit(t, b.Emitter, "three")
	c.hangup()
	c.url, c.offset = s.urls[1], offset
	if !c.back() {
		t.Fatal("not recovered")
	}
	c.expectEvents(`["three"]`)
}

// TestStreams_ABanHoldsForAnOffsetOfBehindIt, which another session of the client had.
func TestStreams_ABanHoldsForAnOffsetOfBehindIt(t *testing.T) {
	s := startStreams(t, 2)
	a, b := s.nodes[0].Of("/"), s.nodes[1].Of("/")
	connected := sockets(a)
	c, other := arrive(t, s.urls[0], "/"), arrive(t, s.urls[1], "/")
	if err := receive(t, connected).Join("user:1"); err != nil {
		t.Fatal(err)
	}
	s.stored(c, "user:1")
	s.cables[0].set(true)
	b.To("user:1").DisconnectSockets(false)
	emit(t, b.Emitter, "next")
	other.expectEvents(`["next"]`)
	// An entry of some seconds later, as it comes with time.
	at, _, _ := strings.Cut(other.offset, "-")
	milliseconds, err := strconv.Atoi(at)
	if err != nil {
		t.Fatal(err)
	}
	offset := strconv.Itoa(milliseconds+5000) + "-0"
	s.redis.Do("XADD", "socket.io", offset, "nsp", "/other", "uid", "x", "type", "3", "data", "{}")
	c.hangup()
	c.url, c.offset = s.urls[1], offset
	c.back()
	if got := c.read(); got != "41" {
		t.Errorf("received %q instead of a DISCONNECT", got)
	}
}
