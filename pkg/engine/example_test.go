package engine_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/gorilla/websocket"
)

// upcase sends back what a client says, in capitals.
type upcase struct{}

func (upcase) Open(s *engine.Session) engine.Receiver { return shouter{s} }

type shouter struct{ session *engine.Session }

func (s shouter) Message(data []byte, binary bool) {
	if binary {
		s.session.Close(engine.ForcedClose)
		return
	}
	s.session.Send(false, engine.NewFrame([]byte(strings.ToUpper(string(data))), false, time.Now()))
}

func (s shouter) Closed(reason engine.CloseReason) {}

// An engine is an http.Handler beside others. It needs nothing else of Carillon.
func Example() {
	sessions, err := engine.New(upcase{}, engine.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer sessions.Close() // before the HTTP server's Shutdown, which would wait for the polls
	mux := http.NewServeMux()
	mux.Handle("/engine.io/", sessions)
	mux.HandleFunc("/count", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, sessions.Sessions()) })
	site := httptest.NewServer(mux)
	defer site.Close()

	// What any Engine.IO client does.
	address := "ws" + strings.TrimPrefix(site.URL, "http") + "/engine.io/?EIO=4&transport=websocket"
	client, _, err := websocket.DefaultDialer.Dial(address, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	if _, _, err := client.ReadMessage(); err != nil { // the handshake
		log.Fatal(err)
	}
	if err := client.WriteMessage(websocket.TextMessage, []byte("4hello")); err != nil {
		log.Fatal(err)
	}
	_, answer, err := client.ReadMessage()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(answer))
	// Output: 4HELLO
}
