//go:build soak

package redis_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
)

var soakTime = flag.Duration("soak", 10*time.Minute, "how long each topology is soaked")

// soak is some nodes that publish to one another, numbered, while Redis is mistreated.
//
// Each message is accounted for: it arrives at most once; among those of which the outcome is known it arrives in order; and
// when its publisher was told that Redis took it, it arrives wherever a confirmation before it and another one after it frame
// it without a gap counted in between. One whose outcome is unknown may still be at a server that is frozen, which carries it
// out when it goes on.
type soak struct {
	t     *testing.T
	rooms []string
	nodes []*soakNode
}

type soakNode struct {
	*node

	id string

	mu     sync.Mutex
	sent   map[string][]soakMessage // by room
	proofs []proof
}

type soakMessage struct {
	at, over time.Time
	err      error
}

// proof is a confirmation of all rooms.
type proof struct {
	begun, over time.Time
	gaps        float64
	err         error
}

func newSoak(t *testing.T, rooms []string, nodes int, config func() redis.Config, client func() goredis.UniversalClient) *soak {
	s := &soak{t: t, rooms: rooms}
	for i := range nodes {
		cfg := config()
		cfg.NodeID = fmt.Sprint("node-", i)
		n := readyNodeWith(t, client(), cfg)
		n.join(rooms...)
		s.nodes = append(s.nodes, &soakNode{node: n, id: cfg.NodeID, sent: make(map[string][]soakMessage)})
	}
	return s
}

// run publishes and confirms until the time is over.
func (s *soak) run(harm func(), pause func() time.Duration) {
	stop := make(chan struct{})
	var group sync.WaitGroup
	every := func(d time.Duration, f func()) {
		group.Go(func() {
			ticker := time.NewTicker(d)
			defer ticker.Stop()
			for {
				select {
				case <-stop:
					return
				case <-ticker.C:
					f()
				}
			}
		})
	}
	for _, n := range s.nodes {
		every(10*time.Millisecond, func() { n.send(s.rooms[rand.IntN(len(s.rooms))]) })
		every(20*time.Millisecond, func() { n.prove(s.rooms) })
	}
	for over := time.Now().Add(*soakTime); time.Now().Before(over); {
		time.Sleep(pause())
		harm()
	}
	time.Sleep(15 * time.Second)
	close(stop)
	group.Wait()
	for _, n := range s.nodes {
		eventually(s.t, "well in the end", func() bool { return n.confirm(s.rooms...) == nil })
	}
	time.Sleep(2 * time.Second)
}

func (n *soakNode) send(room string) {
	n.mu.Lock()
	i := len(n.sent[room])
	n.sent[room] = append(n.sent[room], soakMessage{at: time.Now()})
	n.mu.Unlock()
	text := fmt.Sprintf(`[%q,%q,%d]`, n.id, room, i)
	n.Publish(broadcast(text, room), func(err error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		m := &n.sent[room][i]
		m.over, m.err = time.Now(), err
	})
}

func (n *soakNode) prove(rooms []string) {
	p := proof{begun: time.Now()}
	p.err = n.confirm(rooms...)
	p.over, p.gaps = time.Now(), n.metric("redis_resubscribes_total")
	n.proofs = append(n.proofs, p)
}

// account checks what arrived, and reports.
func (s *soak) account() {
	for _, to := range s.nodes {
		heard := make(map[string][]int) // by publisher and room
		for _, text := range to.heard() {
			var from, room string
			var i int
			if _, err := fmt.Sscanf(text, "[%q,%q,%d]", &from, &room, &i); err == nil {
				key := from + " " + room
				heard[key] = append(heard[key], i)
			}
		}
		for _, from := range s.nodes {
			if from == to {
				continue
			}
			for _, room := range s.rooms {
				s.accountFor(from, to, room, heard[from.id+" "+room])
			}
		}
	}
}

func (s *soak) accountFor(from, to *soakNode, room string, heard []int) {
	sent := from.sent[room]
	arrived := make(map[int]bool)
	last, late := -1, 0
	for _, i := range heard {
		if arrived[i] {
			s.t.Errorf("%s to %s in %s: %d twice", from.id, to.id, room, i)
		}
		arrived[i] = true
		switch {
		case i > last:
			last = i
		case errors.Is(sent[i].err, adapter.ErrUnknown):
			late++
		default:
			s.t.Errorf("%s to %s in %s: %d %s came after %d %s", from.id, to.id, room, i, sent[i], last, sent[last])
		}
	}
	taken, missed, lost := 0, 0, 0
	for i, m := range sent {
		if m.over.IsZero() {
			s.t.Errorf("%s: message %d in %s has no outcome", from.id, i, room)
		}
		if m.err != nil {
			continue
		}
		taken++
		if arrived[i] {
			continue
		}
		if missed++; to.certainAt(m) {
			lost++
			s.t.Errorf("%s to %s in %s: %d %s lost without a gap", from.id, to.id, room, i, m)
		}
	}
	s.t.Logf("%s to %s in %s: %d sent, %d taken, %d heard, %d missed in gaps, %d late with unknown outcome", from.id, to.id, room,
		len(sent), taken, len(heard), missed-lost, late)
}

// String tells when a message was published and when its outcome was known.
func (m soakMessage) String() string {
	const clock = "04:05.000000"
	return fmt.Sprintf("(%s to %s, %v)", m.at.Format(clock), m.over.Format(clock), m.err)
}

// certainAt reports whether two confirmations, with no gap between them, frame a message.
func (n *soakNode) certainAt(m soakMessage) bool {
	before := -1
	for i, p := range n.proofs {
		switch {
		case p.err != nil:
		case !p.over.After(m.at):
			before = i
		case !p.begun.Before(m.over):
			return before >= 0 && n.proofs[before].gaps == p.gaps
		}
	}
	return false
}

func TestSoak_OneRedisWithFailovers(t *testing.T) {
	servers := []*server{startServer(t)}
	servers = append(servers, startReplica(t, servers[0]))
	endpoint := newProxy(t, servers[0].address)
	client := func() goredis.UniversalClient { return clientWith(t, &goredis.Options{Addr: endpoint.address}) }
	s := newSoak(t, []string{"red", "blue"}, 3, func() redis.Config { return redis.Config{} }, client)
	master := 0
	s.run(func() {
		switch rand.IntN(5) {
		case 0:
			servers[master].command("CLIENT", "KILL", "TYPE", "pubsub")
		case 1:
			servers[master].command("CLIENT", "KILL", "TYPE", "normal")
		case 2:
			servers[master].signal(syscall.SIGSTOP)
			time.Sleep(time.Duration(rand.IntN(7000)) * time.Millisecond)
			servers[master].signal(syscall.SIGCONT)
		case 3:
			endpoint.deafen(true)
		case 4:
			next := servers[1-master]
			endpoint.lead(next.address)
			servers[master].client().Do(t.Context(), "FAILOVER", "TO", next.Host(), next.Port(), "TIMEOUT", 3000)
			eventually(t, "failed over, or not", func() bool {
				return next.isMaster() || !servers[master].failingOver()
			})
			if next.isMaster() {
				master = 1 - master
			} else {
				endpoint.lead(servers[master].address)
			}
		}
	}, func() time.Duration { return time.Duration(2+rand.IntN(8)) * time.Second })
	s.account()
}

func (s *server) failingOver() bool {
	return !strings.Contains(s.command("INFO", "replication").Val().(string), "master_failover_state:no-failover")
}

func TestSoak_ShardedCluster(t *testing.T) {
	c := startCluster(t, 3, true)
	client := func() goredis.UniversalClient { return c.client() }
	rooms := []string{c.roomAt(0), c.roomAt(1), c.roomAt(2)}
	s := newSoak(t, rooms, 3, dynamic, client)
	s.run(func() {
		masters := c.current()
		victim := masters[rand.IntN(len(masters))]
		switch rand.IntN(5) {
		case 0:
			victim.command("CLIENT", "KILL", "TYPE", "pubsub")
		case 1:
			victim.command("CLIENT", "KILL", "TYPE", "normal")
		case 2:
			victim.signal(syscall.SIGSTOP)
			time.Sleep(time.Duration(rand.IntN(4000)) * time.Millisecond)
			victim.signal(syscall.SIGCONT)
		case 3:
			slot := redisconn.Slot("socket.io#/#" + rooms[rand.IntN(len(rooms))] + "#")
			from, to := c.serving(slot, masters), masters[rand.IntN(len(masters))]
			if from != nil && from != to {
				c.tryMove(slot, from, to)
			}
		case 4:
			for _, s := range c.servers {
				if !s.isMaster() {
					s.client().Do(t.Context(), "CLUSTER", "FAILOVER")
					break
				}
			}
		}
	}, func() time.Duration { return time.Duration(3+rand.IntN(7)) * time.Second })
	s.account()
}

// tryMove is move while roles may change, for which Redis refuses some of it. A tool would go on with it later, as the next
// move does.
func (c *cluster) tryMove(slot uint16, from, to *server) {
	set := func(at *server, state string, other *server) {
		if err := at.client().Do(c.t.Context(), "CLUSTER", "SETSLOT", slot, state, other.ID()).Err(); err != nil {
			c.t.Logf("slot %d not %s: %v", slot, state, err)
		}
	}
	set(to, "IMPORTING", from)
	set(from, "MIGRATING", to)
	set(to, "NODE", to)
	set(from, "NODE", to)
}

// current are the servers that are masters now.
func (c *cluster) current() (masters []*server) {
	for _, s := range c.servers {
		if s.isMaster() {
			masters = append(masters, s)
		}
	}
	return masters
}

// serving is which master says that it serves a slot.
func (c *cluster) serving(slot uint16, masters []*server) *server {
	for _, s := range masters {
		for _, r := range s.client().ClusterSlots(c.t.Context()).Val() { //nolint:staticcheck // as the adapter does
			if r.Start <= int(slot) && int(slot) <= r.End && len(r.Nodes) > 0 && r.Nodes[0].ID == s.id() {
				return s
			}
		}
	}
	return nil
}
