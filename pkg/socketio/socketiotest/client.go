package socketiotest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"github.com/gorilla/websocket"
)

// Options say how a client connects. The zero value joins the main namespace.
type Options struct {
	Namespace string        // default "/"
	Auth      any           // sent with CONNECT, as a JSON object; nil: none
	Path      string        // where the server is mounted; default "/socket.io/"
	Query     url.Values    // of the first request, beside the protocol's own
	Header    http.Header   // of the first request
	TLS       *tls.Config   // for Dial to an https URL
	Patience  time.Duration // the longest wait for anything; default 10 s
}

func (o Options) withDefaults() Options {
	if o.Namespace == "" {
		o.Namespace = "/"
	}
	if o.Path == "" {
		o.Path = "/socket.io/"
	}
	if o.Patience == 0 {
		o.Patience = 10 * time.Second
	}
	return o
}

// kept is how many packets wait for the test before the client stops reading.
const kept = 4096

// Client is one connection with one namespace joined.
type Client struct {
	// Static after construction.
	t       testing.TB
	options Options
	id      string
	ws      *websocket.Conn
	packets chan packet.Packet // sent and closed by the reader
	gone    chan struct{}      // closed by close: nobody takes packets any more
	once    sync.Once

	// Owned by the test.
	lastID uint64
	early  []Event // that came while the test waited for something else
	left   bool    // the server has sent DISCONNECT

	writing sync.Mutex // held while ws is written to
}

// Refusal is what a server answers instead of letting a client in.
type Refusal struct {
	Message string          `json:"message"` // empty: the connection was closed without an answer
	Data    json.RawMessage `json:"data"`    // nil: none
}

// Connect joins a namespace of a server, over a connection in memory. To be refused fails the test.
func Connect(t testing.TB, server http.Handler, o Options) *Client {
	t.Helper()
	return connected(t, open(t, "http://server.test", pipeTo(t, server), o))
}

// Refused is Connect for a client that must be refused, and returns how it was.
func Refused(t testing.TB, server http.Handler, o Options) Refusal {
	t.Helper()
	return refused(t, open(t, "http://server.test", pipeTo(t, server), o))
}

// Dial joins a namespace of the server at a URL such as "http://127.0.0.1:3000". To be refused fails the test.
func Dial(t testing.TB, url string, o Options) *Client {
	t.Helper()
	return connected(t, open(t, url, nil, o))
}

// DialRefused is Dial for a client that must be refused, and returns how it was.
func DialRefused(t testing.TB, url string, o Options) Refusal {
	t.Helper()
	return refused(t, open(t, url, nil, o))
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// open opens a connection and sends CONNECT.
func open(t testing.TB, base string, dial dialFunc, o Options) *Client {
	t.Helper()
	o = o.withDefaults()
	query := url.Values{"EIO": {"4"}, "transport": {"websocket"}}
	for name, values := range o.Query {
		query[name] = values
	}
	dialer := websocket.Dialer{NetDialContext: dial, TLSClientConfig: o.TLS, HandshakeTimeout: o.Patience}
	ws, response, err := dialer.Dial("ws"+strings.TrimPrefix(base, "http")+o.Path+"?"+query.Encode(), o.Header)
	if response != nil {
		_ = response.Body.Close() // in memory already
	}
	if err != nil {
		status := ""
		if response != nil {
			status = ": " + response.Status
		}
		t.Fatalf("socketiotest: open a WebSocket: %v%s", err, status)
	}
	c := &Client{t: t, options: o, ws: ws, packets: make(chan packet.Packet, kept), gone: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.read()
	}()
	t.Cleanup(func() {
		c.Close()
		<-done
	})
	connect := packet.Packet{Type: packet.Connect, Namespace: o.Namespace}
	if o.Auth != nil {
		connect.Data, _ = c.marshal(o.Auth).At(0)
	}
	c.send(&connect)
	return c
}

func connected(t testing.TB, c *Client) *Client {
	t.Helper()
	answer, ok := c.answer(c.options.Namespace)
	if !ok {
		t.Fatalf("socketiotest: the connection ended before CONNECT to %s was answered", c.options.Namespace)
	}
	if answer.Type != packet.Connect {
		t.Fatalf("socketiotest: refused by %s: %s", c.options.Namespace, answer.Data)
	}
	var open struct{ SID string }
	if err := json.Unmarshal(answer.Data, &open); err != nil {
		t.Fatalf("socketiotest: CONNECT was answered %q: %v", answer.Data, err)
	}
	c.id = open.SID
	return c
}

func refused(t testing.TB, c *Client) (r Refusal) {
	t.Helper()
	answer, ok := c.answer(c.options.Namespace)
	if !ok {
		return r
	}
	if answer.Type != packet.ConnectError {
		t.Fatalf("socketiotest: let in to %s", c.options.Namespace)
	}
	if err := json.Unmarshal(answer.Data, &r); err != nil {
		t.Fatalf("socketiotest: CONNECT was answered %q: %v", answer.Data, err)
	}
	c.Close()
	return r
}

// ID is the socket's id, as the server knows it.
func (c *Client) ID() string { return c.id }

// Disconnect leaves the namespace, then closes the connection: the server hears "client namespace disconnect".
func (c *Client) Disconnect() {
	c.send(&packet.Packet{Type: packet.Disconnect, Namespace: c.options.Namespace})
	c.Close()
}

// Close closes the connection without a word, as a page that goes away does: the server hears "transport close". It may be
// called several times.
func (c *Client) Close() {
	c.once.Do(func() {
		close(c.gone)
		_ = c.ws.Close() // the server finds out either way
	})
}

// send writes a packet. That the connection has ended is found by who waits for what it should bring.
func (c *Client) send(p *packet.Packet) {
	err := c.write(websocket.TextMessage, packet.AppendText([]byte("4"), p))
	for _, data := range p.Attachments {
		if err == nil {
			err = c.write(websocket.BinaryMessage, data)
		}
	}
}

func (c *Client) write(kind int, data []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.ws.SetWriteDeadline(time.Now().Add(c.options.Patience)); err != nil {
		return err
	}
	return c.ws.WriteMessage(kind, data)
}

// read takes packets in until the connection ends.
func (c *Client) read() {
	defer close(c.packets)
	defer c.ws.Close() // the server waits for that
	var decoder packet.Decoder
	for {
		kind, data, err := c.ws.ReadMessage()
		if err != nil {
			return
		}
		var p packet.Packet
		whole := false
		switch {
		case kind == websocket.BinaryMessage:
			p, whole, err = decoder.Binary(data)
		case len(data) > 0 && data[0] == '4':
			p, whole, err = decoder.Text(data[1:])
		case string(data) == "2":
			err = c.write(websocket.TextMessage, []byte("3"))
		}
		if err != nil {
			return // official clients, too, close over a packet that cannot be read
		}
		if !whole {
			continue
		}
		select {
		case c.packets <- p:
		case <-c.gone:
			return
		}
	}
}
