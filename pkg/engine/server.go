package engine

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carillon-io/carillon/internal/alarm"
	"github.com/carillon-io/carillon/internal/flush"
	"github.com/carillon-io/carillon/internal/wsconn"
	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

// Handler opens sessions.
type Handler interface {
	// Open is called once for each session, before its first message; the handshake has been answered or is about to
	// be. It may call Send and Close on the session. It must not block, and must not return nil.
	Open(s *Session) Receiver
}

// Receiver takes what one session's client sends. Calls for one session never overlap.
type Receiver interface {
	// Message hands over one message. data is valid until Message returns. While it blocks, nothing more is read from
	// this client, whose silence is not held against it; but a client of revision 3, which is not answered either, leaves
	// after the two intervals of the heartbeat.
	Message(data []byte, binary bool)
	// Closed is called once, after the last Message, never from inside Send or Close.
	Closed(reason CloseReason)
}

// Server is an Engine.IO server. Mount it under its path with the trailing slash; it looks at the query only.
type Server struct {
	// Static after construction.
	handler Handler
	config  Config
	epoch   time.Time // the zero of every time.Duration that sessions keep
	table   *table
	metrics *metrics

	webSockets *wsconn.Acceptor

	admission admission
	flushers  *flush.Flushers[*Session, *wsconn.Writer]
	alarms    *alarm.Alarms[*Session]
	patience  time.Duration // wsconn.Stall
	seldom    map[CloseReason]*rate.Sometimes

	outboxes total // bytes that wait for clients or are being written
	inbound  total // bytes that hold data of clients

	sessions atomic.Int64
	refusing atomic.Bool
	draining atomic.Bool
	running  sync.WaitGroup // sessions, their connections' readers, the poller, relief
}

// New makes a server. It starts nothing.
func New(h Handler, cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{handler: h, config: cfg, epoch: time.Now(), table: newTable(), patience: wsconn.Stall, seldom: newSeldom()}
	s.webSockets = wsconn.NewAcceptor(wsconn.Config{
		MaxPayload: cfg.MaxPayload, Compress: cfg.CompressWebSocket, Inbound: s.inbound.Add, Outbound: s.outboxes.Add,
		Spawn: s.running.Go, Logger: cfg.Logger,
	})
	s.flushers = flush.New((*Session).flushLink, wsconn.NewWriter, (*Session).flush)
	s.alarms = alarm.New(s.now, (*Session).alarmPlace, (*Session).onTimer)
	s.outboxes.init(s, "outboxes", (*Session).outboxBytes, (*Session).endFullOutbox)
	s.inbound.init(s, "unfinished messages", (*Session).arriving, (*Session).endArriving)
	s.metrics, err = newMetrics(cfg.Registry, s)
	return s, err
}

// now is the time in the unit sessions keep.
func (s *Server) now() time.Duration { return time.Since(s.epoch) }

// Heartbeat is how long after a pong the client is pinged, and how long it may then be silent.
func (s *Server) Heartbeat() (interval, timeout time.Duration) {
	return s.config.PingInterval, s.config.PingTimeout
}

// Sessions reports how many sessions are open.
func (s *Server) Sessions() int { return int(s.sessions.Load()) }

// openPacket is the content of the first packet.
func (s *Server) openPacket(id string, upgrades []string) []byte {
	list := ""
	if len(upgrades) > 0 {
		list = strconv.Quote(upgrades[0])
	}
	return fmt.Appendf(nil, `{"sid":"%s","upgrades":[%s],"pingInterval":%d,"pingTimeout":%d,"maxPayload":%d}`,
		id, list, s.config.PingInterval.Milliseconds(), s.config.PingTimeout.Milliseconds(), s.config.MaxPayload)
}

// opened counts a session in, and the reader it has when it starts on a WebSocket.
func (s *Server) opened(session *Session) {
	s.sessions.Add(1)
	s.running.Add(1)
	if session.socket != nil {
		s.running.Add(1)
	}
	s.metrics.connections[session.transportLocked()].Inc() // nothing else knows the session yet
}

func (s *Server) upgraded() {
	s.metrics.connections[transportPolling].Dec()
	s.metrics.connections[transportWebSocket].Inc()
}

// closed counts a session out.
func (s *Server) closed(reason CloseReason, transport string) {
	s.sessions.Add(-1)
	s.metrics.connections[transport].Dec()
	counter := s.metrics.disconnects[reason]
	if counter == nil {
		counter = s.metrics.disconnects[ForcedClose] // a reason of the caller's own
	}
	counter.Inc()
}

func (s *Server) dropped(reason dropReason, messages int) {
	if messages > 0 {
		s.metrics.dropped[reason].Add(float64(messages))
	}
}

func (s *Server) handshake(transport, result string) {
	s.metrics.handshakes.WithLabelValues(transport, result).Inc()
}

func (s *Server) logDrain(message string, left int) {
	s.config.Logger.Info(message, zap.Int("sessions", left))
}
