package e2e

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// TestRequests_BothWaysWithNode puts a gateway, a server of pkg/socketio and Node's own into one cluster.
func TestRequests_BothWaysWithNode(t *testing.T) {
	t.Parallel()
	for name, own := range map[string]bool{"shared responses": false, "own responses": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := startRedis(t)
			gateway := startNode(t, "gateway", url)
			embedded := startEmbedded(t, url, redis.Config{OwnResponses: own, RequestTimeout: 2 * time.Second})
			runJS(t, "requests", "REDIS="+url, "NODES=http://"+gateway.address+","+embedded, fmt.Sprintf("OWN=%t", own))
		})
	}
}

// startEmbedded serves pkg/socketio in this process, with its API as an event that clients call.
func startEmbedded(t *testing.T, url string, cfg redis.Config) string {
	t.Helper()
	_, address := embed(t, url, cfg)
	return address
}

// embed is startEmbedded with the namespace in which that server acts.
func embed(t *testing.T, url string, cfg redis.Config) (root *socketio.Namespace, address string) {
	t.Helper()
	options, err := goredis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := goredis.NewClient(options)
	cluster, err := redis.New(client, cfg)
	if err != nil {
		t.Fatal(err)
	}
	io, err := socketio.New(socketio.Config{Adapter: cluster})
	if err != nil {
		t.Fatal(err)
	}
	root = io.Of("/")
	root.OnConnect(func(s *socketio.Socket) {
		s.On("join", func(room string, ack socketio.Ack) {
			s.JoinThen(func(err error) { _ = ack.Send(map[string]bool{"ok": err == nil}) }, room)
		})
		s.On("call", func(c call, ack socketio.Ack) { _ = ack.Send(c.run(root, cluster)) })
	})
	root.OnServerEvent("note", func(e socketio.Event) { _ = root.Local().Emit("noted", json.RawMessage(e.Args.JSON)) })
	root.OnServerEvent("question", func(e socketio.Event) { _ = e.Ack.Send("go", json.RawMessage(e.Args.JSON)) })

	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- io.Run(ctx) }()
	server := httptest.NewServer(io)
	t.Cleanup(func() {
		io.Close()
		server.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		_ = client.Close()
	})
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for !cluster.State().Ready {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("the embedded server is not ready")
		}
	}
	return root, server.URL
}

// call is one call of the server's API.
type call struct {
	Method  string            `json:"method"`
	To      []string          `json:"to"`
	Rooms   []string          `json:"rooms"`
	Event   string            `json:"event"`
	Args    []json.RawMessage `json:"args"`
	Timeout int               `json:"timeout"` // milliseconds
}

// result is what came of it.
type result struct {
	Error   string            `json:"error,omitempty"`
	Missing []string          `json:"missing,omitempty"`
	IDs     []string          `json:"ids,omitempty"`
	Data    []json.RawMessage `json:"data,omitempty"`
	Rooms   []string          `json:"rooms,omitempty"`
	Answers []answer          `json:"answers,omitempty"`
}

// answer is one acknowledgement as text, so that its placeholders are not taken for those of the message it is sent in.
type answer struct {
	JSON        string   `json:"json"`
	Attachments []string `json:"attachments,omitempty"` // hex
}

func (c call) run(nsp *socketio.Namespace, cluster adapter.Adapter) result {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(c.Timeout)*time.Millisecond)
	defer cancel()
	to := nsp.Except()
	if len(c.To) > 0 {
		to = nsp.To(c.To...)
	}
	args := make([]any, len(c.Args))
	for i, arg := range c.Args {
		args[i] = arg
	}
	var r result
	var err error
	var answers []packet.Args
	switch c.Method {
	case "fetchSockets":
		var sockets []socketio.RemoteSocket
		sockets, err = to.FetchSockets(ctx)
		for _, s := range sockets {
			r.IDs = append(r.IDs, s.ID)
			r.Rooms = append(r.Rooms, s.Rooms...)
			r.Data = append(r.Data, s.Data)
		}
	case "allRooms":
		r.Missing, err = cluster.Ask(ctx, adapter.AllRooms{Namespace: nsp.Name()}, func(reply adapter.Reply) {
			r.Rooms = append(r.Rooms, reply.(adapter.RoomNames)...)
		})
	case "socketsJoin":
		to.SocketsJoin(c.Rooms...)
	case "socketsLeave":
		to.SocketsLeave(c.Rooms...)
	case "disconnectSockets":
		to.DisconnectSockets(false)
	case "serverSideEmit":
		err = nsp.ServerEmit(c.Event, args...)
	case "serverSideEmitWithAck":
		answers, err = nsp.ServerEmitWithAck(ctx, c.Event, args...)
	case "emitWithAck":
		answers, err = to.EmitWithAck(ctx, c.Event, args...)
	case "emitWithAckBinary":
		answers, err = to.EmitWithAck(ctx, c.Event, []byte{1, 2, 3})
	}
	for _, a := range answers {
		text := answer{JSON: string(a.JSON)}
		for _, attachment := range a.Attachments {
			text.Attachments = append(text.Attachments, hex.EncodeToString(attachment))
		}
		r.Answers = append(r.Answers, text)
	}
	if err != nil {
		r.Error = err.Error()
	}
	return r
}
