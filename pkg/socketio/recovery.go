package socketio

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carillon-io/carillon/internal/recovery"
	"github.com/carillon-io/carillon/internal/recovery/patience"
	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/internal/sio/hub"
	"github.com/carillon-io/carillon/internal/sio/wire"
	"go.uber.org/zap"
)

// Recovery has clients whose connection breaks come back as the same socket: same id, rooms and Data, and what they missed.
// Clients are official ones from 4.6 on; others get a new socket, as without it.
type Recovery struct {
	Enabled bool
	Window  time.Duration // how long a client may be away; default 2 minutes
	// Bytes is the memory on this node for events and absent sockets; the oldest go first. Default 64 MiB.
	Bytes int
	// Except leaves out the namespaces for which it reports true. It is asked at each connect. nil: none.
	Except func(nsp string) bool
	// Key signs what clients carry about events they have received, 32 bytes; nil: a random one, until SetRecoveryKey.
	Key *[32]byte
	// Peers reaches the other servers, for clients that come back to another one. It needs an adapter that can cut the order of
	// commands (adapter.FencerOf), and servers with the same key. nil: sessions stay where they are.
	Peers Peers
	// MoveTimeout is how long a session may take from one server to another, once it is its turn; default 5 s. A client whose
	// session takes longer is sent away and tries again, for two such times at most while the other server is not reached.
	MoveTimeout time.Duration
}

// SetRecoveryKey has what clients carry about events signed with another key from now on, as Recovery.Key. It is for servers
// that agree on a key only when they run.
func (io *Server) SetRecoveryKey(key [32]byte) {
	if io.hubs.Recovery != nil {
		io.hubs.Recovery.SetKey(recovery.Key(key))
	}
}

func (r *Recovery) withDefaults() (faults []string) {
	if r.Window == 0 {
		r.Window = 2 * time.Minute
	}
	if r.Bytes == 0 {
		r.Bytes = 64 << 20
	}
	if r.MoveTimeout == 0 {
		r.MoveTimeout = 5 * time.Second
	}
	if r.Window < 0 {
		faults = append(faults, fmt.Sprintf("recovery window %v is negative", r.Window))
	}
	if r.Bytes < 0 {
		faults = append(faults, fmt.Sprintf("recovery bytes %d are negative", r.Bytes))
	}
	return faults
}

// newRecovery makes what keeps events and absent sockets; nil where nothing is to be kept.
func (io *Server) newRecovery() (*recovery.Store, error) {
	cfg := &io.cfg
	metrics, err := recovery.NewMetrics(cfg.Registry)
	if err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	io.moves.took = metrics.Took
	io.moves.patience = patience.New(patience.Config{
		Node: unreachedFor * cfg.Recovery.MoveTimeout, Session: cfg.Recovery.Window, Logger: cfg.Logger,
	})
	if !cfg.Recovery.Enabled {
		return nil, nil
	}
	io.keepSessions()
	interval, timeout := io.engine.Heartbeat()
	return recovery.New(recovery.Config{
		Window: cfg.Recovery.Window, Lag: interval + 2*timeout, Bytes: int64(cfg.Recovery.Bytes), Stream: cfg.Adapter.Echoes(),
		Key: (*recovery.Key)(cfg.Recovery.Key), Metrics: metrics,
	})
}

// unreachedFor is how long a client is sent away whose session is at a server that is not reached, in MoveTimeouts. After that it gets
// a new socket.
const unreachedFor = 2

// stay is what a socket has in common with the one that its client comes back as.
type stay struct {
	// Static after Enter.
	session   *recovery.Session
	recovered bool     // the client had the session before
	moved     bool     // it was fetched from another node for that
	arrived   *arrived // not nil: the socket has come from another node and has had no connection here

	previous atomic.Pointer[Socket] // the absent socket whose session is claimed; nil from the answer on

	// Owned by the goroutine that runs the connection's handlers.
	replay  *recovery.Replay // between Admit and Entered
	release *Namespace       // likewise: held by the socket whose place this one took

	losing sync.Once
	lost   bool          // the client may come back; static after losing
	reason Reason        // why the connection ended; static after losing
	quiet  chan struct{} // closed when the handlers for the connection have returned; static after losing

	taken     bool         // the session was stored, and another server's; it changes in the turn
	keeping   keeping      // the session is stored for other servers
	begin     string       // the entry that it began behind; static once kept
	away      atomic.Int64 // since when the client is gone, in Unix nanoseconds; 0: it is connected
	elsewhere atomic.Bool  // another server has taken the session

	kicked atomic.Pointer[Reason] // a command has disconnected the absent socket; nil: none has
}

// Recovered reports whether the socket is one whose client has come back: it has the id, the rooms and the Data of the
// socket that the client had before its connection broke. Middlewares are passed all the same, and may ask.
func (s *Socket) Recovered() bool { return s.stay != nil && s.stay.recovered }

// claims reports whether the socket is to take the place of an absent one.
func (s *Socket) claims() bool { return s.stay != nil && s.stay.previous.Load() != nil }

// place is where the socket's rooms are: those of an absent one while it claims its place.
func (s *Socket) place() *hub.Member {
	if s.stay != nil {
		if previous := s.stay.previous.Load(); previous != nil {
			return &previous.member
		}
	}
	return &s.member
}

// settleSession gives the socket the session that its client claims, or a new one, or none where there is no recovery. What
// the client says about its session is a secret, and is taken out of what it sent. The Logic is made here where it has to
// say whether the client is the same, else it is nil.
func (s *Socket) settleSession(ctx context.Context, newLogic func(*Socket, *Values) Logic) (Logic, error) {
	log := s.nsp.hub.Log()
	if log == nil || !s.conn.Claims() {
		return nil, nil
	}
	auth, claim := recovery.CutClaim(s.conn.Auth())
	s.conn.SetAuth(auth)
	if except := s.io.cfg.Recovery.Except; except != nil && except(s.nsp.name) {
		return nil, nil
	}
	var logic Logic
	if newLogic != nil {
		logic = newLogic(s, s.conn.Shared())
		if _, ok := logic.(conn.Recoverer); !ok {
			return logic, nil
		}
	}
	s.conn.Number()
	if claim.PID != "" {
		refused, err := s.claim(ctx, log, claim, logic)
		if err != nil {
			return nil, err
		}
		if refused == nil {
			return logic, nil
		}
		log.CountRefusal(refused)
		s.io.log.Debug("a session was not recovered", zap.String("namespace", s.nsp.name), zap.String("session", s.Session().ID()),
			zap.Stringer("result", refused.Result()), zap.Stringer("reason", refused.Reason), zap.String("why", refused.Why()))
		if refused.Kicked {
			return nil, conn.ErrKicked
		}
	}
	s.stay = &stay{session: log.Open(conn.NewPID(s.io.cfg.Engine.Tag()), s.ID(), s.Handshake().Address)}
	return logic, nil
}

// claim gives the socket the session that its client claims.
func (s *Socket) claim(ctx context.Context, log *recovery.Log, claim recovery.Claim, logic Logic) (*recovery.Refusal, error) {
	find := s.find
	if s.io.sessions != nil {
		find = s.findKept
	}
	session, moved, refused, err := find(ctx, log, claim)
	switch {
	case err != nil:
		return nil, err
	case refused != nil && refused.Again:
		return nil, ErrClose
	case refused != nil:
		return refused, nil
	}
	a, _ := session.Absent().(*absent)
	if a == nil {
		session.Release((*holder)(s))
		return nil, ErrClose // it has ended in this moment, and there may be something to tell the client
	}
	previous := (*Socket)(a)
	awaitQuiet(ctx, previous)
	if err := previous.unpack(ctx); err != nil {
		session.Release((*holder)(s))
		if errors.Is(err, conn.ErrEnded) {
			session.End()
			return recovery.ReasonEnded.Refusal(), nil
		}
		return nil, ErrClose
	}
	if r, ok := logic.(conn.Recoverer); ok {
		same, err := r.Resume(ctx, previous.logic)
		if err != nil || !same {
			session.Release((*holder)(s))
			return recovery.ReasonSubject.Refusal(), err
		}
	}
	s.conn.TakeID(session.ID())
	s.stay = &stay{session: session, recovered: true, moved: moved}
	s.stay.previous.Store(previous)
	if data := previous.Data(); data != nil {
		s.SetData(data)
	}
	return nil, nil
}

// mostClaims is how often a session is looked for again that moves between nodes at the same time.
const mostClaims = 3

// find claims a session here, and fetches it before where another node has it.
func (s *Socket) find(ctx context.Context, log *recovery.Log, claim recovery.Claim) (
	session *recovery.Session, moved bool, refused *recovery.Refusal, err error,
) {
	elsewhere := s.io.cfg.Recovery.Peers != nil && s.nsp.hub.Moves()
	for range mostClaims {
		if elsewhere && !log.Knows(claim.PID) {
			if refused, err = s.nsp.fetch(ctx, claim, pidTag(claim.PID), (*holder)(s)); err != nil {
				return nil, false, nil, ErrClose
			}
			if refused != nil {
				return nil, false, refused, nil
			}
			moved = true
		}
		session, refused = log.Claim(ctx, claim, (*holder)(s), s.io.cfg.Engine.Tag())
		if refused == nil || !elsewhere || log.Knows(claim.PID) || !refused.Elsewhere() {
			return session, moved, refused, nil
		}
	}
	return nil, false, nil, ErrClose // it is somewhere
}

// pidTag is the tag of the node on which a session began.
func pidTag(pid string) string { return pid[:min(len(pid), 4)] }

// quietWait is how long a client that comes back waits for handlers of what it had sent before.
const quietWait = time.Second

// awaitQuiet waits until what the client sent over its former connection is handled.
func awaitQuiet(ctx context.Context, previous *Socket) {
	late := time.NewTimer(quietWait)
	defer late.Stop()
	select {
	case <-previous.stay.quiet:
	case <-ctx.Done():
	case <-late.C:
	}
}

// begin makes the session the socket's. It is called with the namespace's turn.
func (s *Socket) begin() error {
	st := s.stay
	previous := st.previous.Load()
	if previous == nil {
		st.session.Start((*holder)(s))
		if s.io.sessions != nil {
			s.beginKeeping(s.nsp.position())
		}
		return nil
	}
	replay, refused := st.session.Resume((*holder)(s), (*sink)(s), func() {
		s.nsp.hub.Replace(&previous.member, &s.member, (*recipient)(s))
		st.previous.Store(nil)
	})
	log := s.nsp.hub.Log()
	switch {
	case refused != nil:
		log.CountRefusal(refused)
		if refused.Kicked {
			return conn.ErrKicked
		}
		return ErrClose
	case replay != nil:
		st.replay = replay
		s.conn.Shut(replay)
	}
	st.release = previous.nsp
	st.taken = previous.stay.taken
	was := previous.stay.keeping.stop()
	if s.beginKeeping(previous.stay.begin); was && !s.stay.keeping.isOn() {
		s.io.sessions.Drop(s.ID())
	}
	if st.moved {
		log.Count(recovery.Moved)
	} else {
		log.Count(recovery.Recovered)
	}
	return nil
}

// catchUp sends what the client missed.
func (s *Socket) catchUp() {
	st := s.stay
	if st.release != nil {
		s.io.release(st.release)
		st.release = nil
	}
	if st.replay != nil {
		st.replay.Run()
		st.replay = nil
	}
}

// lose reports whether the client of a socket that goes may come back for it. Only the first call decides.
func (s *Socket) lose(reason Reason) bool {
	st := s.stay
	if st == nil {
		return false
	}
	st.losing.Do(func() {
		st.reason, st.quiet = reason, make(chan struct{})
		if !reason.Recoverable() || s.nsp.ended() {
			st.session.End()
			s.dropEntry()
			s.dropKept()
			return
		}
		st.away.Store(time.Now().UnixNano())
		if st.lost = st.session.Lose((*holder)(s), (*absent)(s)); st.lost {
			s.nsp.hub.Removed(&s.member, nil)
			s.keep()
		} else {
			st.session.Told(s.dropEntry)
			s.dropKept()
		}
	})
	return st.lost
}

// abandon gives up what Enter has begun about the session.
func (s *Socket) abandon() {
	switch st := s.stay; {
	case st == nil:
	case st.previous.Load() != nil:
		st.session.Release((*holder)(s))
	default:
		st.session.End()
	}
}

// holdEntry keeps the entry under which the session is this node's, unless it has ended by now.
func (s *Socket) holdEntry(entry string) {
	session := s.stay.session
	s.io.cfg.Recovery.Peers.Hold(session.PID(), entry)
	session.SetEntry(entry)
	session.Told(s.dropEntry)
}

// dropEntry lets the entry of a session go that is over, or another node's.
func (s *Socket) dropEntry() {
	if s.stay == nil {
		return
	}
	if entry := s.stay.session.SetEntry(""); entry != "" {
		s.io.cfg.Recovery.Peers.Drop(s.stay.session.PID(), entry)
	}
}

// kick ends the session of a socket whose connection broke.
func (s *Socket) kick(reason Reason) {
	if s.stay != nil && !s.claims() {
		s.stay.kicked.Store(&reason)
		s.stay.session.Kick((*holder)(s), (*absent)(s))
	}
}

// sendEarly sends an event while the socket is being connected: the client keeps it until it is answered.
func (s *Socket) sendEarly(volatile bool, m *wire.Message) error {
	if s.claims() {
		m.Offset = s.stay.session.Offset()
	} else {
		m.Offset = s.nsp.hub.Log().Present()
	}
	return s.conn.Send(volatile, m)
}

// sendInTurn sends an event to the client at its place among the namespace's, so that it is sent again if it is lost.
func (s *Socket) sendInTurn(volatile bool, m *wire.Message) error {
	err := s.nsp.hub.SendTo(s.stay.session, volatile, m, func(m *wire.Message) error {
		err := s.conn.Send(volatile, m)
		if volatile || !errors.Is(err, ErrDisconnected) {
			return err
		}
		if r := s.nsp.hub.ByID(s.ID()); r != nil && r != hub.Recipient((*recipient)(s)) { // the client has come back as another
			r.Deliver(false, m)
		}
		return nil
	})
	if errors.Is(err, hub.ErrGone) {
		return ErrDisconnected
	}
	return err
}

// tellInTurn is tell, but not before the turn of a numbered event is over: a listener may emit.
func (s *Socket) tellInTurn(m *wire.Message) {
	if m.Offset == "" || s.outgoing.Load() == nil {
		s.tell(m)
		return
	}
	kept := *m
	s.nsp.hub.Log().After(func() { s.tell(&kept) })
}
