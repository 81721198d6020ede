package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio"
)

// handshakeDelay makes sure that a client with a connection timeout of nothing runs into it.
const handshakeDelay = 10 * time.Millisecond

func openSocketIO() (site, error) {
	io, err := socketio.New(socketio.Config{Recovery: socketio.Recovery{Enabled: true}, Engine: engine.Config{
		PingInterval: 2 * time.Second,
		Check: func(r *http.Request) *engine.Refusal {
			if r.URL.Query().Get("sid") == "" {
				time.Sleep(handshakeDelay)
			}
			return nil
		},
	}})
	if err != nil {
		return site{}, fmt.Errorf("make the server: %w", err)
	}

	root := io.Of("/")
	root.Use(func(_ context.Context, s *socketio.Socket) error {
		if s.Handshake().Query.Get("fail") != "" {
			return &socketio.ConnectError{Message: "Auth failed (main namespace)"}
		}
		return nil
	})
	root.OnConnect(answerMain)

	io.Of("/foo").OnConnect(func(s *socketio.Socket) {
		s.On("getId", func(ack socketio.Ack) { must(ack.Send(s.ID())) })
	})
	io.Of("/timeout_socket")
	io.Of("/valid")
	io.Of("/asd")
	io.Of("/abc").OnConnect(func(s *socketio.Socket) { emit(s, "handshake", handshake(s)) })
	io.Of("/no").Use(func(context.Context, *socketio.Socket) error {
		return &socketio.ConnectError{Message: "Auth failed (custom namespace)"}
	})
	return site{handler: io, close: io.Close}, nil
}

// answerMain sets the handlers of the main namespace.
func answerMain(s *socketio.Socket) {
	s.On("hi", func() { emit(s, "hi") })
	s.On("echo", func(arg any, ack socketio.Ack) { must(ack.Send(arg)) })
	s.On("false", func() { emit(s, "false", false) })
	s.On("getId", func(ack socketio.Ack) { must(ack.Send(s.ID())) })
	s.On("getHandshake", func(ack socketio.Ack) { must(ack.Send(handshake(s))) })
	s.On("getDate", func() { emit(s, "takeDate", time.Now()) })
	s.On("getDateObj", func() { emit(s, "takeDateObj", map[string]any{"date": time.Now()}) })
	s.On("getAckDate", func(_ any, ack socketio.Ack) { must(ack.Send(time.Now())) })
	s.On("getUtf8", func() {
		for _, text := range []string{"てすと", "Я Б Г Д Ж Й", "Ä ä Ü ü ß", "utf8 — string", "utf8 — string"} {
			emit(s, "takeUtf8", text)
		}
	})
	// Some clients never answer, and ask again meanwhile: their next event must not wait.
	s.On("ack", func() { go askBack(s) })
	answerBinary(s)
}

// askBack asks the client for an acknowledgement, and tells it whether that was right.
func askBack(s *socketio.Socket) {
	answer, err := s.EmitWithAck(context.Background(), "ack")
	if err != nil {
		return // it left without one
	}
	var number int
	var second struct{ Test bool }
	if answer.Unmarshal(0, &number) == nil && answer.Unmarshal(1, &second) == nil && number == 5 && second.Test {
		emit(s, "got it")
	}
}

// answerBinary sets the handlers for binary data. What arrives otherwise than expected gets no answer.
func answerBinary(s *socketio.Socket) {
	data := []byte("asdfasdf")
	s.On("doge", func() { emit(s, "doge", data) })
	s.On("getbin", func() { emit(s, "takebin", data) })

	answerIf := func(event, answer string, right func(socketio.Event) bool) {
		s.On(event, func(e socketio.Event) {
			if right(e) && answer != "" {
				emit(s, answer)
			}
		})
	}
	answerIf("buffa", "buffack", isBinary)
	answerIf("blob", "back", isBinary)
	answerIf("jsonbuff", "jsonbuff-ack", isMixed)
	answerIf("jsonblob", "jsonblob-ack", isMixed)

	// An event of a sequence is answered when those before it have come.
	inOrder := func(answer string, names ...string) {
		seen := 0
		for i, name := range names {
			last := ""
			if i == len(names)-1 {
				last = answer
			}
			answerIf(name, last, func(e socketio.Event) bool {
				text := name == "abuff2" || name == "blob2"
				if seen != i || isBinary(e) == text {
					return false
				}
				seen++
				return true
			})
		}
	}
	inOrder("abuff2-ack", "abuff1", "abuff2")
	inOrder("blob3-ack", "blob1", "blob2", "blob3")
}

func isBinary(e socketio.Event) bool {
	var data any
	err := e.Args.Unmarshal(0, &data)
	_, binary := data.([]byte)
	return err == nil && binary
}

func isMixed(e socketio.Event) bool {
	var v struct {
		Hello, Goodbye string
		Message        any
	}
	err := e.Args.Unmarshal(0, &v)
	_, binary := v.Message.([]byte)
	return err == nil && binary && v.Hello == "lol" && v.Goodbye == "gotcha"
}

// handshake is the socket's handshake in the words of Node's server, as far as the suite reads it.
func handshake(s *socketio.Socket) map[string]any {
	h := s.Handshake()
	query := map[string]any{}
	for name, values := range h.Query {
		query[name] = values[0]
	}
	auth := json.RawMessage("{}")
	if sent := s.Auth().JSON; sent != nil {
		auth = sent
	}
	return map[string]any{
		"address": h.Address, "auth": auth, "issued": h.Time.UnixMilli(), "query": query, "secure": h.Secure,
		"time": h.Time, "url": h.URL, "xdomain": h.XDomain,
	}
}

// emit sends to the socket, which may just have left.
func emit(s *socketio.Socket, event string, args ...any) {
	if err := s.Emit(event, args...); !errors.Is(err, socketio.ErrDisconnected) {
		must(err)
	}
}

// must ends the connection over what cannot be: everything sent here can be encoded.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
