package redis_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
	"github.com/carillon-io/carillon/pkg/emitter"
)

// startReplica starts a server that follows another, and waits until it is in step.
func startReplica(t *testing.T, master *server) *server {
	t.Helper()
	replica := newServer(t)
	host, port, _ := net.SplitHostPort(master.address)
	replica.start("--replicaof", host+" "+port)
	eventually(t, "replica is in step", func() bool {
		role := replica.command("ROLE").Val().([]any)
		return role[0] == "slave" && role[3] == "connected"
	})
	eventually(t, "its master knows", func() bool {
		return strings.Contains(master.command("INFO", "replication").Val().(string), "state=online")
	})
	return replica
}

func (s *server) isMaster() bool { return s.command("ROLE").Val().([]any)[0] == "master" }

// TestFailover_PlannedOneIsFollowed: the master becomes a replica, and no connection ends. One address leads to whatever is
// the master, as with managed services.
func TestFailover_PlannedOneIsFollowed(t *testing.T) {
	t.Parallel()
	inEachDialect(t, func(t *testing.T, master *server, config func() redis.Config) {
		replica := startReplica(t, master)
		endpoint := newProxy(t, master.address)
		client := func() goredis.UniversalClient { return clientWith(t, &goredis.Options{Addr: endpoint.address}) }
		one, two := readyNodeWith(t, client(), config()), readyNodeWith(t, client(), config())
		one.hold("red")
		two.join("red")
		host, port, _ := net.SplitHostPort(replica.address)
		endpoint.lead(replica.address)
		master.command("FAILOVER", "TO", host, port)
		eventually(t, "the replica is the master", replica.isMaster)
		three := readyNodeWith(t, client(), config())
		three.hold("red")
		for i, pair := range [][2]*node{{one, three}, {three, one}, {two, three}, {one, two}} {
			pair[0].until(pair[1], "red", fmt.Sprint("after ", i))
		}
		for _, n := range []*node{one, two} {
			if n.metric("redis_resubscribes_total") == 0 {
				t.Error("the gap is not counted")
			}
		}
	})
}

// TestFailover_SubscriptionLeftAtTheReplicaFollows: it receives everything, through replication, but is not counted where
// Node counts.
func TestFailover_SubscriptionLeftAtTheReplicaFollows(t *testing.T) {
	t.Parallel()
	master := startServer(t)
	replica := startReplica(t, master)
	endpoint := newProxy(t, master.address)
	n := readyNodeWith(t, clientWith(t, &goredis.Options{Addr: endpoint.address}), redis.Config{NodeID: "n"})
	host, port, _ := net.SplitHostPort(replica.address)
	endpoint.lead(replica.address)
	// The connection out is made anew at the new master before the node can ask the old one for its role.
	master.command("ACL", "SETUSER", "default", "-role")
	master.command("FAILOVER", "TO", host, port)
	eventually(t, "the replica is the master", replica.isMaster)
	master.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	eventually(t, "counted at the new master", func() bool { return replica.subscribers(requests) == 1 })
	n.join("red")
}

func TestReplica_IsRefusedAndTheReasonIsLoggedOnce(t *testing.T) {
	t.Parallel()
	master := startServer(t)
	replica := startReplica(t, master)
	log, logs := observed()
	n := newNodeWith(t, replica.client(), redis.Config{Logger: log, RequestTimeout: 500 * time.Millisecond})
	if err := n.confirm(); err == nil || n.State().Connected {
		t.Errorf("confirmed by a replica: %v, %+v", err, n.State())
	}
	replica.command("REPLICAOF", "NO", "ONE")
	eventually(t, "ready", func() bool { return n.State() == adapter.State{Ready: true, Connected: true} })
	for _, what := range []string{"subscriber", "publisher"} {
		refused := logs.FilterMessage(what + " cannot connect").All()
		if len(refused) != 1 || !strings.Contains(fmt.Sprint(refused[0].ContextMap()["error"]), "replica") {
			t.Errorf("%s: %v", what, refused)
		}
	}
}

// TestDeaf_HealsHoweverSlowRedisIs: with many namespaces it takes several seconds to subscribe.
func TestDeaf_HealsHoweverSlowRedisIs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		latency    time.Duration
		namespaces int
	}{
		"600 ms":                  {600 * time.Millisecond, 1},
		"100 ms, 3000 namespaces": {100 * time.Millisecond, 3000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			proxy := newProxy(t, s.address)
			n := newNodeWith(t, clientWith(t, &goredis.Options{Addr: proxy.address}), redis.Config{})
			for i := range c.namespaces - 1 {
				n.Open(fmt.Sprint("/tenant-", i))
			}
			eventually(t, "ready", func() bool { return n.State().Ready })
			n.join("red")
			proxy.slow(c.latency)
			proxy.deafen(true)
			eventually(t, "deaf", func() bool { return n.State().Deaf })
			eventually(t, "healed", func() bool { return n.State() == adapter.State{Ready: true, Connected: true} })
			if err := n.confirm("red"); err != nil {
				t.Fatal(err)
			}
			readyNode(t, s, redis.Config{}).mustPublish(broadcast(`["after"]`, "red"))
			n.awaitHeard(`["after"]`)
			if got := n.metric("redis_resubscribes_total"); got > 2 {
				t.Errorf("%v connections until it heard again", got)
			}
		})
	}
}

// TestConfirm_SubscriptionThatWentDeafIsNotBelieved, although it was proven a moment ago.
func TestConfirm_SubscriptionThatWentDeafIsNotBelieved(t *testing.T) {
	t.Parallel()
	inEach(t, subscribing, func(t *testing.T, s *server, config func() redis.Config) {
		proxy := newProxy(t, s.address)
		cfg := config()
		cfg.RequestTimeout = time.Second
		n := readyNodeWith(t, clientWith(t, &goredis.Options{Addr: proxy.address}), cfg)
		n.join("red")
		proxy.deafen(true)
		if err := n.confirm("red"); err == nil {
			t.Error("confirmed")
		}
		eventually(t, "confirmed by another connection", func() bool { return n.confirm("red") == nil })
	})
}

// TestInterest_RoomAndNamespaceWithOneChannel: room b of the main namespace, and the namespace /#b.
func TestInterest_RoomAndNamespaceWithOneChannel(t *testing.T) {
	t.Parallel()
	inEachDialect(t, func(t *testing.T, s *server, config func() redis.Config) {
		cfg := config()
		cfg.Linger = time.Millisecond
		other := readyNode(t, s, config())
		for i, order := range []string{"namespace first", "room first"} {
			n := readyNode(t, s, cfg)
			open := func() {
				n.Open("/#b")
				confirmed := make(chan error, 1)
				n.Confirm("/#b", nil, func(err error) { confirmed <- err })
				if err := <-confirmed; err != nil {
					t.Fatal(err)
				}
			}
			if i == 0 {
				open()
				n.join("b")
			} else {
				n.join("b")
				open()
			}
			other.mustPublish(broadcast(`["room"]`, "b"))
			inNamespace := broadcast(`["namespace"]`)
			inNamespace.Namespace = "/#b"
			other.mustPublish(inNamespace)
			n.awaitHeard(`["room"]`, `["namespace"]`)
			n.Close("/#b")
			// A room that is subscribed and given up shows that the linger of the namespace is over too.
			n.join("x")
			n.drop("x")
			gone := func() bool { return s.subscribers("socket.io#/#x#")+s.shardSubscribers("socket.io#/#x#") == 0 }
			eventually(t, "left", gone)
			other.mustPublish(broadcast(`["still"]`, "b"))
			eventually(t, order+": still heard", func() bool { return slices.Contains(n.heard(), `["still"]`) })
			n.end()
		}
	})
}

// TestClosedNamespace_IsAnsweredForWhileItsChannelIsSubscribed, at once and with nothing: Node counts the subscribers.
func TestClosedNamespace_IsAnsweredForWhileItsChannelIsSubscribed(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := readyNode(t, s, redis.Config{Linger: time.Hour})
	n.answers(func(adapter.Query, func(adapter.Reply)) { t.Error("asked about a namespace that is closed") })
	answers := s.listen("socket.io-response#/#")
	n.Close("/")
	for _, request := range []string{
		`{"uid":"asker","requestId":"r","type":5,"opts":{"rooms":[],"except":[]}}`,
		`{"uid":"asker","requestId":"r","type":1}`,
		`{"uid":"asker","type":6,"data":["ping"],"requestId":"r"}`,
		`{"uid":"asker","requestId":"r","type":7,"packet":{"type":2,"data":["q"],"nsp":"/"},"opts":{"rooms":[],"except":[]}}`,
	} {
		s.publishRaw(requests, request)
		answer := decodeJSON(t, <-answers)
		if answer["requestId"] != "r" || strings.Contains(request, `"type":7`) && answer["clientCount"] != 0.0 {
			t.Errorf("%s: answer %v", request, answer)
		}
	}
	sharded := dynamic()
	sharded.Linger = time.Hour
	closed, asker := readyNode(t, s, sharded), readyNode(t, s, dynamic())
	closed.answers(func(adapter.Query, func(adapter.Reply)) { t.Error("asked about a namespace that is closed") })
	closed.Close("/")
	asker.knows(3)
	if _, missing, took := asker.ask(); len(missing) != 0 || took >= asked {
		t.Errorf("sharded: missing %q after %s", missing, took)
	}
}

// TestACL_ForbiddenChannelLeavesTheOthersAlone, and is subscribed once it is allowed.
func TestACL_ForbiddenChannelLeavesTheOthersAlone(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.command("ACL", "SETUSER", "gw", "on", ">secret", "~*", "+@all", "resetchannels",
		"&socket.io#/#*", "&socket.io-request#/#*", "&socket.io-response#/#*", "&carillon:*")
	n := readyNodeWith(t, clientWith(t, &goredis.Options{Addr: s.address, Username: "gw", Password: "secret"}), redis.Config{})
	other := readyNode(t, s, redis.Config{})
	n.join("red")
	n.Open("/admin")
	for i := range 20 { // one command with the forbidden channels
		n.hold(fmt.Sprint("room-", i))
	}
	n.join("blue")
	confirmAdmin := func() error {
		confirmed := make(chan error, 1)
		n.Confirm("/admin", nil, func(err error) { confirmed <- err })
		return <-confirmed
	}
	eventually(t, "refused", func() bool { return n.metric("redis_refused_total", "what", "subscribe") > 0 })
	if err := confirmAdmin(); err == nil {
		t.Error("the forbidden namespace is confirmed")
	}
	var want []string
	for i := range 50 {
		other.mustPublish(broadcast(numbered("during", i), "red"))
		want = append(want, numbered("during", i))
	}
	other.mustPublish(broadcast(`["last"]`, "room-19"))
	n.awaitHeard(append(want, `["last"]`)...)
	if got := n.metric("redis_resubscribes_total"); got != 0 {
		t.Errorf("%v new connections", got)
	}
	s.command("ACL", "SETUSER", "gw", "&socket.io*")
	eventually(t, "confirmed once it is allowed", func() bool { return confirmAdmin() == nil })
}

// TestBusy_MessagesWaitInTheirOrder while a script keeps Redis from carrying them out.
func TestBusy_MessagesWaitInTheirOrder(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.start("--busy-reply-threshold", "50")
	n, other := readyNode(t, s, redis.Config{}), readyNode(t, s, redis.Config{})
	other.join("red")
	busy := make(chan error, 1)
	scripts := clientWith(t, &goredis.Options{Addr: s.address, ReadTimeout: time.Minute, MaxRetries: -1})
	go func() {
		busy <- scripts.Eval(context.Background(), `
			local function now() local t = redis.call('time') return t[1] * 1000 + t[2] / 1000 end
			local over = now() + 1500
			while now() < over do end`, nil).Err()
	}()
	eventually(t, "busy", func() bool {
		err := s.client().Ping(context.Background()).Err()
		return err != nil && strings.HasPrefix(err.Error(), "BUSY")
	})
	var want []string
	outcomes := make(chan error, 300)
	for i := range 300 {
		n.Publish(broadcast(numbered("busy", i), "red"), func(err error) { outcomes <- err })
		n.hold(fmt.Sprint("room-", i)) // its subscription is refused as well
		want = append(want, numbered("busy", i))
	}
	for range 300 {
		if err := <-outcomes; err != nil {
			t.Errorf("published while Redis was busy: %v", err)
		}
	}
	if err := <-busy; err != nil && !strings.Contains(err.Error(), "nil") {
		t.Fatal(err)
	}
	other.awaitHeard(want...)
	if got := n.metric("redis_resubscribes_total"); got != 0 {
		t.Errorf("%v new connections", got)
	}
	n.join("room-299")
}

// TestInterestNamespace_ReceivesWhatNodeReceives, each message once, and at once after a join by command.
func TestInterestNamespace_ReceivesWhatNodeReceives(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	cfg := redis.Config{Interest: redis.InterestNamespace, Tag: "TAGa", NodeID: "wide"}
	n := readyNode(t, s, cfg)
	own := "TAGa0123456789abcdef"
	n.join("red", own)
	if got := s.patterns(); got != 1 || s.subscribers("socket.io#/#red#")+s.subscribers("socket.io#/#") != 0 {
		t.Errorf("%d patterns, and names", got)
	}
	e := emitter.New(s.client(), emitter.Config{})
	var want []string
	for i := range 20 {
		// The room is joined, here by hand, when the first line arrives; nothing is confirmed.
		room := fmt.Sprint("new-", i)
		n.mu.Lock()
		n.held[room] = true
		n.mu.Unlock()
		n.Touch("/", room)
		if err := e.To(room).Emit(t.Context(), "hello", i); err != nil {
			t.Fatal(err)
		}
		want = append(want, numbered("hello", i))
	}
	for i, rooms := range [][]string{{own}, {"red"}, {"red", own}, nil} {
		if err := e.To(rooms...).Emit(t.Context(), "then", i); err != nil && rooms != nil {
			t.Fatal(err)
		}
	}
	if err := e.Emit(t.Context(), "all"); err != nil {
		t.Fatal(err)
	}
	if err := e.To("elsewhere").Emit(t.Context(), "no"); err != nil {
		t.Fatal(err)
	}
	want = append(want, numbered("then", 0), numbered("then", 1), numbered("then", 2), `["all"]`)
	n.awaitHeard(want...)
	eventually(t, "the rest is skipped", func() bool {
		return n.metric("redis_receive_dropped_total", "reason", "no_member") == 1
	})
	n.Close("/")
	eventually(t, "unsubscribed", func() bool { return s.patterns() == 0 })
}

// TestFailover_WhatADemotedMasterTakesIsNoSuccess: it accepts messages that reach nobody, and nothing ends the connection.
func TestFailover_WhatADemotedMasterTakesIsNoSuccess(t *testing.T) {
	t.Parallel()
	inEachDialect(t, func(t *testing.T, master *server, config func() redis.Config) {
		replica := startReplica(t, master)
		cfg := config()
		cfg.Queue.Age = time.Second
		n := readyNode(t, master, cfg)
		n.mustPublish(broadcast(`["before"]`, "red"))
		host, port, _ := net.SplitHostPort(replica.address)
		replica.command("REPLICAOF", "NO", "ONE")
		master.command("REPLICAOF", host, port)
		outcomes := make(chan error, 3)
		for range cap(outcomes) {
			n.Publish(broadcast(`["after"]`, "red"), func(err error) { outcomes <- err })
		}
		for range cap(outcomes) {
			if err := <-outcomes; err == nil {
				t.Error("a replica accepted the message, and that counts as success")
			}
		}
	})
}
