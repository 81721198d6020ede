package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/carillon-io/carillon/pkg/adapter/adaptertest"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"github.com/carillon-io/carillon/test/redistest"
)

// overClusters runs a test over every kind of cluster. start starts servers that are nodes of one.
func overClusters(t *testing.T, test func(t *testing.T, start starter)) {
	t.Run("memory", func(t *testing.T) {
		test(t, func(configs ...socketio.Config) ([]*socketio.Server, []string) {
			nodes, urls, _ := memoryCluster(t, configs...)
			return nodes, urls
		})
	})
	for name, sharding := range map[string]*redis.Sharding{"redis": nil, "sharded": {}} {
		t.Run(name, func(t *testing.T) {
			test(t, func(configs ...socketio.Config) ([]*socketio.Server, []string) {
				return redisCluster(t, sharding, configs...)
			})
		})
	}
}

type starter func(configs ...socketio.Config) (nodes []*socketio.Server, urls []string)

func memoryCluster(t *testing.T, configs ...socketio.Config) ([]*socketio.Server, []string, *adaptertest.Cluster) {
	t.Helper()
	c := adaptertest.NewCluster(len(configs))
	for i := range configs {
		configs[i].Adapter = c.Adapter(i)
	}
	nodes, urls := run(t, configs)
	return nodes, urls, c
}

// redisCluster starts a redis-server of the test's own, and nodes on it.
func redisCluster(t *testing.T, sharding *redis.Sharding, configs ...socketio.Config) ([]*socketio.Server, []string) {
	t.Helper()
	server := redistest.Start(t)
	for i := range configs {
		tag := "tag" + itoa(i)
		a, err := redis.New(server.NewClient(), redis.Config{Tag: tag, Sharding: sharding, Fences: true})
		if err != nil {
			t.Fatal(err)
		}
		configs[i].Adapter, configs[i].Engine.Tag = a, a.Tag
	}
	return run(t, configs)
}

// run starts the servers and waits until each is a node of its cluster.
func run(t *testing.T, configs []socketio.Config) (nodes []*socketio.Server, urls []string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	for _, cfg := range configs {
		server, url := listen(t, cfg)
		running.Go(func() {
			if err := server.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		nodes, urls = append(nodes, server), append(urls, url)
		eventually(t, "a node is ready", func() bool { return cfg.Adapter.State().Ready })
	}
	return nodes, urls
}

// member joins a namespace on one node and waits until the cluster knows of its rooms.
func member(t *testing.T, node *socketio.Server, url string, rooms ...string) (*peer, *socketio.Socket) {
	t.Helper()
	connected := make(chan *socketio.Socket, 1)
	var once sync.Once
	node.Of("/").OnConnect(func(s *socketio.Socket) { once.Do(func() { connected <- s }) })
	p, id := join(t, url)
	s := receive(t, connected)
	done, confirmed := settled()
	s.JoinThen(done, append(rooms, id)...)
	if err := receive(t, confirmed); err != nil {
		t.Fatal(err)
	}
	return p, s
}

func TestCluster_EmitReachesEveryNodeOnce(t *testing.T) {
	overClusters(t, func(t *testing.T, start starter) {
		nodes, urls := start(socketio.Config{}, socketio.Config{}, socketio.Config{})
		var peers []*peer
		var members []*socketio.Socket
		for i := range nodes {
			echo(nodes[i].Of("/"))
			p, s := member(t, nodes[i], urls[i], "r1", "r2", "only"+itoa(i))
			peers, members = append(peers, p), append(members, s)
		}
		n := nodes[0].Of("/")
		for name, c := range map[string]struct {
			emitter socketio.Emitter
			heard   []int
		}{
			"everyone":       {n.Except(), []int{0, 1, 2}},
			"two rooms":      {n.To("r1", "r2"), []int{0, 1, 2}},
			"a room there":   {n.To("only2"), []int{2}},
			"a socket there": {n.To(members[1].ID()), []int{1}},
			"except":         {n.To("r1").Except("only1"), []int{0, 2}},
			"local":          {n.To("r1").Local(), []int{0}},
			"sender":         {members[0].To("r1"), []int{1, 2}},
		} {
			done, published := settled()
			if err := c.emitter.Published(done).Emit("e", name, []byte{1}); err != nil {
				t.Fatal(err)
			}
			if err := receive(t, published); err != nil {
				t.Fatal(err)
			}
			for i, p := range peers {
				if slices.Contains(c.heard, i) {
					p.expect(`451-["e","`+name+`",{"_placeholder":true,"num":0}]`, "b:\x01")
				}
			}
		}
		for _, p := range peers {
			p.sync()
		}
	})
}

func TestCluster_SocketsOfOtherNodesJoinLeaveAndDisconnect(t *testing.T) {
	overClusters(t, func(t *testing.T, start starter) {
		nodes, urls := start(socketio.Config{}, socketio.Config{})
		p, s := member(t, nodes[1], urls[1])
		n := nodes[0].Of("/")
		n.To(s.ID()).SocketsJoin("x", "y")
		n.To(s.ID()).SocketsLeave("y")
		_ = n.To(s.ID()).Emit("hello")
		p.expect(`42["hello"]`) // commands of one goroutine are applied in order
		if !s.In("x") || s.In("y") {
			t.Errorf("rooms %v", s.Rooms(nil))
		}
		n.To(s.ID()).DisconnectSockets(false)
		p.expect(`41`)
		p2, s2 := member(t, nodes[1], urls[1])
		n.To(s2.ID()).DisconnectSockets(true)
		p2.expect(`41`, `closed`)
	})
}

func TestCluster_FetchSocketsDescribesAll(t *testing.T) {
	overClusters(t, func(t *testing.T, start starter) {
		nodes, urls := start(socketio.Config{}, socketio.Config{PrivateQuery: []string{"key"}})
		urls[1] += "/socket.io/?a=1&token=t1&%6Bey=k1&b=%20;key=k2&c=2&d"
		_, here := member(t, nodes[0], urls[0], "r")
		_, there := member(t, nodes[1], urls[1], "r", "s")
		there.SetData(map[string]int{"n": 7})
		list, err := nodes[0].Of("/").To("r").FetchSockets(within(t))
		if err != nil || len(list) != 2 || list[0].ID != here.ID() || list[1].ID != there.ID() {
			t.Fatalf("fetched %v, %v", list, err)
		}
		if string(list[1].Data) != `{"n":7}` || !slices.Equal(list[1].Rooms, there.Rooms(nil)) {
			t.Errorf("fetched %s %v", list[1].Data, list[1].Rooms)
		}
		var handshake struct {
			Headers map[string]string
			Query   map[string]string
			URL     string
			Auth    map[string]any
		}
		if err := json.Unmarshal(list[1].Handshake, &handshake); err != nil {
			t.Fatal(err)
		}
		if want := "/socket.io/?a=1&c=2&d&EIO=4&transport=websocket"; handshake.URL != want {
			t.Errorf("URL %s, want %s", handshake.URL, want)
		}
		want := map[string]string{"EIO": "4", "transport": "websocket", "a": "1", "c": "2", "d": ""}
		if !maps.Equal(handshake.Query, want) || len(handshake.Auth) != 0 || handshake.Headers["user-agent"] == "" {
			t.Errorf("handshake %s", list[1].Handshake)
		}
		names, err := nodes[0].Of("/").AllRooms(within(t))
		if err != nil || !slices.Equal(names, slices.Sorted(slices.Values([]string{here.ID(), there.ID(), "r", "s"}))) {
			t.Errorf("rooms %v, %v", names, err)
		}
	})
}

func TestCluster_MissingNodesAreNamedBesideAPartialResult(t *testing.T) {
	t.Parallel()
	nodes, urls, c := memoryCluster(t, socketio.Config{}, socketio.Config{}, socketio.Config{})
	for i := range nodes {
		nodes[i].Of("/").OnServerEvent("q", func(e socketio.Event) { _ = e.Ack.Send(i) })
	}
	var peers []*peer
	for i := range nodes {
		p, _ := member(t, nodes[i], urls[i], "r")
		peers = append(peers, p)
	}
	c.Adapter(2).Pause()
	defer c.Adapter(2).Resume()
	n, ctx := nodes[0].Of("/"), t.Context()
	var asking sync.WaitGroup
	ask := func(what string, want int, ask func() (answers int, err error)) {
		asking.Go(func() {
			got, err := ask()
			var missing *socketio.MissingError
			if got != want || !errors.As(err, &missing) || !slices.Equal(missing.Nodes, []string{"node-2"}) {
				t.Errorf("%s: %d answers instead of %d, %v", what, got, want, err)
			}
		})
	}
	ask("sockets", 2, func() (int, error) {
		list, err := n.To("r").FetchSockets(ctx)
		return len(list), err
	})
	ask("rooms", 3, func() (int, error) { // r, and two sockets' own
		list, err := n.AllRooms(ctx)
		return len(list), err
	})
	ask("servers", 1, func() (int, error) {
		list, err := n.ServerEmitWithAck(ctx, "q")
		return len(list), err
	})
	ask("clients", 2, func() (int, error) {
		list, err := n.To("r").EmitWithAck(ctx, "q")
		return len(list), err
	})
	for _, p := range peers[:2] {
		p.expect(`420["q"]`)
		p.send(`430[1]`)
	}
	asking.Wait()
}

func TestCluster_BothKindsOfParsersHearOneBroadcast(t *testing.T) {
	overClusters(t, func(t *testing.T, start starter) {
		nodes, urls := start(socketio.Config{}, socketio.Config{Parser: packet.MsgpackParser})
		plain, _ := member(t, nodes[0], urls[0])
		modern := joinMsgpack(t, urls[1], sockets(nodes[1].Of("/")))
		for _, n := range nodes {
			if err := n.Of("/").Emit("hello", []byte{7}); err != nil {
				t.Fatal(err)
			}
			plain.expect(`451-["hello",{"_placeholder":true,"num":0}]`, "b:\x07")
			modern.expect(msgpackHello)
		}
	})
}

// A node's commands keep their order among one another, and with what its sockets are sent directly.
func TestCluster_OrderOfOneNodeIsKeptOnAnother(t *testing.T) {
	overClusters(t, func(t *testing.T, start starter) {
		nodes, urls := start(socketio.Config{}, socketio.Config{})
		echo(nodes[1].Of("/"))
		p, s := member(t, nodes[1], urls[1], "r", "s")
		n := nodes[0].Of("/")
		const rounds = 100
		for i := range rounds {
			for _, e := range []socketio.Emitter{n.Emitter, n.To("r"), n.To(s.ID(), "r"), n.To(s.ID()), n.To("r", "s")} {
				if err := e.Emit("n", i); err != nil {
					t.Fatal(err)
				}
			}
		}
		for i := range rounds {
			want := `42["n",` + itoa(i) + `]`
			p.expect(want, want, want, want, want)
		}
		p.sync() // nothing came twice
	})
}

func TestCluster_BroadcastWithAckCollectsFromAllNodes(t *testing.T) {
	overClusters(t, func(t *testing.T, start starter) {
		nodes, urls := start(socketio.Config{}, socketio.Config{}, socketio.Config{})
		var peers []*peer
		for i := range 2 { // nobody is on the third
			p, _ := member(t, nodes[i], urls[i], "r")
			peers = append(peers, p)
		}
		answers := make(chan []string, 1)
		go func() {
			got, err := nodes[0].Of("/").To("r").EmitWithAck(within(t), "q")
			if err != nil {
				t.Error(err)
			}
			var texts []string
			for _, args := range got {
				texts = append(texts, string(args.JSON))
			}
			answers <- texts
		}()
		for i, p := range peers {
			p.expect(`420["q"]`)
			p.send(`430["from ` + itoa(i) + `"]`)
		}
		got := receive(t, answers)
		slices.Sort(got)
		if !slices.Equal(got, []string{`["from 0"]`, `["from 1"]`}) {
			t.Errorf("got %v", got)
		}
	})
}

func TestCluster_ServersTalkToOneAnother(t *testing.T) {
	overClusters(t, func(t *testing.T, start starter) {
		nodes, _ := start(socketio.Config{}, socketio.Config{}, socketio.Config{})
		heard := make(chan string, 8)
		for i, name := range []string{"zero", "one"} {
			nodes[i].Of("/").OnServerEvent("hello", func(e socketio.Event) {
				heard <- name + string(e.Args.JSON)
				_ = e.Ack.Send(name)
			})
		}
		nodes[1].Of("/").OnServerEvent("boom", func(socketio.Event) { panic("boom") })
		if err := nodes[0].Of("/").ServerEmit("boom"); err != nil {
			t.Fatal(err)
		}
		if err := nodes[0].Of("/").ServerEmit("hello", 1); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, heard); got != "one[1]" {
			t.Errorf("heard %s", got)
		}
		answers, err := nodes[2].Of("/").ServerEmitWithAck(within(t), "hello")
		if err != nil || len(answers) != 2 {
			t.Fatalf("answers %v, %v", answers, err)
		}
		// A server that does not handle the event answers at once, with nothing.
		answers, err = nodes[0].Of("/").ServerEmitWithAck(within(t), "unheard of")
		if err != nil || len(answers) != 2 || answers[0].Len() != 0 {
			t.Errorf("answers %v, %v", answers, err)
		}
	})
}
