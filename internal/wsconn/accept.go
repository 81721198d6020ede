package wsconn

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/carillon-io/carillon/internal/frame"
	"github.com/carillon-io/carillon/internal/idle"
	"github.com/carillon-io/carillon/internal/wsframe"
	"github.com/gorilla/websocket"
	"go.uber.org/zap"
)

// Config is what the connections of a server have in common.
type Config struct {
	MaxPayload int              // bytes of one message
	Compress   bool             // accept permessage-deflate
	Inbound    func(bytes int)  // counts memory that holds parts of messages; it must not block
	Outbound   func(bytes int)  // counts memory that TLS holds of what was written; it must not block
	Spawn      func(run func()) // runs the poller on a goroutine, and waits for it when the server ends
	Logger     *zap.Logger
}

// Acceptor accepts the WebSockets of a server.
type Acceptor struct {
	Config
	epoch        time.Time
	poller       *idle.Poller // calls connections that have no reader
	wrapped      sync.Once    // the warning of a listener that wraps its connections
	unhijackable sync.Once    // the warning of middleware that hides Hijack
}

// NewAcceptor makes an Acceptor.
func NewAcceptor(c Config) *Acceptor {
	return &Acceptor{Config: c, epoch: time.Now(), poller: idle.New(c.Spawn)}
}

// upgrader answers handshakes; its connections are dropped after that. The smallest buffer and a pool that is never
// drawn from keep it from making buffers that are not used.
var upgrader = websocket.Upgrader{
	ReadBufferSize:  1,
	WriteBufferPool: new(sync.Pool),
	CheckOrigin:     func(*http.Request) bool { return true }, // the caller has decided
}

// Requested reports whether r asks for a WebSocket.
func Requested(r *http.Request) bool { return websocket.IsWebSocketUpgrade(r) }

// ValidKey reports whether r has a key that can be answered.
func ValidKey(r *http.Request) bool {
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key"))
	return err == nil && len(key) == 16
}

// Versions are those of the protocol that KnownVersion knows, as the header of an answer has them.
const Versions = "13, 8"

// KnownVersion reports whether r asks for a version of the protocol that Accept speaks.
func KnownVersion(r *http.Request) bool {
	version := r.Header.Get("Sec-WebSocket-Version")
	return version == "13" || version == "8"
}

// FirstProtocol is the first subprotocol that r offers, which Node's server chooses.
func FirstProtocol(r *http.Request) string {
	first, _, _ := strings.Cut(r.Header.Get("Sec-WebSocket-Protocol"), ",")
	return strings.TrimSpace(first)
}

// Accept makes conn of the connection of r: it answers 101 with the headers already set on w, and the subprotocol if it is
// not empty. When it returns an error the request has been answered, or the connection is gone.
func (a *Acceptor) Accept(conn *Conn, w http.ResponseWriter, r *http.Request, c frame.Codec, protocol string) error {
	header := w.Header().Clone()
	if protocol != "" {
		header.Set("Sec-WebSocket-Protocol", protocol)
	}
	if r.Header.Get("Sec-WebSocket-Version") == "8" {
		// Versions 8 and 13 differ in the name of the origin header only; gorilla knows 13.
		r = r.Clone(r.Context())
		r.Header.Set("Sec-WebSocket-Version", "13")
	}
	if a.Compress {
		if answer := wsframe.AnswerDeflate(r.Header.Values("Sec-WebSocket-Extensions")); answer != "" {
			header["Sec-WebSocket-Extensions"] = []string{answer} // gorilla refuses the name as net/http spells it
			c.Deflate = true
		}
	}
	conn.acceptor, conn.codec, conn.in.Deflate = a, c, c.Deflate
	hijack := &hijacker{ResponseWriter: w, conn: conn}
	if _, err := upgrader.Upgrade(hijack, r, header); err != nil {
		if errors.Is(hijack.err, http.ErrNotSupported) {
			a.unhijackable.Do(func() {
				a.Logger.Warn("no WebSocket is possible: middleware wraps http.ResponseWriter in a type that has neither Hijack nor Unwrap",
					zap.String("type", fmt.Sprintf("%T", w)))
			})
		}
		return err
	}
	switch {
	case conn.below != nil:
		conn.below.Patient(a.Outbound)
	case conn.socket == nil:
		a.warnOfWrapper(conn.conn)
	}
	return nil
}

// warnOfWrapper says once that a listener keeps idle connections from being parked.
func (a *Acceptor) warnOfWrapper(conn net.Conn) {
	if _, encrypted := conn.(*tls.Conn); encrypted || runtime.GOOS != "linux" {
		return
	}
	a.wrapped.Do(func() {
		a.Logger.Warn("idle WebSockets keep a goroutine and a buffer each: the listener wraps connections in a type without SyscallConn",
			zap.String("type", fmt.Sprintf("%T", conn)))
	})
}

// kernelBuffer bounds what the kernel holds for a client that does not read; left alone it takes megabytes.
const kernelBuffer = 256 << 10

// hijacker is the http.ResponseWriter for gorilla's handshake. Its Hijack stores the connection in conn, and moves the bytes that the
// client sent before the 101 from net/http's buffer to the reader of frames.
type hijacker struct {
	http.ResponseWriter
	conn *Conn
	err  error // of hijacking
}

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffers, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if h.err = err; err != nil {
		return nil, nil, err
	}
	h.conn.conn, h.conn.socket = conn, idle.NewConn(conn)
	if h.conn.socket != nil {
		h.conn.conn = h.conn.socket
	} else if above, ok := conn.(interface{ NetConn() net.Conn }); ok {
		if below, ok := above.NetConn().(*idle.Records); ok {
			h.conn.socket, h.conn.below = &below.Conn, below
		}
	}
	h.conn.in.Resident = h.conn.socket == nil
	// gorilla refuses clients that speak before the 101; the protocol does not.
	if n := buffers.Reader.Buffered(); n > 0 {
		early, _ := buffers.Reader.Peek(n) // buffered: cannot fail
		h.conn.in.Feed(early)
		_, _ = buffers.Reader.Discard(n)
	}
	if tcp, ok := h.conn.inner().(tcpConn); ok {
		_ = tcp.SetWriteBuffer(kernelBuffer) // without it the kernel's own limit holds
	}
	return conn, buffers, nil
}
