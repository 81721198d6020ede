package socketio

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/carillon-io/carillon/internal/recovery"
	"github.com/carillon-io/carillon/internal/sio/hub"
	"github.com/carillon-io/carillon/pkg/adapter"
	"go.uber.org/zap"
)

// Why a session that is stored is not gone on with.
var (
	refusedNamespace = recovery.ReasonNamespace.Refusal() // or it does not say where it began
	refusedTrimmed   = recovery.ReasonStream.Refusal()
	refusedText      = recovery.ReasonOffset.Refusal()
)

// errFaster is for a session that another server, or another claim, took in this moment.
var errFaster = errors.New("socketio: the session was taken meanwhile")

// findKept claims a session here, and brings it here before where another server has it, or had it when it was killed.
func (s *Socket) findKept(ctx context.Context, log *recovery.Log, claim recovery.Claim) (
	session *recovery.Session, moved bool, refused *recovery.Refusal, err error,
) {
	claimed, patience := time.Now(), s.io.moves.patience
	for range mostClaims {
		var stored bool
		if stored, moved, refused, err = s.fetchKept(ctx, log, claim); err != nil {
			s.io.log.Debug("a session was not brought back", zap.String("namespace", s.nsp.name), zap.Error(err))
			if patience.Failed(claim.PID, claimed) {
				return nil, false, recovery.ReasonWaited.Refusal(), nil
			}
			return nil, false, nil, ErrClose
		}
		patience.Settled(claim.PID)
		if refused != nil {
			return nil, false, refused, nil
		}
		session, refused = log.Claim(ctx, claim, (*holder)(s), s.io.cfg.Engine.Tag())
		switch {
		case refused == nil:
			return session, moved, nil, nil
		case refused.Again:
			return nil, false, nil, ErrClose
		case !stored || log.Knows(claim.PID) || !refused.Elsewhere():
			return nil, false, refused, nil
		}
		// Another server has taken it while the claim waited here.
	}
	return nil, false, nil, ErrClose // it is somewhere
}

// fetchKept makes what is stored of a session an absent one of this node, where it is another server's. Claims of
// one session do so one after the other: between the moments in which Redis and this node know that it is here, another claim
// would find that it is this node's, and that this node does not have it.
//
// stored: some server has such a session; moved: it was another server's.
func (s *Socket) fetchKept(ctx context.Context, log *recovery.Log, claim recovery.Claim) (
	stored, moved bool, refused *recovery.Refusal, err error,
) {
	ctx, cancel := context.WithTimeout(ctx, s.io.cfg.Recovery.MoveTimeout)
	defer cancel()
	_, done, err := s.io.moves.arrive(ctx, s.nsp.name, claim.PID, nil)
	if err != nil {
		return false, false, nil, err
	}
	defer done()
	missing := false // what is stored names this node, which did not have the session
	for range mostClaims {
		found, err := s.io.sessions.Find(ctx, claim.PID)
		switch {
		case err != nil && !log.Knows(claim.PID):
			return false, false, nil, err
		case err != nil, found == nil:
			return false, false, nil, nil
		case found.Owner == s.nsp.hub.NodeID():
			if known := log.Knows(claim.PID); known || missing {
				return known, false, nil, nil // missing twice: no other server has taken it between the two looks
			}
			missing = true
			continue
		}
		missing = false
		c := comeback{nsp: s.nsp, found: found, claim: claim, started: time.Now(), address: s.Handshake().Address}
		if refused, err = c.run(ctx); !errors.Is(err, errFaster) {
			return true, err == nil && refused == nil, refused, err
		}
	}
	return true, false, recovery.ReasonLate.Refusal(), nil
}

// comeback is one session on its way here out of what is stored.
type comeback struct {
	// Static after construction.
	nsp     *Namespace
	found   *adapter.FoundSession
	claim   recovery.Claim
	address string
	started time.Time
}

// run makes the session an absent one of this node.
func (c *comeback) run(ctx context.Context) (*recovery.Refusal, error) {
	io, log := c.nsp.io, c.nsp.hub.Log()
	behind, refused, err := c.behind(ctx)
	if refused != nil || err != nil {
		return refused, err
	}
	io.open(c.nsp)
	// A command that was on its way before then may have been passed over: it has to be read from the stream.
	least := io.sessions.Begun(c.nsp.name)
	if recovery.Before(least, behind) {
		least = behind
	}
	rec, err := c.record(ctx, least)
	if err != nil {
		return nil, err
	}
	defer rec.End()
	missed, err := c.read(ctx, behind, rec.From())
	if missed == nil || err != nil {
		return refusedTrimmed, err
	}
	as := c.found.Session
	as.Namespace, as.Away = c.nsp.name, time.Now() // At stays: what came behind it is stored only once install has kept the session
	if as.Begin == "" {
		as.Begin = behind
	}
	taken, err := io.sessions.Take(ctx, c.found, as)
	switch {
	case err != nil:
		return nil, err
	case !taken:
		return nil, errFaster
	}
	log.Lose(c.claim.PID)
	if err := c.install(missed, rec, &as); err != nil {
		io.sessions.Release(as.PID)
		io.log.Debug("a session was not brought back", zap.String("namespace", c.nsp.name), zap.Error(err))
		return refusedTrimmed, nil
	}
	return nil, nil
}

// behind is the entry behind which everything is to be sent to the client.
func (c *comeback) behind(ctx context.Context) (string, *recovery.Refusal, error) {
	offset := c.claim.Offset
	switch {
	case c.found.Namespace != "" && c.found.Namespace != c.nsp.name:
		return "", refusedNamespace, nil
	case recovery.IsEntry(offset) && recovery.Before(offset, c.found.Begin):
		return c.found.Begin, nil, nil // the session has not received what another one may have
	case recovery.IsEntry(offset):
		exists, err := c.nsp.io.sessions.Exists(ctx, c.nsp.name, offset)
		if err == nil && !exists {
			return "", refusedTrimmed, nil
		}
		return offset, nil, err
	case offset != "" && !strings.HasPrefix(offset, "@"):
		return "", refusedText, nil
	case c.found.Begin == "": // a client of Node's that has received nothing: it does not begin anywhere
		return "", refusedNamespace, nil
	}
	return c.found.Begin, nil, nil
}

// lookAround is how often a node looks whether it has been delivered what it waits for.
const lookAround = 5 * time.Millisecond

// record begins a recording once this node has been delivered everything up to an entry.
func (c *comeback) record(ctx context.Context, least string) (*recovery.Recording, error) {
	log := c.nsp.hub.Log()
	for {
		log.Begin()
		rec := log.Record(c.nsp.position())
		log.End()
		if !recovery.Before(rec.From(), least) {
			return rec, nil
		}
		rec.End()
		select {
		case <-time.After(lookAround):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// unsaved is how long before the client's last event a change of its rooms may have been that the killed server had not stored.
const unsaved = time.Second

// read works out what the session missed up to an entry; nil: some of it is not kept.
func (c *comeback) read(ctx context.Context, behind, through string) (*recovery.Returning, error) {
	from := behind
	if at := c.found.At; at != "" {
		if from = recovery.Earlier(behind, unsaved); recovery.Before(from, at) {
			from = at
		}
		if recovery.Before(behind, from) {
			from = behind
		}
	}
	for {
		missed := c.nsp.hub.Log().Returning(c.found.Rooms, c.found.ID, behind, c.found.At, c.nsp.io.limits.Load().Rooms)
		if c.found.At != "" {
			missed.Banned(from)
		}
		fits := true
		whole, err := c.nsp.io.sessions.Missed(ctx, c.nsp.name, from, through, func(id string, command adapter.Command) bool {
			if noted, ok := hub.Note(command); ok {
				fits = missed.Missed(id, noted)
			}
			return fits
		})
		switch {
		case err != nil:
			return nil, err
		case !fits:
			return nil, nil
		case whole:
			return missed, nil
		case from == behind:
			return nil, nil
		}
		from = behind
	}
}

// install makes the session one of this node that is absent.
func (c *comeback) install(missed *recovery.Returning, rec *recovery.Recording, as *adapter.Session) error {
	held, err := c.nsp.io.acquire(c.nsp.name) // by the absent socket
	if err != nil {
		return err
	}
	log := c.nsp.hub.Log()
	from := &handing{cutAnswer: cutAnswer{ID: as.ID, Data: as.Data, State: as.State}}
	from.Handshake.Address = c.address
	s := held.newArrived(log.Open(as.PID, as.ID, c.address), from)
	s.stay.begin, s.stay.taken = as.Begin, true
	s.stay.keeping.start()
	s.stay.away.Store(as.Away.UnixNano())
	log.Begin()
	defer log.End()
	kicked, err := missed.Arrive(s.stay.session, rec, (*absent)(s), 0, func(names []string) bool {
		return held.hub.Install(&s.member, as.ID, (*recipient)(s), names)
	})
	if err != nil {
		s.stay.keeping.stop()
		s.remove()
		s.stay.session.End()
		held.io.release(held)
		return err
	}
	held.io.moves.took(time.Since(c.started))
	s.keep()
	if kicked {
		log.After(func() { s.kick(ServerDisconnect) })
	}
	return nil
}
