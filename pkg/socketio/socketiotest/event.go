package socketiotest

import (
	"fmt"
	"reflect"
	"time"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Event is an event that the server sent.
type Event struct {
	Name string
	Args packet.Args // without the name

	client *Client
	id     uint64
	wanted bool // the server waits for an acknowledgement under id
}

// String is the event as it is written in failures: its name and the JSON of its arguments.
func (e Event) String() string { return fmt.Sprintf("%q %s", e.Name, e.Args.JSON) }

// Ack answers the event. A server that did not ask for it fails the test.
func (e Event) Ack(args ...any) {
	e.client.t.Helper()
	if !e.wanted {
		e.client.t.Fatalf("socketiotest: the server waits for no acknowledgement of %s", e)
	}
	list := e.client.marshal(args...)
	e.client.send(&packet.Packet{
		Type: packet.Ack, Namespace: e.client.options.Namespace, ID: e.id, HasID: true,
		Data: list.JSON, Attachments: list.Attachments,
	})
}

// Emit sends an event. Arguments are written as socketio.Socket.Emit writes them: a []byte travels as binary data. When the
// connection has ended nothing is sent; the next call that waits tells.
func (c *Client) Emit(event string, args ...any) {
	c.t.Helper()
	c.emit(packet.Packet{}, event, args)
}

// EmitWithAck sends an event and waits for the server's acknowledgement: its arguments. Events that come meanwhile are kept.
func (c *Client) EmitWithAck(event string, args ...any) packet.Args {
	c.t.Helper()
	c.lastID++
	c.emit(packet.Packet{HasID: true, ID: c.lastID}, event, args)
	for {
		p, ok := c.next()
		switch {
		case !ok:
			c.t.Fatalf("socketiotest: the connection ended before %q was acknowledged", event)
		case p.Type == packet.Ack && p.ID == c.lastID:
			return p.Args()
		}
		c.keep(p)
	}
}

func (c *Client) emit(p packet.Packet, event string, args []any) {
	c.t.Helper()
	list := packet.NewEvent(event, c.marshal(args...))
	p.Type, p.Namespace, p.Data, p.Attachments = packet.Event, c.options.Namespace, list.JSON, list.Attachments
	c.send(&p)
}

// Receive waits for the next event, whatever it is.
func (c *Client) Receive() Event {
	c.t.Helper()
	for len(c.early) == 0 {
		p, ok := c.next()
		if !ok {
			c.t.Fatal("socketiotest: the connection ended before an event came")
		}
		c.keep(p)
	}
	e := c.early[0]
	c.early = c.early[1:]
	return e
}

// Expect waits for the next event, which must be this one with these arguments. They are compared as what a client sees, so
// a struct is equal to a map with the same members.
func (c *Client) Expect(event string, args ...any) Event {
	c.t.Helper()
	e := c.Receive()
	want := Event{Name: event, Args: c.marshal(args...)}
	if e.Name != want.Name || !equal(e.Args, want.Args) {
		c.t.Fatalf("socketiotest: received %s, want %s", e, want)
	}
	return e
}

// Await waits for the next event of that name, and passes over others.
func (c *Client) Await(event string) Event {
	c.t.Helper()
	for {
		if e := c.Receive(); e.Name == event {
			return e
		}
	}
}

// fence is a namespace that no server has.
const fence = "/socketiotest-fence"

// ExpectNone fails the test when an event has come that it did not receive, or comes before the server has handled all that
// this client has sent so far.
func (c *Client) ExpectNone() {
	c.t.Helper()
	// What a server answers to CONNECT comes behind whatever it has sent before, and its turn comes after earlier events.
	c.send(&packet.Packet{Type: packet.Connect, Namespace: fence})
	if p, ok := c.answer(fence); ok && p.Type == packet.Connect {
		c.send(&packet.Packet{Type: packet.Disconnect, Namespace: fence})
	}
	if len(c.early) > 0 {
		c.t.Fatalf("socketiotest: received %s, want nothing", c.early[0])
	}
}

// Disconnected waits until the server has ended it, and returns the reason as official clients name it: "io server
// disconnect" when the socket was taken out of its namespace, "transport close" when the connection was closed. Events that
// came before can still be received.
func (c *Client) Disconnected() string {
	c.t.Helper()
	for !c.left {
		p, ok := c.next()
		if !ok {
			return "transport close"
		}
		c.keep(p)
	}
	return "io server disconnect"
}

// answer waits for what the server says to a CONNECT; false when the connection ends instead.
func (c *Client) answer(nsp string) (packet.Packet, bool) {
	c.t.Helper()
	for {
		p, ok := c.next()
		if !ok || p.Namespace == nsp && (p.Type == packet.Connect || p.Type == packet.ConnectError) {
			return p, ok
		}
		c.keep(p)
	}
}

// next waits for the next packet; false when the connection has ended.
func (c *Client) next() (packet.Packet, bool) {
	c.t.Helper()
	patience := time.NewTimer(c.options.Patience)
	defer patience.Stop()
	select {
	case p, ok := <-c.packets:
		return p, ok
	case <-patience.C:
		c.t.Fatalf("socketiotest: nothing came for %v", c.options.Patience)
		panic("unreachable")
	}
}

// keep puts aside what is not waited for now.
func (c *Client) keep(p packet.Packet) {
	if p.Namespace != c.options.Namespace {
		return
	}
	switch p.Type {
	case packet.Event:
		args := p.Args()
		e := Event{Args: args.Tail(), client: c, id: p.ID, wanted: p.HasID}
		e.Name, _ = args.Name()
		c.early = append(c.early, e)
	case packet.Disconnect:
		c.left = true
	}
}

func (c *Client) marshal(args ...any) packet.Args {
	c.t.Helper()
	list, err := packet.Marshal(args...)
	if err != nil {
		c.t.Fatalf("socketiotest: encode arguments: %v", err)
	}
	return list
}

// equal compares lists by what they mean: the order of members and the spelling of numbers do not count.
func equal(a, b packet.Args) bool {
	x, errX := a.Values()
	y, errY := b.Values()
	return errX == nil && errY == nil && len(x) == len(y) && (len(x) == 0 || reflect.DeepEqual(x, y))
}
