package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/gorilla/websocket"
)

// A whole server: a room that everybody is in, and messages to it.
func Example() {
	io, err := socketio.New(socketio.Config{})
	if err != nil {
		log.Fatal(err)
	}
	io.Of("/").OnConnect(func(s *socketio.Socket) {
		if err := s.Join("lobby"); err != nil {
			log.Print(err)
		}
		s.On("message", func(text string, ack socketio.Ack) {
			if err := s.To("lobby").Emit("message", s.ID(), text); err != nil {
				log.Print(err)
			}
			_ = ack.Send("sent")
		})
		s.OnDisconnect(func(reason socketio.Reason) { log.Print("gone: ", reason) })
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:3000", io))
}

// A server is a handler like any other, and stands beside other routes.
func ExampleServer() {
	io, err := socketio.New(socketio.Config{
		Path: "/live/", // clients say io({path: "/live/"})
		Engine: engine.Config{
			PingInterval: 10 * time.Second,
			Headers: func(_ *http.Request, h http.Header) { // pages of another origin
				h.Set("Access-Control-Allow-Origin", "https://app.example")
			},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/live/", io)
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, _ *http.Request) {
		if err := io.Of("/").To("staff").Emit("order", map[string]any{"id": 42, "total": 12.5}); err != nil {
			log.Print(err)
		}
		w.WriteHeader(http.StatusAccepted)
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:3000", mux))
}

// Handlers take the event's arguments as Go values.
func ExampleSocket_On() {
	type message struct {
		Text string   `json:"text"`
		Tags []string `json:"tags"`
		Blob []byte   `json:"blob"` // binary data travels as such, at any depth
	}
	io, err := socketio.New(socketio.Config{})
	if err != nil {
		log.Fatal(err)
	}
	io.Of("/").OnConnect(func(s *socketio.Socket) {
		s.On("message", func(room string, m message) {
			_ = s.Emit("got", room, m.Text, len(m.Tags), len(m.Blob))
		})
		s.On("raw", func(e socketio.Event) { // the event as it came
			_ = s.Emit("got", e.Args.Len())
		})
	})
	client := connect(io, "")
	defer client.close()
	client.send(`42["message","lobby",{"text":"hello","tags":["a","b"]}]`)
	fmt.Println(client.read())
	client.send(`42["raw",1,2,3]`)
	fmt.Println(client.read())
	// Output:
	// 42["got","lobby","hello",2,0]
	// 42["got",3]
}

// A socket's middlewares see its events before their handlers; listeners for any event see them before that.
func ExampleSocket_Use() {
	io, err := socketio.New(socketio.Config{})
	if err != nil {
		log.Fatal(err)
	}
	io.Of("/").OnConnect(func(s *socketio.Socket) {
		s.OnAny(func(e socketio.Event) { fmt.Println("heard", e.Name) })
		s.Use(func(e socketio.Event) error {
			if strings.HasPrefix(e.Name, "admin:") {
				_ = e.Ack.Send("not allowed")
				return errors.New("not allowed") // the handler is not called
			}
			return nil
		})
		s.On("admin:stop", func() { log.Print("stopped") })
		s.On("status", func(ack socketio.Ack) { _ = ack.Send("running") })
	})
	client := connect(io, "")
	defer client.close()
	for _, event := range []string{`421["admin:stop"]`, `422["status"]`} {
		client.send(event)
		fmt.Println(client.read())
	}
	// Output:
	// heard admin:stop
	// 431["not allowed"]
	// heard status
	// 432["running"]
}

// A handler acknowledges an event when it likes, also later and from another goroutine.
func ExampleAck() {
	io, err := socketio.New(socketio.Config{})
	if err != nil {
		log.Fatal(err)
	}
	io.Of("/").OnConnect(func(s *socketio.Socket) {
		s.On("double", func(n int, ack socketio.Ack) {
			if n > 1000 {
				_ = ack.Send("too large", nil) // clients read (err, value)
				return
			}
			_ = ack.Send(nil, 2*n)
		})
	})
	client := connect(io, "")
	defer client.close()
	client.send(`421["double",21]`)
	fmt.Println(client.read())
	client.send(`422["double",5000]`)
	fmt.Println(client.read())
	// Output:
	// 431[null,42]
	// 432["too large",null]
}

// A handler may wait for the client it serves.
func ExampleSocket_EmitWithAck() {
	io, err := socketio.New(socketio.Config{})
	if err != nil {
		log.Fatal(err)
	}
	result := make(chan string, 1)
	io.Of("/").OnConnect(func(s *socketio.Socket) {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		answer, err := s.EmitWithAck(ctx, "question", "your name?")
		switch {
		case errors.Is(err, socketio.ErrDisconnected):
			result <- "gone" // at once, not after the timeout
		case err != nil:
			result <- "no answer in time"
		default:
			var name string
			if err := answer.Unmarshal(0, &name); err != nil {
				name = "something else"
			}
			result <- name
		}
	})
	client := connect(io, "")
	defer client.close()
	fmt.Println(client.read())
	client.send(`430["ada"]`)
	fmt.Println(<-result)
	// Output:
	// 420["question","your name?"]
	// ada
}

// Rooms are the server's alone: clients know nothing of them.
func ExampleSocket_Join() {
	io, err := socketio.New(socketio.Config{})
	if err != nil {
		log.Fatal(err)
	}
	io.Of("/").OnConnect(func(s *socketio.Socket) {
		s.On("enter", func(room string, ack socketio.Ack) {
			if err := s.Join("room:" + room); err != nil { // the prefix: nobody enters another's private room
				_ = ack.Send(err.Error())
				return
			}
			_ = ack.Send(s.Rooms(nil)[1:]) // without the socket's own
		})
		s.On("leave", func(room string, ack socketio.Ack) {
			s.Leave("room:" + room)
			_ = ack.Send(s.In("room:" + room))
		})
	})
	client := connect(io, "")
	defer client.close()
	client.send(`421["enter","tea"]`)
	fmt.Println(client.read())
	client.send(`422["leave","tea"]`)
	fmt.Println(client.read())
	// Output:
	// 431[["room:tea"]]
	// 432[false]
}

// A middleware decides who comes in, and prepares the socket.
func ExampleNamespace_Use() {
	io, err := socketio.New(socketio.Config{})
	if err != nil {
		log.Fatal(err)
	}
	users := map[string]string{"s3cret": "ada"}
	io.Of("/").Use(func(_ context.Context, s *socketio.Socket) error {
		var auth struct{ Token string }
		if text := s.Auth().JSON; text != nil {
			if err := json.Unmarshal(text, &auth); err != nil {
				return errors.New("auth cannot be read")
			}
		}
		user, ok := users[auth.Token]
		if !ok {
			return &socketio.ConnectError{Message: "not authorized", Data: map[string]int{"code": 401}}
		}
		s.SetData(user)
		return s.Join("user:" + user)
	})
	io.Of("/").OnConnect(func(s *socketio.Socket) { _ = s.Emit("welcome", s.Data()) })

	stranger := dialExample(io)
	defer stranger.close()
	stranger.send(`40{"token":"guess"}`)
	fmt.Println(stranger.read()) // "connect_error" to the client

	ada := connect(io, `{"token":"s3cret"}`)
	defer ada.close()
	fmt.Println(ada.read())
	// Output:
	// 44{"message":"not authorized","data":{"code":401}}
	// 42["welcome","ada"]
}

// An Emitter addresses sockets of all nodes; each operator narrows or widens it.
func ExampleEmitter() {
	io, err := socketio.New(socketio.Config{})
	if err != nil {
		log.Fatal(err)
	}
	main := io.Of("/")
	main.Use(func(_ context.Context, s *socketio.Socket) error {
		var auth struct{ Rooms []string }
		if err := json.Unmarshal(s.Auth().JSON, &auth); err != nil {
			return err
		}
		return s.Join(auth.Rooms...)
	})
	ada, bob := connect(io, `{"rooms":["tea","admins"]}`), connect(io, `{"rooms":["tea","coffee"]}`)
	defer ada.close()
	defer bob.close()

	_ = main.Emit("all")
	_ = main.To("tea", "coffee").Emit("either") // once for who is in both
	_ = main.To("tea").Except("admins").Emit("guests")
	_ = main.Local().Volatile().Emit("position", 7) // this node only, and not to who is behind
	main.To("coffee").SocketsLeave("tea")
	_ = main.To("tea").Emit("last")
	_ = main.Except("tea").Emit("last")

	for client, count := range map[*wire]int{ada: 4, bob: 5} {
		for range count {
			client.heard = append(client.heard, client.read())
		}
	}
	fmt.Println("ada", ada.heard)
	fmt.Println("bob", bob.heard)
	// Output:
	// ada [42["all"] 42["either"] 42["position",7] 42["last"]]
	// bob [42["all"] 42["either"] 42["guests"] 42["position",7] 42["last"]]
}

// A broadcast can be acknowledged too: what came in time is there also with an error.
func ExampleEmitter_EmitWithAck() {
	io, err := socketio.New(socketio.Config{})
	if err != nil {
		log.Fatal(err)
	}
	client := connect(io, "")
	defer client.close()
	go func() {
		client.read()
		client.send(`430["yes",1]`)
	}()

	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	answers, err := io.Of("/").Local().EmitWithAck(ctx, "are you there?")
	if err != nil {
		log.Print(err) // some did not answer
	}
	for _, answer := range answers {
		fmt.Println(string(answer.JSON))
	}
	// Output:
	// ["yes",1]
}

// FetchSockets finds sockets wherever they are connected; what was set with SetData is told as JSON.
func ExampleEmitter_FetchSockets() {
	io, err := socketio.New(socketio.Config{})
	if err != nil {
		log.Fatal(err)
	}
	io.Of("/").Use(func(_ context.Context, s *socketio.Socket) error {
		s.SetData(map[string]string{"user": "ada"})
		return s.Join("user:ada")
	})
	client := connect(io, "")
	defer client.close()

	sockets, err := io.Of("/").To("user:ada").FetchSockets(context.Background())
	if err != nil {
		log.Print(err)
	}
	for _, s := range sockets {
		fmt.Println(len(s.ID), len(s.Rooms), string(s.Data))
	}
	// Output:
	// 20 2 {"user":"ada"}
}

// Namespaces may be made on demand, here one for each tenant.
func ExampleServer_OfFunc() {
	io, err := socketio.New(socketio.Config{})
	if err != nil {
		log.Fatal(err)
	}
	tenant := regexp.MustCompile(`^/tenant-[0-9]{1,4}$`)
	io.OfFunc(tenant.MatchString, func(n *socketio.Namespace) {
		n.OnConnect(func(s *socketio.Socket) { _ = s.Emit("hello", s.Namespace().Name()) })
	})
	client := dialExample(io)
	defer client.close()
	client.send(`40/tenant-42,`)
	client.read() // the answer, with the socket's id
	fmt.Println(client.read())
	client.send(`40/other,`)
	fmt.Println(client.read())
	// Output:
	// 42/tenant-42,["hello","/tenant-42"]
	// 44/other,{"message":"Invalid namespace"}
}

// Shutdown moves clients away gently, then the HTTP server can go.
func ExampleServer_Shutdown() {
	io, err := socketio.New(socketio.Config{DrainWindow: 50 * time.Millisecond})
	if err != nil {
		log.Fatal(err)
	}
	io.Of("/").OnConnect(func(s *socketio.Socket) {
		s.OnDisconnect(func(reason socketio.Reason) { fmt.Println(reason) })
	})
	client := connect(io, "")
	defer client.close()

	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := io.Shutdown(ctx); err != nil {
		log.Print(err) // clients were cut
	}
	fmt.Println(client.read()) // the transport ends without a DISCONNECT: clients come back by themselves
	// Output:
	// server shutting down
	// closed
}

// wire is a client at the level of the protocol's text, so that the examples need no JavaScript.
type wire struct {
	io    *socketio.Server
	web   *httptest.Server
	ws    *websocket.Conn
	heard []string
}

// dialExample opens a connection without a namespace.
func dialExample(io *socketio.Server) *wire {
	web := httptest.NewServer(io)
	ws, resp, err := websocket.DefaultDialer.Dial(
		strings.Replace(web.URL, "http", "ws", 1)+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		log.Fatal(err)
	}
	_ = resp.Body.Close()
	w := &wire{io: io, web: web, ws: ws}
	w.read() // the handshake
	return w
}

// connect opens a connection and joins the main namespace.
func connect(io *socketio.Server, auth string) *wire {
	w := dialExample(io)
	w.send("40" + auth)
	if answer := w.read(); !strings.HasPrefix(answer, `40{"sid":`) {
		log.Fatal("not connected: ", answer)
	}
	return w
}

func (w *wire) send(packet string) {
	if err := w.ws.WriteMessage(websocket.TextMessage, []byte(packet)); err != nil {
		log.Fatal(err)
	}
}

// read returns the next packet, "closed" at the end.
func (w *wire) read() string {
	_ = w.ws.SetReadDeadline(time.Now().Add(patience))
	_, data, err := w.ws.ReadMessage()
	if websocket.IsCloseError(err, websocket.CloseNoStatusReceived, websocket.CloseGoingAway, websocket.CloseNormalClosure) {
		return "closed"
	}
	if err != nil {
		log.Fatal(err)
	}
	return string(data)
}

// close ends the client and the server.
func (w *wire) close() {
	_ = w.ws.Close()
	w.io.Close()
	w.web.Close()
}
