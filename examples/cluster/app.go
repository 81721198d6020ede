package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/adapter/redis"
	"github.com/carillon-io/carillon/pkg/socketio"
)

// app is one process of the application.
type app struct {
	name string // of this process
	io   *socketio.Server
	main *socketio.Namespace
}

func newApp(client goredis.UniversalClient, name string) (*app, error) {
	cluster, err := redis.New(client, redis.Config{})
	if err != nil {
		return nil, err
	}
	io, err := socketio.New(socketio.Config{Adapter: cluster, DrainWindow: time.Second})
	if err != nil {
		return nil, err
	}
	a := &app{name: name, io: io, main: io.Of("/")}
	a.main.Use(a.admit)
	a.main.OnConnect(a.connected)
	a.main.OnServerEvent("maintenance", a.maintenance)
	a.main.OnServerEvent("count", a.count)
	return a, nil
}

const staff = "staff"

func userRoom(user string) string { return "user:" + user }

// admit takes users at their word; examples/chat has tokens.
func (a *app) admit(_ context.Context, s *socketio.Socket) error {
	var auth struct{ User string }
	if s.UnmarshalAuth(&auth) != nil || auth.User == "" {
		return errors.New("who are you?")
	}
	s.SetData(auth.User) // other processes see it in FetchSockets
	return s.Join(userRoom(auth.User))
}

func (a *app) connected(s *socketio.Socket) {
	user := s.Data().(string)
	_ = s.Broadcast().Emit("online", user) // a string can always be sent
	s.On("who", func(ack socketio.Ack) {
		ctx, cancel := context.WithTimeout(s.Context(), patience)
		defer cancel()
		users, err := a.users(ctx)
		if err != nil {
			users = append(users, "and others: "+err.Error())
		}
		_ = ack.Send(users) // a client that has gone needs no answer
	})
	s.OnDisconnect(func(socketio.Reason) {
		// The user may have other sockets, on any process. Those that do not answer in time are taken to have none.
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if others, _ := a.main.To(userRoom(user)).FetchSockets(ctx); len(others) == 0 {
			_ = a.main.Emit("offline", user) // a string can always be sent
		}
	})
}

// users returns everyone on all processes, each once. With an error it is those that are known.
func (a *app) users(ctx context.Context) ([]string, error) {
	sockets, err := a.main.FetchSockets(ctx)
	users := []string{}
	for _, s := range sockets {
		var user string
		if json.Unmarshal(s.Data, &user) == nil {
			users = append(users, user)
		}
	}
	slices.Sort(users)
	return slices.Compact(users), err
}

func (a *app) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", a.io)
	mux.HandleFunc("POST /promote", func(_ http.ResponseWriter, r *http.Request) {
		user := r.FormValue("user")
		a.main.To(userRoom(user)).SocketsJoin(staff)
		_ = a.main.To(staff).Emit("promoted", user) // a string can always be sent
	})
	mux.HandleFunc("POST /maintenance", func(w http.ResponseWriter, r *http.Request) {
		message := r.FormValue("message")
		a.announce(message) // server events reach the other processes only
		if err := a.main.ServerEmit("maintenance", message); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("GET /nodes", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), patience)
		defer cancel()
		nodes := map[string]int{a.name: a.main.Sockets()}
		answers, err := a.main.ServerEmitWithAck(ctx, "count")
		for _, answer := range answers {
			var n node
			if answer.Unmarshal(0, &n) == nil {
				nodes[n.Name] = n.Sockets
			}
		}
		if err != nil {
			w.Header().Set("Warning", fmt.Sprintf("199 - %q", err.Error()))
		}
		_ = json.NewEncoder(w).Encode(nodes) // a client that has gone needs no answer
	})
	return mux
}

func (a *app) maintenance(e socketio.Event) {
	var message string
	if e.Args.Unmarshal(0, &message) == nil {
		a.announce(message)
	}
}

// announce tells the clients of this process.
func (a *app) announce(message string) { _ = a.main.Local().Emit("maintenance", a.name, message) }

// node is what a process tells the others of itself.
type node struct {
	Name    string
	Sockets int
}

func (a *app) count(e socketio.Event) { _ = e.Ack.Send(node{a.name, a.main.Sockets()}) }
