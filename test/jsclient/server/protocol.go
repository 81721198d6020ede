package main

import (
	"fmt"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// The times that are written into the protocols' suites.
const (
	protocolPingInterval = 300 * time.Millisecond
	protocolPingTimeout  = 200 * time.Millisecond
)

// openEngineProtocol returns what opens a server that sends every message back, for clients of revision 3 as well or not.
func openEngineProtocol(eio3 bool) func() (site, error) {
	return func() (site, error) {
		io, err := engine.New(protocolHandler{}, engine.Config{
			PingInterval: protocolPingInterval, PingTimeout: protocolPingTimeout, EIO3: eio3,
		})
		if err != nil {
			return site{}, fmt.Errorf("make the server: %w", err)
		}
		return site{handler: io, close: io.Close}, nil
	}
}

type protocolHandler struct{}

func (protocolHandler) Open(s *engine.Session) engine.Receiver { return protocolEcho{s} }

type protocolEcho struct{ session *engine.Session }

func (e protocolEcho) Message(data []byte, binary bool) {
	e.session.Send(false, engine.NewFrame(data, binary, time.Time{}))
}

func (protocolEcho) Closed(engine.CloseReason) {}

// openSocketProtocol opens a server that tells each socket its credentials and sends messages back.
func openSocketProtocol() (site, error) {
	io, err := socketio.New(socketio.Config{
		ConnectTimeout: time.Second,
		Engine:         engine.Config{PingInterval: protocolPingInterval, PingTimeout: protocolPingTimeout},
	})
	if err != nil {
		return site{}, fmt.Errorf("make the server: %w", err)
	}
	io.Of("/").OnConnect(func(s *socketio.Socket) {
		tellAuth(s)
		s.OnAny(func(e socketio.Event) {
			switch e.Name {
			case "message":
				s.EmitArgs(packet.NewEvent("message-back", e.Args), false)
			case "message-with-ack":
				_ = e.Ack.SendArgs(e.Args) // a client that has gone needs none
			}
		})
	})
	io.Of("/custom").OnConnect(tellAuth)
	return site{handler: io, close: io.Close}, nil
}

// tellAuth sends a socket the credentials it has connected with.
func tellAuth(s *socketio.Socket) { emit(s, "auth", handshake(s)["auth"]) }
