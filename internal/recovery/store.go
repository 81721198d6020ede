package recovery

import (
	"container/list"
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// Config says how much is kept.
type Config struct {
	Window time.Duration // how long a client may be away
	// Lag is how much older than the moment of a cut the last proof may be of what a client had received: the ping interval and
	// timeout. Events are kept for Window and Lag.
	Lag   time.Duration
	Bytes int64 // of events, absent sessions and journals on this node
	// Stream: every event comes with an offset, which is an entry of a stream that all nodes have their events from, in one order.
	Stream  bool
	Key     *Key // signs offsets; nil: a random one until SetKey, and offsets are known to this process alone
	Metrics *Metrics
}

// shareOfAddress is the part of Config.Bytes that the absent sessions of one address may take, 1/8, and as much that events to
// single ones of its sockets may.
const shareOfAddress = 8

// shareOfJournals is the part that journals may take, 1/4; those of one address 1/shareOfAddress. Those of connected sockets
// cannot be dropped like what is oldest, so that without a share of their own they would leave no room for anything else.
const shareOfJournals = 4

// Store is what all logs of one node share.
type Store struct {
	// Static after construction.
	config  Config
	epoch   time.Time
	running sync.WaitGroup      // calls of Absent.Over
	carried *semaphore.Weighted // of share: what is read from other nodes

	bytes    atomic.Int64 // that count towards Config.Bytes
	journals atomic.Int64 // of them
	keys     atomic.Pointer[keys]

	mu sync.Mutex
	// mu guards the following. It is a leaf.
	queue    []record // queue[head:] are the events of all logs, the oldest first
	head     int
	absent   list.List // of *Session, that which is away longest first, and of those kicked meanwhile
	accounts map[string]*account
	timer    *time.Timer // for the oldest event and the first absent session
	fires    int64       // when it does; 0: it does not
	closed   bool
}

// record is an event in a log.
type record struct {
	log     *Log
	place   uint64
	session *Session // not nil: what it was handed over, instead of an event
	at      int64
}

// account is what the clients of one address take.
type account struct {
	address  string       // static
	bytes    atomic.Int64 // of absent sessions
	events   atomic.Int64 // to one socket alone
	journals atomic.Int64 // of all its sessions

	// Store.mu guards the following.
	absent list.List // of *Session, that which is away longest first
	users  int       // sessions and events that may yet change it
}

// New makes a store. Close ends its timer.
func New(cfg Config) (*Store, error) {
	if cfg.Window <= 0 || cfg.Bytes <= 0 {
		return nil, errors.New("recovery: window and bytes must be above 0")
	}
	if cfg.Key == nil {
		cfg.Key = new(Key)
		_, _ = rand.Read(cfg.Key[:]) // never fails: the runtime ends the process instead
	}
	s := &Store{config: cfg, epoch: time.Now(), accounts: make(map[string]*account)}
	s.carried = semaphore.NewWeighted(s.share())
	s.keys.Store(&keys{present: *cfg.Key, former: *cfg.Key})
	if cfg.Metrics != nil {
		cfg.Metrics.store.Store(s)
	}
	return s, nil
}

// now is the time in the unit that the store keeps.
func (s *Store) now() int64 { return int64(time.Since(s.epoch)) }

// over reports whether more is held than may be.
func (s *Store) over() bool { return s.bytes.Load() > s.config.Bytes }

// account returns that of an address, with one more user.
func (s *Store) account(address string) *account {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[address]
	if a == nil {
		a = &account{address: address}
		s.accounts[address] = a
	}
	a.users++
	return a
}

// leave ends what account began.
func (s *Store) leave(a *account) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.users--; a.users == 0 {
		delete(s.accounts, a.address)
	}
}

// appended counts an event in. It is called with the log's lock held.
func (s *Store) appended(l *Log, e *entry) {
	s.bytes.Add(int64(e.size))
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.payer != nil {
		e.payer.events.Add(int64(e.size))
		e.payer.users++
	}
	s.queue = append(s.queue, record{log: l, place: e.place, at: now})
	s.armLocked(now)
}

// affords reports whether there may be one more event to a socket of an address. Those have a share apart from the absent
// sessions: they could be many at the will of one client, and would cost its neighbours theirs.
func (s *Store) affords(a *account, size int) bool {
	return a.events.Load()+int64(size) <= s.config.Bytes/shareOfAddress
}

// charge counts what journals of an address have grown by.
func (s *Store) charge(a *account, grown int) {
	s.journals.Add(int64(grown))
	a.journals.Add(int64(grown))
}

// affordsJournal reports whether journals, and those of an address, keep to their share.
func (s *Store) affordsJournal(a *account) bool {
	return s.journals.Load() <= s.config.Bytes/shareOfJournals && a.journals.Load() <= s.config.Bytes/shareOfAddress
}

// left puts a session among the absent, and returns those that have to go: where its address has more than its share, the
// ones that are away longest. It is called with the log's lock held.
func (s *Store) left(session *Session, size int) (excess []*Session) {
	now := s.now()
	a := session.account
	over := a.bytes.Add(int64(size)) - s.config.Bytes/shareOfAddress
	s.mu.Lock()
	defer s.mu.Unlock()
	session.since = now
	session.place = s.absent.PushBack(session)
	session.ofPayer = a.absent.PushBack(session)
	session.weight = int64(size)
	s.armLocked(now)
	if s.closed {
		return []*Session{session}
	}
	for e := a.absent.Front(); e != nil && over > 0; e = e.Next() {
		victim := e.Value.(*Session)
		over -= victim.weight
		excess = append(excess, victim)
	}
	return excess
}

// returned takes a session out of the absent: it is held again or over. What is kept of one that was kicked stays. It is
// called with the log's lock held.
func (s *Store) returned(session *Session, size, kept int) {
	a := session.account
	a.bytes.Add(int64(kept - size))
	s.mu.Lock()
	defer s.mu.Unlock()
	if kept > 0 || session.place == nil {
		return
	}
	s.absent.Remove(session.place)
	a.absent.Remove(session.ofPayer)
	session.place, session.ofPayer = nil, nil
}

// relist puts a session back among the absent that returned has taken out of them. It is called with the log's lock held.
func (s *Store) relist(session *Session) {
	session.account.bytes.Add(int64(session.size))
	s.mu.Lock()
	defer s.mu.Unlock()
	session.place = s.insertLocked(&s.absent, session)
	session.ofPayer = s.insertLocked(&session.account.absent, session)
	s.armLocked(s.now())
}

// insertLocked puts a session behind those that are away longer.
func (s *Store) insertLocked(l *list.List, session *Session) *list.Element {
	for e := l.Back(); e != nil; e = e.Prev() {
		if e.Value.(*Session).since <= session.since {
			return l.InsertAfter(session, e)
		}
	}
	return l.PushFront(session)
}

// arrived notes that a session which has just become absent here has been so for some time elsewhere, and that it was handed
// over something. It is called with the log's lock held.
func (s *Store) arrived(session *Session, away time.Duration) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	session.since = now - int64(min(max(away, 0), s.config.Window))
	s.absent.Remove(session.place)
	session.account.absent.Remove(session.ofPayer)
	session.place = s.insertLocked(&s.absent, session)
	session.ofPayer = s.insertLocked(&session.account.absent, session)
	if len(session.past.entries) > 0 {
		s.queue = append(s.queue, record{log: session.log, session: session, at: now})
	}
	s.armLocked(now)
}

// keys sign offsets.
type keys struct {
	present Key
	former  Key // of this process, until it learnt that of the cluster
}

// SetKey has offsets signed with the key of the cluster from now on. Those signed before are known to this process still.
func (s *Store) SetKey(k Key) {
	for {
		have := s.keys.Load()
		if have.present == k || s.keys.CompareAndSwap(have, &keys{present: k, former: have.former}) {
			return
		}
	}
}

func (s *Store) offset(log logID, place uint64) string {
	if s.config.Stream && place > 1 {
		return idOf(place)
	}
	return s.keys.Load().present.offset(log, place)
}

// parse reads what a client names as the last offset it received.
func (s *Store) parse(own logID, text string) named {
	if s.config.Stream {
		if place, ok := placeOf(text); ok {
			return named{origin: fromHere, log: own, place: place}
		}
	}
	k := s.keys.Load()
	n := k.present.parse(own, text)
	if n.origin == fromStranger || n.origin == fromElsewhere && n.log == (logID{}) {
		if former := k.former.parse(own, text); former.origin == fromHere {
			return former
		}
	}
	return n
}

// Held is how many bytes count towards Config.Bytes.
func (s *Store) Held() int64 { return s.bytes.Load() }

// Absent is how many sessions wait for their clients.
func (s *Store) Absent() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.absent.Len()
}

// shrink drops the oldest until no more is held than may be.
func (s *Store) shrink() {
	for s.over() && s.dropOldest(s.now()+1, s.now()+1) {
	}
}

// dropOldest drops the older of the oldest event and the session that is away longest, if it is older than it may be. It
// reports whether there was one.
func (s *Store) dropOldest(eventsBefore, sessionsBefore int64) bool {
	s.mu.Lock()
	var session *Session
	if first := s.absent.Front(); first != nil {
		if first := first.Value.(*Session); first.since < sessionsBefore {
			session = first
		}
	}
	if s.head < len(s.queue) {
		if r := s.queue[s.head]; r.at < eventsBefore && (session == nil || r.at <= session.since) {
			s.popLocked()
			s.mu.Unlock()
			if r.session != nil {
				r.session.dropPast()
			} else {
				r.log.dropThrough(r.place)
			}
			return true
		}
	}
	s.mu.Unlock()
	if session == nil {
		return false
	}
	session.End()
	return true
}

func (s *Store) popLocked() {
	s.queue[s.head] = record{}
	s.head++
	switch {
	case s.head == len(s.queue):
		s.queue, s.head = nil, 0
	case s.head > len(s.queue)/2:
		s.queue = append(make([]record, 0, len(s.queue)-s.head), s.queue[s.head:]...)
		s.head = 0
	}
}

// armLocked sets the timer, unless it fires early enough. It comes a little late, so that it drops many at a time.
func (s *Store) armLocked(now int64) {
	due := int64(0)
	if s.head < len(s.queue) {
		due = s.queue[s.head].at + int64(s.config.Window+s.config.Lag)
	}
	if first := s.absent.Front(); first != nil {
		if at := first.Value.(*Session).since + int64(s.config.Window); due == 0 || at < due {
			due = at
		}
	}
	if due == 0 || s.closed {
		return
	}
	due += int64(min(s.config.Window/16, time.Second))
	if s.fires != 0 && s.fires <= due {
		return
	}
	s.fires = due
	wait := time.Duration(due - now)
	if s.timer == nil {
		s.timer = time.AfterFunc(wait, s.expire)
	} else {
		s.timer.Reset(wait)
	}
}

// expire drops what is too old.
func (s *Store) expire() {
	now := s.now()
	for s.dropOldest(now-int64(s.config.Window+s.config.Lag)+1, now-int64(s.config.Window)+1) {
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fires = 0
	s.armLocked(now)
}

// Close ends all absent sessions, and waits until each Absent.Over has returned. Sessions that are lost later end at once.
func (s *Store) Close() {
	s.mu.Lock()
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
	var all []*Session
	for e := s.absent.Front(); e != nil; e = e.Next() {
		all = append(all, e.Value.(*Session))
	}
	s.mu.Unlock()
	for _, session := range all {
		session.End()
	}
	s.running.Wait()
}
