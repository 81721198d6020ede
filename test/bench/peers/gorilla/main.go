// Command gorilla is the ceiling of the usual way: gorilla/websocket with a goroutine that reads and one that writes for each
// connection, a channel between the rooms and each writer, one write for each message. It has rooms and acknowledgements
// and nothing else of Socket.IO: no sessions, no heartbeats, no polling, no limits.
//
//	gorilla ADDRESS
package main

import (
	"fmt"
	"net/http"
	"os"
	"sync"

	"github.com/gorilla/websocket"

	"github.com/carillon-io/carillon/test/bench/peers/wire"
)

// queue is how many messages wait for a writer before whoever publishes has to.
const queue = 256

type client struct {
	conn  *websocket.Conn
	out   chan *websocket.PreparedMessage // the reader closes it, once the client is in no room
	rooms []string                        // owned by the reader
}

type hub struct {
	mu sync.RWMutex

	// mu guards the following. The room "" has everybody.
	rooms map[string]map[*client]struct{}
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gorilla ADDRESS")
		os.Exit(2)
	}
	h := &hub{rooms: make(map[string]map[*client]struct{})}
	if err := http.ListenAndServe(os.Args[1], h); err != nil {
		fmt.Fprintln(os.Stderr, "gorilla:", err)
		os.Exit(1)
	}
}

func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // it has answered
	}
	c := &client{conn: conn, out: make(chan *websocket.PreparedMessage, queue)}
	go c.write()
	c.send([]byte(wire.Open))
	h.join(c, "")
	for {
		_, data, err := conn.ReadMessage()
		if err != nil || !h.packet(c, wire.Parse(data)) {
			break
		}
	}
	h.leave(c)
	close(c.out)
	_ = conn.Close()
}

// write ends when the channel is closed. It goes on emptying it after an error, so that nobody waits for a dead client.
func (c *client) write() {
	dead := false
	for m := range c.out {
		if !dead && c.conn.WritePreparedMessage(m) != nil {
			dead = true
			_ = c.conn.Close()
		}
	}
}

func (c *client) send(data []byte) { c.out <- prepare(data) }

func prepare(data []byte) *websocket.PreparedMessage {
	m, _ := websocket.NewPreparedMessage(websocket.TextMessage, data) // fails for control messages only
	return m
}

// packet reports whether the client stays.
func (h *hub) packet(c *client, p wire.Packet) bool {
	switch p.Kind {
	case wire.Connect:
		c.send([]byte(wire.Connected))
	case wire.Disconnect:
		return false
	case wire.Join:
		h.join(c, string(p.Room))
		c.send(p.Answer())
	case wire.Echo:
		c.send(p.Answer())
	case wire.Publish, wire.PublishAll:
		h.publish(string(p.Room), prepare(p.Message()))
	}
	return true
}

func (h *hub) join(c *client, room string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	members := h.rooms[room]
	if members == nil {
		members = make(map[*client]struct{})
		h.rooms[room] = members
	}
	members[c] = struct{}{}
	c.rooms = append(c.rooms, room)
}

func (h *hub) leave(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, room := range c.rooms {
		delete(h.rooms[room], c)
		if len(h.rooms[room]) == 0 {
			delete(h.rooms, room)
		}
	}
}

// publish waits for slow clients under the read lock: a writer never takes it.
func (h *hub) publish(room string, m *websocket.PreparedMessage) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for c := range h.rooms[room] {
		c.out <- m
	}
}
