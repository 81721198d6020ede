package redisserver

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/internal/redissub"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// model drives a server, without its goroutines, against a Redis that is a set of names and two pipes. Whatever may
// happen at a time happens in any order: each step of a goroutine, of Redis and of the network is an action of its own.
//
// What it holds the server to: once Confirm has said yes for a room, the room is subscribed at Redis until a socket
// leaves it, the connection is lost, or Redis takes the subscription away.
type model struct {
	t    *testing.T
	rng  *rand.Rand
	seed uint64
	s    *Server
	log  []string

	held map[string]bool // rooms with members, and the namespace, by channel
	sure map[string]bool // confirmed, and nothing has happened to it since
	// The connection, nil while there is none.
	conn   *modelConn
	probes []string // to be published, on the connection out
	open   int      // confirmations without outcome
}

type modelConn struct {
	subscribed map[string]bool
	taken      map[string]bool  // and not read
	commands   [][]string       // sent, not carried out
	pushes     []redisconn.Push // sent by Redis, not read
	deaf       bool             // Redis' bytes do not arrive
	forbidden  map[string]bool  // by the ACL
	busy       bool             // Redis refuses everything for now
}

var modelRooms = []string{"a", "b", "c", "d"}

// shared is a channel that two interests have: that of room b in a namespace, and that of a namespace of its own.
const shared = "b"

func newModel(t *testing.T, seed uint64, sharded bool) *model {
	m := &model{
		t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 1)),
		held: make(map[string]bool), sure: make(map[string]bool),
	}
	cfg := testConfig()
	cfg.Linger = 50 * time.Millisecond
	m.s = newServer(cfg, &Speech{
		Sharded: sharded,
		Wanted:  func(in redissub.Interest) bool { return in.Kind == redissub.Probe || m.held[in.Namespace+in.Channel] },
	}, "here:1", nil, false, probe, elsewhere{})
	return m
}

// elsewhere is a placement that knows other servers.
type elsewhere struct{ alone }

func (elsewhere) moved(*Server, uint16, string) bool { return true }

// wordsOf are the words of a command.
func wordsOf(c redissub.Command) (words []string) {
	lines := strings.Split(string(c.Append(nil)), "\r\n")
	for i := 2; i < len(lines); i += 2 {
		words = append(words, lines[i])
	}
	return words
}

func (m *model) did(format string, args ...any) { m.log = append(m.log, fmt.Sprintf(format, args...)) }

func (m *model) fail(format string, args ...any) {
	m.t.Helper()
	m.t.Fatalf("seed %d: %s\n%v", m.seed, fmt.Sprintf(format, args...), m.log)
}

// other is the namespace with the shared channel.
var other = redissub.Interest{Channel: shared, Kind: redissub.Broadcast, Namespace: "/other"}

func (m *model) pick(names []string) string { return names[m.rng.IntN(len(names))] }

func (m *model) set(in redissub.Interest, held bool) {
	if in.Kind == redissub.Room && !held {
		delete(m.sure, in.Channel)
	}
	m.held[in.Namespace+in.Channel] = held
	m.did("hold %s%s %v", in.Namespace, in.Channel, held)
	m.s.touch([]redissub.Interest{in})
}

func (m *model) confirm() {
	rooms := []string{m.pick(modelRooms)}
	if m.rng.IntN(2) == 0 {
		rooms = append(rooms, m.pick(modelRooms))
	}
	var interests []redissub.Interest
	left := make(map[string]bool)
	for _, r := range rooms {
		interests = append(interests, roomOf(r, 0))
		left[r] = m.held[r]
	}
	m.open++
	m.did("confirm %v", rooms)
	m.s.wait(interests, &redissub.Wait{Done: func(_ uint64, err error) {
		m.open--
		m.did("confirmed %v: %v", rooms, err)
		if err != nil {
			return
		}
		if m.conn == nil || m.conn.deaf {
			m.fail("confirmed without a connection that hears")
		}
		for _, r := range rooms {
			if m.held[r] && !m.delivers(r) {
				m.fail("%s is confirmed, and its messages are dropped", r)
			}
			// What Redis has taken back since the fence is known once it is read.
			if m.held[r] && !m.conn.taken[r] {
				m.sure[r] = true
			}
		}
		m.check()
	}})
}

// check holds the server to its word.
func (m *model) check() {
	for r := range m.sure {
		if !m.conn.subscribed[r] {
			m.fail("%s is confirmed and not subscribed", r)
		}
	}
}

func (m *model) connect() {
	if m.conn != nil {
		return
	}
	m.conn = &modelConn{subscribed: make(map[string]bool), taken: make(map[string]bool), forbidden: make(map[string]bool)}
	m.did("connect")
	m.s.attach(new(redisconn.Conn))
}

func (m *model) disconnect() {
	if m.conn == nil {
		return
	}
	m.conn = nil
	clear(m.sure)
	m.did("disconnect")
	m.s.disconnected()
}

// write is a step of the goroutine that sends commands.
func (m *model) write() {
	if _, c, ok := m.s.next(); ok && m.conn != nil {
		words := wordsOf(c)
		m.conn.commands = append(m.conn.commands, words)
		m.did("send %q", words)
	}
}

// carryOut has Redis act on a command.
func (m *model) carryOut() {
	c := m.conn
	if c == nil || len(c.commands) == 0 {
		return
	}
	verb, names := c.commands[0][0], c.commands[0][1:]
	c.commands = c.commands[1:]
	joins := !strings.Contains(verb, "unsubscribe")
	for _, name := range names {
		if joins && (c.busy || c.forbidden[name]) {
			text := "BUSY Redis is busy"
			if !c.busy {
				text = "NOPERM this user has no permissions to access one of the channels used as arguments"
			}
			m.did("refuse %s", name)
			m.tell(redisconn.Push{Kind: redisconn.Failed, Err: redisconn.Error(text)})
			return
		}
	}
	for _, name := range names {
		c.subscribed[name] = joins
		m.tell(redisconn.Push{Kind: modelKinds[verb], Channel: []byte(name)})
	}
	m.did("done %s", verb)
	m.check()
}

var modelKinds = map[string]redisconn.Kind{
	"subscribe": redisconn.Subscribed, "unsubscribe": redisconn.Unsubscribed,
	"ssubscribe": redisconn.ShardSubscribed, "sunsubscribe": redisconn.ShardUnsubscribed,
}

func (m *model) tell(p redisconn.Push) {
	if !m.conn.deaf {
		m.conn.pushes = append(m.conn.pushes, p)
	}
}

// take has Redis end a subscription by itself.
func (m *model) take() {
	if m.conn == nil || !m.s.speech.Sharded {
		return
	}
	if r := m.pick(modelRooms); m.conn.subscribed[r] {
		m.conn.subscribed[r], m.conn.taken[r] = false, true
		delete(m.sure, r)
		m.did("take %s", r)
		m.tell(redisconn.Push{Kind: redisconn.ShardUnsubscribed, Channel: []byte(r)})
	}
}

// delivers reports whether a message for a room would be delivered.
func (m *model) delivers(room string) bool {
	interests, _ := m.s.interests(false, []byte(room))
	return len(interests) > 0
}

// move has another server serve the slot of all rooms, and then this one again.
func (m *model) move() {
	m.did("move")
	clear(m.sure)
	released := m.s.release(func(uint16) bool { return false })
	m.did("back with %d", len(released))
	m.s.touch(released)
}

// read is a step of the goroutine that reads.
func (m *model) read() {
	c := m.conn
	if c == nil || len(c.pushes) == 0 {
		return
	}
	p := c.pushes[0]
	c.pushes = c.pushes[1:]
	var err error
	switch p.Kind {
	case redisconn.Message:
		m.s.Dispatch(&p)
	case redisconn.Failed:
		err = m.s.refused(p.Err)
	default:
		if p.Kind == redisconn.ShardUnsubscribed {
			delete(c.taken, string(p.Channel))
		}
		err = m.s.confirmed(p.Kind, string(p.Channel))
	}
	if err != nil {
		m.fail("table and connection do not agree: %v", err)
	}
}

// probe is a step of the goroutine that probes; Redis publishes it later.
func (m *model) probe() {
	m.s.mu.Lock()
	number, send := m.s.table.SendProbe(time.Now())
	m.s.mu.Unlock()
	if !send {
		return
	}
	m.did("probe %d", number)
	if m.rng.IntN(10) == 0 {
		m.s.answered(number, 0, adapter.ErrUnknown)
		return
	}
	m.probes = append(m.probes, strconv.FormatUint(number, 10))
}

func (m *model) publish() {
	if len(m.probes) == 0 {
		return
	}
	number := m.probes[0]
	m.probes = m.probes[1:]
	if m.conn != nil && m.conn.subscribed["probe"] {
		m.did("publish %s", number)
		m.tell(redisconn.Push{Kind: redisconn.Message, Channel: []byte("probe"), Payload: []byte(number)})
	}
	n, _ := strconv.ParseUint(number, 10, 64)
	m.s.answered(n, 1, nil)
}

func (m *model) step() {
	switch n := m.rng.IntN(100); {
	case n < 10:
		m.set(roomOf(m.pick(modelRooms), 0), true)
	case n < 17:
		m.set(roomOf(m.pick(modelRooms), 0), false)
	case n < 20:
		m.set(other, m.rng.IntN(2) == 0)
	case n < 30:
		m.confirm()
	case n < 50:
		m.write()
	case n < 65:
		m.carryOut()
	case n < 80:
		m.read()
	case n < 85:
		m.probe()
	case n < 90:
		m.publish()
	case n < 95:
		time.Sleep(time.Duration(m.rng.IntN(200)) * time.Millisecond)
		m.did("time passes")
	case n < 96 && m.rng.IntN(2) == 0:
		m.move()
	case n < 96:
		m.take()
	case n < 97:
		m.disconnect()
	case n < 98 && m.conn != nil:
		m.conn.deaf = true
		m.conn.pushes = nil
		clear(m.sure)
		m.did("deaf")
	case n < 99 && m.conn != nil:
		m.conn.busy = !m.conn.busy
		m.conn.forbidden[m.pick(modelRooms)] = m.rng.IntN(2) == 0
	default:
		m.connect()
	}
}

// settle lets everything come to rest on a connection without faults, and checks that it is as wanted.
func (m *model) settle() {
	if m.conn != nil && m.conn.deaf {
		m.disconnect()
	}
	m.connect()
	m.conn.busy = false
	clear(m.conn.forbidden)
	for range 15 { // a refused channel is tried again within ten seconds
		for range 10 {
			m.write()
			m.carryOut()
			m.read()
			m.probe()
			m.publish()
		}
		time.Sleep(time.Second)
	}
	if m.open > 0 {
		m.fail("%d confirmations without outcome", m.open)
	}
	for _, r := range modelRooms {
		wanted := m.held[r] || r == shared && m.held["/other"+shared]
		if m.conn.subscribed[r] != wanted {
			m.fail("%s: subscribed %v, wanted %v", r, m.conn.subscribed[r], wanted)
		}
		if delivered := m.delivers(r); delivered != wanted {
			m.fail("%s: delivered %v, wanted %v", r, delivered, wanted)
		}
	}
	rows := 1
	for _, subscribed := range m.conn.subscribed {
		if subscribed {
			rows++
		}
	}
	got := 0
	m.s.table.Names(func(string) bool { got++; return false })
	if got != rows-1 {
		m.fail("%d rows for %d subscriptions", got, rows-1)
	}
}

// TestModel_ConfirmedRoomIsSubscribedUntilItIsLeft tries thousands of random interleavings. A failure prints its seed and
// all that happened.
func TestModel_ConfirmedRoomIsSubscribedUntilItIsLeft(t *testing.T) {
	t.Parallel()
	first := rand.Uint64()
	synctest.Test(t, func(t *testing.T) {
		for i := range uint64(2000) {
			m := newModel(t, first+i, i%2 == 0)
			m.connect()
			for range 250 {
				m.step()
			}
			m.settle()
		}
	})
}
