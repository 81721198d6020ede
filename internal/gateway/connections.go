package gateway

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

// connections counts what the clients' listener has accepted, each until it is closed, whatever it serves: a polling
// client has two or three, others have no session yet. Over the limit no session is let in, and kept-alive connections
// between two requests are closed, the longest idle first. Connections of open sessions are served beyond it, out of a
// slack. Beyond the slack, and when the process runs out of descriptors, new connections are closed at once: probes,
// Redis and peers need descriptors too.
type connections struct {
	// Static after construction.
	descriptors int // up to which clients may use them; 0: unknown
	refused     prometheus.Counter
	logger      *zap.Logger
	log         rate.Sometimes

	limit atomic.Int64 // 0: none
	open  atomic.Int64

	mu sync.Mutex
	// mu guards the following.
	idle     *list.List // of net.Conn, the longest idle first
	elements map[net.Conn]*list.Element
}

func newConnections(descriptors int, refused prometheus.Counter, logger *zap.Logger) *connections {
	return &connections{
		descriptors: descriptors - reserve(descriptors)/2,
		refused:     refused,
		logger:      logger,
		log:         rate.Sometimes{Interval: time.Minute},
		idle:        list.New(),
		elements:    make(map[net.Conn]*list.Element),
	}
}

// reserve is how many of the process's descriptors are kept from sessions: an eighth, but 64 at least. Clients' connections
// beyond the limit get half of it, and the node's own the rest.
func reserve(descriptors int) int { return min(max(descriptors/8, 64), 4096, descriptors/2) }

// slack is how many connections beyond a limit are served.
func slack(limit int64) int64 { return min(max(limit/8, 32), 2048) }

// full reports whether there is no room for another session, not even when idle connections are closed.
func (c *connections) full() bool {
	for c.over() {
		if !c.closeIdle() {
			return true
		}
	}
	return false
}

func (c *connections) over() bool {
	limit := c.limit.Load()
	return limit > 0 && c.open.Load() > limit
}

// refuse reports that there is no room for the session that r asks for. Its connection, which is closed after the refusal,
// counts no more.
func (c *connections) refuse(r *http.Request) bool {
	if !c.full() {
		return false
	}
	if conn, ok := r.Context().Value(connKey{}).(counted); ok {
		conn.leave()
	}
	return true
}

// connKey is the context's key of a request's connection.
type connKey struct{}

// keep is called by net/http with the context of each connection's requests.
func (c *connections) keep(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, plain(conn))
}

// plain is the connection below TLS, and below what net/http wraps one in that speaks HTTP/2 in clear text.
func plain(conn net.Conn) net.Conn {
	for {
		switch above := conn.(type) {
		case interface{ NetConn() net.Conn }:
			conn = above.NetConn()
		case interface{ UnencryptedNetConn() net.Conn }:
			conn = above.UnencryptedNetConn()
		default:
			return conn
		}
	}
}

// admit reports whether a connection that has been counted is served.
func (c *connections) admit(conn net.Conn) bool {
	if !c.full() {
		return c.hasDescriptors(conn)
	}
	limit := c.limit.Load()
	return c.open.Load() <= limit+slack(limit) && c.hasDescriptors(conn)
}

// hasDescriptors reports whether the node keeps what it needs. The system gives out the lowest free descriptor, so all below
// that of a new connection are in use, whatever for.
func (c *connections) hasDescriptors(conn net.Conn) bool {
	return c.descriptors == 0 || descriptorOf(conn) < c.descriptors || c.closeIdle()
}

// closeIdle closes the connection that has been idle for longest; false when none is.
func (c *connections) closeIdle() bool {
	c.mu.Lock()
	longest := c.idle.Front()
	if longest == nil {
		c.mu.Unlock()
		return false
	}
	conn := c.idle.Remove(longest).(net.Conn)
	delete(c.elements, conn)
	c.mu.Unlock()
	_ = plain(conn).Close() // TLS would write first. Fails only when it is closed
	return true
}

// changed is called by net/http with each change of a connection's state.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if state == http.StateIdle {
		c.elements[conn] = c.idle.PushBack(conn)
	} else if e := c.elements[conn]; e != nil {
		c.idle.Remove(e)
		delete(c.elements, conn)
	}
}

// kernelBuffer bounds what the kernel holds for a client that does not read, which no outbox counts; left alone it takes
// megabytes. It also shows sooner whether a client that polls takes its answer.
const kernelBuffer = 256 << 10

// countedListener accepts connections and counts them.
type countedListener struct {
	net.Listener
	connections *connections
}

func (l countedListener) Accept() (net.Conn, error) {
	c := l.connections
	for {
		accepted, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c.open.Add(1)
		var conn net.Conn
		if tcp, ok := accepted.(*net.TCPConn); ok {
			_ = tcp.SetWriteBuffer(kernelBuffer) // without it the kernel's own limit holds
			conn = &countedTCP{TCPConn: tcp, place: place{connections: c}}
		} else {
			conn = &countedConn{Conn: accepted, place: place{connections: c}}
		}
		if c.admit(accepted) {
			return conn, nil
		}
		c.refused.Inc()
		c.log.Do(func() {
			c.logger.Warn("too many connections, new ones are closed; at most one such line a minute", zap.Int64("open", c.open.Load()))
		})
		_ = conn.Close() // its client learns by itself
	}
}

// counted is a connection that counts until it is closed, or about to be.
type counted interface{ leave() }

// place is one connection's place among those that are counted.
type place struct {
	connections *connections
	left        atomic.Bool
}

func (p *place) leave() {
	if p.left.CompareAndSwap(false, true) {
		p.connections.open.Add(-1)
	}
}

// countedTCP keeps what *net.TCPConn can do, its descriptor above all: the engine parks no connection without it.
type countedTCP struct {
	*net.TCPConn // nil: detached. connections.mu guards the change
	place
}

// Detach implements idle.Detacher: a connection that the engine has parked is only counted here.
func (c *countedTCP) Detach() *net.TCPConn {
	c.connections.mu.Lock()
	defer c.connections.mu.Unlock()
	tcp := c.TCPConn
	c.TCPConn = nil
	return tcp
}

func (c *countedTCP) Close() error {
	defer c.leave()
	c.connections.mu.Lock()
	tcp := c.TCPConn
	c.connections.mu.Unlock()
	if tcp == nil {
		return nil
	}
	return tcp.Close()
}

// countedConn is any other connection.
type countedConn struct {
	net.Conn
	place
}

func (c *countedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
