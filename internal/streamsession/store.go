package streamsession

import (
	"container/list"
	"context"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// Config is what a store is made of. All fields are required but Window, which SetWindow sets.
type Config struct {
	Client   goredis.UniversalClient
	Node     string // unique in the cluster
	Prefix   string // of the keys; of Node's servers "sio:session:"
	Logger   *zap.Logger
	Refusals *redisconn.Refusals
	Metrics  *Metrics
}

// DefaultPrefix is what the keys of Node's servers begin with.
const DefaultPrefix = "sio:session:"

// Refused is what a [redisconn.Refusals] calls commands on sessions that Redis refuses for lack of rights.
const Refused = "session"

const (
	// batch is how many sessions are written in one go.
	batch = 256
	// pause is how long a write waits for others to come with it.
	pause = 2 * time.Millisecond
	// again is how long failed writes wait.
	again = time.Second
)

// Store keeps the sessions of one node in Redis.
type Store struct {
	// Static after construction.
	config Config
	owner  string
	window time.Duration // static once Run has been called

	wake chan struct{} // has a value when something is due

	mu sync.Mutex
	// mu guards the following. It is a leaf.
	kept  map[string]*kept // by the id of the socket
	due   []*kept          // to be written; dropped ones among them
	drops []string         // keys to be removed
	byAge list.List        // of *kept whose clients are connected, that which was written longest ago first

	doubts map[string]doubt // by pid; nil: there has been none

	waiting int  // calls of Stored
	ended   bool // Run has returned, or is about to
}

// kept is one session.
type kept struct {
	id      string
	session adapter.KeptSession

	// Store.mu guards the following.
	key     string // empty: it has not been written yet
	queued  bool
	told    bool // that another server has taken it, which is to be looked up before the next write
	gone    bool
	place   *list.Element // in byAge; nil: it is not renewed
	written time.Time
	writing bool
	waits   []*wait // for the next write
	flying  []*wait // for the answer to the one that is on its way
}

// New makes a store; Run writes.
func New(cfg Config) *Store {
	return &Store{config: cfg, owner: owner(cfg.Node), kept: make(map[string]*kept), wake: make(chan struct{}, 1)}
}

// SetWindow sets how long a session is stored after its node was killed, at least. It is called before Run.
func (s *Store) SetWindow(d time.Duration) { s.window = d }

// renewal is after which time a session is kept for longer whose client is connected.
func (s *Store) renewal() time.Duration { return min(max(s.window/2, time.Second), time.Minute) }

// Keep stores a session, at once and again after each call.
func (s *Store) Keep(id string, session adapter.KeptSession) {
	s.mu.Lock()
	k := s.kept[id]
	if k == nil || k.session != session { // another connection's: what comes of the one before concerns it no more
		former := s.forgetLocked(id)
		k = &kept{id: id, session: session}
		if former != nil { // what waits for a change of that one waits for the first write of this one
			k.key, k.waits = former.key, append(former.waits, former.flying...)
			former.waits, former.flying = nil, nil
		}
		s.kept[id] = k
		s.config.Metrics.Kept.Inc()
	}
	s.queueLocked(k)
	s.mu.Unlock()
	s.awake()
}

func (s *Store) queueLocked(k *kept) {
	if !k.queued {
		k.queued = true
		s.due = append(s.due, k)
	}
}

func (s *Store) awake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Drop ends Keep, and removes what is stored unless another server has it.
func (s *Store) Drop(id string) {
	s.mu.Lock()
	var over []*wait
	if k := s.forgetLocked(id); k != nil {
		over = s.freeLocked(k)
		if k.key != "" {
			s.drops = append(s.drops, k.key)
		}
	}
	s.mu.Unlock()
	answer(over, nil)
	s.awake()
}

// Release removes what is stored of a session that was taken and is not kept, unless another server has it.
func (s *Store) Release(pid string) {
	s.dropKey(s.config.Prefix + pid)
	s.awake()
}

// forgetLocked ends the keeping of a session, and returns it.
func (s *Store) forgetLocked(id string) *kept {
	k := s.kept[id]
	if k == nil {
		return nil
	}
	delete(s.kept, id)
	s.config.Metrics.Kept.Dec()
	k.gone = true
	if k.place != nil {
		s.byAge.Remove(k.place)
		k.place = nil
	}
	return k
}

// Taken notes that another server says that it has taken a session of this node. It is looked up: the session may have come back
// since.
func (s *Store) Taken(id string) {
	s.mu.Lock()
	if k := s.kept[id]; k != nil {
		k.told = true
		s.queueLocked(k)
	}
	s.mu.Unlock()
	s.awake()
}

func (s *Store) takenFrom(k *kept) {
	s.mu.Lock()
	is := s.kept[k.id] == k
	var over []*wait
	if is {
		over = s.freeLocked(s.forgetLocked(k.id))
	}
	s.mu.Unlock()
	if is {
		answer(over, nil)
		s.config.Metrics.Lost.Inc()
		k.session.Taken()
	}
}

// Run writes until ctx ends, and then for a moment what still waits.
func (s *Store) Run(ctx context.Context) {
	for ctx.Err() == nil {
		wait := s.work(ctx)
		timer := time.NewTimer(wait)
		select {
		case <-s.wake:
			timer.Reset(pause)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	s.work(last)
	s.end()
}

// work writes what is due, and returns when something will be.
func (s *Store) work(ctx context.Context) (wait time.Duration) {
	for ctx.Err() == nil {
		write, renew, drops := s.next()
		if len(write)+len(renew)+len(drops) == 0 {
			break
		}
		if !s.carryOut(ctx, write, renew, drops) {
			return again
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	wait = time.Minute
	if first := s.byAge.Front(); first != nil {
		wait = min(wait, time.Until(first.Value.(*kept).written.Add(s.renewal())))
	}
	return max(wait, time.Millisecond)
}

// next returns what is to be written in one go.
func (s *Store) next() (write, renew []*kept, drops []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(len(s.drops), batch)
	drops = s.drops[:n:n]
	if s.drops = s.drops[n:]; len(s.drops) == 0 {
		s.drops = nil
	}
	for len(s.due) > 0 && len(write)+len(renew) < batch {
		k := s.due[0]
		s.due[0] = nil
		if s.due = s.due[1:]; len(s.due) == 0 {
			s.due = nil
		}
		switch k.queued = false; {
		case k.gone && k.key != "":
		case k.told && !k.gone:
			renew = append(renew, k)
		default: // or to be removed, where a session that was taken is over before it was written
			k.writing, k.flying, k.waits = true, append(k.flying, k.waits...), nil
			write = append(write, k)
		}
	}
	old, told := time.Now().Add(-s.renewal()), len(renew)
	for e := s.byAge.Front(); e != nil && len(renew)-told < batch && e.Value.(*kept).written.Before(old); e = s.byAge.Front() {
		k := e.Value.(*kept)
		s.agedLocked(k, true) // it comes again if this fails
		renew = append(renew, k)
	}
	return write, renew, drops
}

// agedLocked notes that a session was written.
func (s *Store) agedLocked(k *kept, renewed bool) {
	k.written = time.Now()
	switch {
	case k.place != nil && renewed:
		s.byAge.MoveToBack(k.place)
	case k.place != nil:
		s.byAge.Remove(k.place)
		k.place = nil
	case renewed:
		k.place = s.byAge.PushBack(k)
	}
}

// carryOut sends a batch and acts on the answers. false: Redis is away, and what was not done will be.
func (s *Store) carryOut(ctx context.Context, writes, renewals []*kept, drops []string) bool {
	pipe := s.config.Client.Pipeline()
	commands := make([]*goredis.Cmd, 0, len(writes)+len(renewals)+len(drops))
	sent := writes[:0:0]
	for _, key := range drops { // first: one may be for what a session of the batch was before
		commands = append(commands, drop.Eval(ctx, pipe, []string{key}, s.owner))
	}
	for _, k := range writes {
		session := k.session.Describe()
		text, err := encode(s.owner, &session)
		key := s.config.Prefix + session.PID
		if err != nil || len(text) > maxRecord {
			s.unstorable(k, key, err)
			continue
		}
		s.mu.Lock()
		k.key = key
		if k.gone {
			if s.kept[k.id] == nil { // dropped in this moment, when there was no key yet
				s.drops = append(s.drops, key)
			}
			s.mu.Unlock()
			continue
		}
		s.agedLocked(k, session.Away.IsZero())
		s.mu.Unlock()
		life := ttl(&session, s.window, s.renewal()).Milliseconds()
		commands = append(commands, write.Eval(ctx, pipe, []string{key}, s.owner, text, life))
		sent = append(sent, k)
	}
	for _, k := range renewals {
		life := (s.window + s.renewal()).Milliseconds()
		s.mu.Lock()
		key := k.key
		s.mu.Unlock()
		if key == "" {
			key = s.config.Prefix + k.session.Describe().PID
		}
		commands = append(commands, renew.Eval(ctx, pipe, []string{key}, s.owner, life))
	}
	if len(commands) == 0 {
		return true
	}
	_, _ = pipe.Exec(ctx) // its error is the first of the commands'
	ok := true
	for i, command := range commands {
		n, err := command.Int()
		if err != nil {
			ok = false
			s.failed(err)
		}
		switch past := len(drops); {
		case i >= past+len(sent):
			s.renewed(renewals[i-past-len(sent)], n, err)
		case i >= past:
			s.wrote(sent[i-past], n, err)
		case err != nil:
			s.dropKey(drops[i])
		}
	}
	if ok {
		s.config.Refusals.Granted(Refused)
	}
	return ok
}

// maxDrops bounds the keys that wait for Redis to be removed. Others expire.
const maxDrops = 1 << 16

func (s *Store) dropKey(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.drops) < maxDrops {
		s.drops = append(s.drops, key)
	}
}

// unstorable removes what is stored of a session that cannot be stored any more: the client is to get a new socket after a kill
// rather than the rooms and the data of a former time.
func (s *Store) unstorable(k *kept, key string, err error) {
	s.config.Logger.Debug("a session cannot be kept", zap.String("socket", k.id), zap.Error(err))
	s.mu.Lock()
	s.agedLocked(k, false)
	over := s.settleLocked(k, nil)
	s.mu.Unlock()
	answer(over, nil)
	s.dropKey(key)
}

func (s *Store) failed(err error) {
	s.config.Metrics.Failed.Inc()
	if !s.config.Refusals.Refused(Refused, err) {
		s.config.Logger.Debug("a session was not written", zap.Error(err))
	}
}

// wrote acts on the answer to a write.
func (s *Store) wrote(k *kept, n int, err error) {
	s.mu.Lock()
	over := s.settleLocked(k, err)
	if err != nil && !k.gone {
		s.queueLocked(k)
	}
	s.mu.Unlock()
	answer(over, nil)
	switch {
	case err != nil:
	case n == 0:
		s.takenFrom(k)
	default:
		s.config.Metrics.Written.Inc()
	}
}

// renewed acts on the answer to a renewal. What is not stored any more is written again: it was lost, or one of Node's servers has
// taken it from under a client that is connected here. Where another server says that it has taken it, the session is over there
// by now.
func (s *Store) renewed(k *kept, n int, err error) {
	s.mu.Lock()
	told := k.told
	if err == nil {
		k.told = false
	}
	if !k.gone && (err != nil || n < 0 && !told || n > 0 && told) {
		s.queueLocked(k)
	}
	s.mu.Unlock()
	switch {
	case err != nil:
	case n == 0 || n < 0 && told:
		s.takenFrom(k)
	case n > 0:
		s.config.Metrics.Renewed.Inc()
	}
}
