package engine

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/carillon-io/carillon/internal/alarm"
	"github.com/carillon-io/carillon/internal/ceiling"
	"github.com/carillon-io/carillon/internal/flush"
	"github.com/carillon-io/carillon/internal/wsconn"
	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

// Server is an Engine.IO server. Mount it under its path with the trailing slash; it looks at the query only.
type Server struct {
	host

	// Static after construction.
	handler    Handler
	webSockets *wsconn.Acceptor

	refusing atomic.Bool
}

// New makes a server. It starts nothing.
func New(h Handler, cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{handler: h}
	s.config, s.epoch, s.patience, s.table = cfg, time.Now(), wsconn.Stall, newTable[*Session]()
	// Sessions that end for a limit of this server are seldom warnings, or a crowd of them would fill the log.
	s.seldom = map[CloseReason]*rate.Sometimes{SlowConsumer: {Interval: time.Minute}, Limit: {Interval: time.Minute}}
	s.webSockets = wsconn.NewAcceptor(wsconn.Config{
		MaxPayload: cfg.MaxPayload, Compress: cfg.CompressWebSocket, Inbound: s.inbound.Add, Outbound: s.outboxes.Add,
		Spawn: s.running.Go, Logger: cfg.Logger,
	})
	s.flushers = flush.New((*Session).flushLink, wsconn.NewWriter, (*Session).flush)
	s.alarms = alarm.New(s.now, (*Session).alarmPlace, (*Session).onTimer)
	s.outboxes.Config = ceiling.Config[*Session]{
		What: "outboxes", All: s.table.all, Of: (*Session).outboxBytes, End: (*Session).cutFullOutbox, Spawn: s.running.Go, Log: cfg.Logger,
	}
	s.inbound.Config = ceiling.Config[*Session]{
		What: "unfinished messages", All: s.table.all, Of: (*Session).arriving, End: (*Session).cutArriving, Spawn: s.running.Go, Log: cfg.Logger,
	}
	s.metrics, err = newMetrics(cfg.Registry, gauges{
		sessionsLimit: func() int64 { return int64(s.admission.limit()) },
		outboxes:      s.outboxes.Bytes, outboxesLimit: s.outboxes.Limit, inbound: s.inbound.Bytes, inboundLimit: s.inbound.Limit,
	})
	return s, err
}

// Heartbeat is how long after a pong the client is pinged, and how long it may then be silent.
func (s *Server) Heartbeat() (interval, timeout time.Duration) {
	return s.config.PingInterval, s.config.PingTimeout
}

// Sessions reports how many sessions are open.
func (s *Server) Sessions() int { return int(s.sessions.Load()) }

// SetLimits replaces the limits. Open sessions stay open; sessions are counted by address only while that is limited. It may
// be called at any time.
func (s *Server) SetLimits(l Limits) {
	s.outboxes.SetLimit(int64(l.Outboxes))
	s.inbound.SetLimit(int64(l.Inbound))
	s.admission.set(l)
}

// Refuse makes every further handshake be refused with 503; open sessions go on.
func (s *Server) Refuse() { s.refusing.Store(true) }

// cutWait is how long Drain waits, after its context has ended, for the sessions that it has cut.
const cutWait = time.Second

// Drain refuses handshakes and closes the open sessions' transports evenly over window in random order, with
// ShuttingDown, each after its outbox was flushed. It returns when all have ended. When ctx ends before, the sessions left
// are cut, and Drain returns ctx's error within a second: a Receiver that still blocks in Message is left behind, and so is
// the goroutine that waits for it.
//
// A drained client is to come back, to another server or the next process. Some take a close packet, or a Close frame
// without a code, for a disconnect that is meant, and stay away. So a waiting GET gets what is queued, else a noop, and
// the client's next request is answered as any with an unknown session; a Close frame says 1001.
func (s *Server) Drain(ctx context.Context, window time.Duration) error {
	s.draining.Store(true)
	s.Refuse()
	s.table.close()
	sessions := s.table.all()
	s.logDrain("draining", len(sessions))
	rand.Shuffle(len(sessions), func(i, j int) { sessions[i], sessions[j] = sessions[j], sessions[i] })
	start := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i, session := range sessions {
		due := start.Add(window * time.Duration(i) / time.Duration(len(sessions)))
		if wait := time.Until(due); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return s.cutAll(ctx, s.ended())
			}
		}
		session.SendAway(ShuttingDown)
	}
	ended := s.ended()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return s.cutAll(ctx, ended)
	}
}

// ended returns a channel that is closed when everything of the server has ended. No session may be opened any more.
func (s *Server) ended() <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		s.running.Wait()
		close(ended)
	}()
	return ended
}

// cutAll cuts what a drain has left.
func (s *Server) cutAll(ctx context.Context, ended <-chan struct{}) error {
	s.logDrain("drain ran out of time", s.Sessions())
	for _, session := range s.table.all() {
		session.cut(ShuttingDown, cause("the drain ran out of time"))
	}
	timer := time.NewTimer(cutWait)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
	}
	return ctx.Err()
}

// Close ends every session at once, with ShuttingDown, and waits until each Receiver has returned from Closed: also from a
// Message that blocks, which should return when Session.Done is closed. Where that may take too long, Drain is the one with
// a context. It must not be called by a Receiver.
func (s *Server) Close() {
	s.Refuse()
	s.table.close()
	for _, session := range s.table.all() {
		session.end(ShuttingDown, cause("the server was closed"))
	}
	s.running.Wait()
}

// Shed closes the transports of n sessions, chosen at random, evenly over window, as Drain does and with its reason:
// their clients connect anew. It returns how many it has closed, when the last one was sent away or ctx ends. New sessions are accepted meanwhile.
func (s *Server) Shed(ctx context.Context, n int, window time.Duration) int {
	sessions := s.table.all()
	n = min(n, len(sessions))
	rand.Shuffle(len(sessions), func(i, j int) { sessions[i], sessions[j] = sessions[j], sessions[i] })
	for i, session := range sessions[:n] {
		if i > 0 {
			select {
			case <-time.After(window / time.Duration(n)):
			case <-ctx.Done():
				return i
			}
		}
		session.SendAway(ShuttingDown)
	}
	return n
}

// SendAway sends the client of the session with this id away, if there is one: for a node that relayed the session's WebSocket
// and is about to leave.
func (s *Server) SendAway(sid string, reason CloseReason) {
	if session := s.table.get(sid); session != nil {
		session.SendAway(reason)
	}
}

// Release answers the GET that waits for a session, if one does, with a noop, and the client polls anew: for a node that
// relayed the GET and is about to leave.
func (s *Server) Release(sid string) {
	if session := s.table.get(sid); session != nil {
		session.release()
	}
}

func (s *Server) logDrain(message string, left int) {
	s.config.Logger.Info(message, zap.Int("sessions", left))
}
