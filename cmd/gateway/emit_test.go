package main

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

func TestEmit_PublishesWhatTheFlagsSay(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	url := "redis://" + server.Addr()
	client := goredis.NewClient(&goredis.Options{Addr: server.Addr()})
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	heard := client.PSubscribe(ctx, "*")
	defer heard.Close()
	if _, err := heard.Receive(ctx); err != nil {
		t.Fatal(err)
	}
	elsewhere := write(t, "redis: {url: '"+url+"'}\nadapter: {key: chimes}\n")

	for name, tt := range map[string]struct {
		args    []string
		channel string
		want    adapter.Broadcast
	}{
		"arguments are JSON or else texts": {
			args:    []string{"--redis", url, "note", `{"b":1,"a":[null,true]}`, "7", `"quoted"`, "plain text", "", "007", "--", "-5"},
			channel: "socket.io#/#",
			want:    broadcast("/", `["note",{"b":1,"a":[null,true]},7,"quoted","plain text","","007",-5]`),
		},
		"negative numbers": {
			args:    []string{"note", "-1", "-2.5", "--redis", url, "--room", "-7", "--volatile=false", "-3", "--", "-x", "-4"},
			channel: "socket.io#/#-7#",
			want:    broadcast("/", `["note",-1,-2.5,-3,"-x",-4]`, "-7"),
		},
		"one room": {
			args:    []string{"--redis", url, "--room", "a", "note"},
			channel: "socket.io#/#a#",
			want:    broadcast("/", `["note"]`, "a"),
		},
		"rooms, except rooms, volatile": {
			args:    []string{"note", "--redis", url, "--room", "a", "--room", "b,c", "--except", "d", "--except", "e", "--volatile"},
			channel: "socket.io#/#",
			want: adapter.Broadcast{
				Namespace: "/", Args: packet.Args{JSON: []byte(`["note"]`)}, Volatile: true,
				Target: rooms.Target{Rooms: []string{"a", "b,c"}, Except: []string{"d", "e"}},
			},
		},
		"namespace": {
			args:    []string{"--redis", url, "--namespace", "/chat", "note"},
			channel: "socket.io#/chat#",
			want:    broadcast("/chat", `["note"]`),
		},
		"Redis and key of a configuration": {
			args:    []string{"--config", elsewhere, "note"},
			channel: "chimes#/#",
			want:    broadcast("/", `["note"]`),
		},
		"another channel prefix": {
			args:    []string{"--redis", url, "--key", "chimes", "note"},
			channel: "chimes#/#",
			want:    broadcast("/", `["note"]`),
		},
	} {
		t.Run(name, func(t *testing.T) {
			if code, stdout, stderr := execute(t, append([]string{"emit"}, tt.args...)...); code != exitClean || stdout+stderr != "" {
				t.Fatalf("exit %d; it said:\n%s%s", code, stdout, stderr)
			}
			message, err := heard.ReceiveMessage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if message.Channel != tt.channel {
				t.Errorf("published on %s, want %s", message.Channel, tt.channel)
			}
			got, err := rediswire.DecodeBroadcast(tt.want.Namespace, "", []byte(message.Payload), rediswire.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("published %s %+v, want %s %+v", got.Args.JSON, got, tt.want.Args.JSON, tt.want)
			}
		})
	}
}

func broadcast(nsp, args string, to ...string) adapter.Broadcast {
	return adapter.Broadcast{Namespace: nsp, Args: packet.Args{JSON: []byte(args)}, Target: rooms.Target{Rooms: to}}
}

func TestEmit_WithoutItsRedisExitsWith1(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	url := "redis://" + server.Addr()
	server.Close()
	if code, _, stderr := execute(t, "emit", "--redis", url, "note"); code != exitFailed || stderr == "" {
		t.Errorf("exit %d, want %d; it said: %s", code, exitFailed, stderr)
	}
}
