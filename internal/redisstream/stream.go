package redisstream

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/internal/redisqueue"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// Config is what a stream is made of. All fields are required.
type Config struct {
	Name   string
	Node   string           // begins the ids of what it appends; unique in the cluster
	Source redisconn.Source // leads to the master of Name
	// MaxLength is how many entries the stream keeps, roughly: what is older is trimmed with each append.
	MaxLength int
	Queue     redisqueue.Limits // of what waits for Redis
	// MaxValue is the longest value that is read, in bytes. An entry with a longer one is received with Cut set.
	MaxValue int
	Fields   []string // whose values are read
	// Receive acts on an entry. It is called by one goroutine, in the stream's order. kept is what Append was given with an
	// entry of this node; nil where there is none, or it was forgotten.
	Receive func(e redisconn.Entry, kept any)
	// Missed is called by the goroutine of Receive when entries may have been missed since it was called last.
	Missed   func()
	Logger   *zap.Logger
	Refusals *redisconn.Refusals
	Metrics  Metrics
	// Changed is called without locks when [Stream.Connected] has changed. It must not block.
	Changed func()
}

// Metrics are what the streams of a node show together.
type Metrics struct {
	Queue    redisqueue.Metrics
	In, Out  prometheus.Counter // entries
	Reopened prometheus.Counter // connections of readers after the first
	Trimmed  prometheus.Counter // times that entries were trimmed before they were read
}

// Why an entry was not appended, beside the reasons of the queue.
const (
	Unknown redisqueue.Drop = "unknown"
	Refused redisqueue.Drop = "refused"
)

// What a [redisconn.Refusals] calls the commands that Redis refuses for lack of rights.
const (
	RefusedLogin  = "login"
	RefusedRead   = "stream_read"
	RefusedAppend = "stream_append"
)

// own is the field with the id by which an entry is found again. Other readers of the stream ignore it.
const own = "id"

// Stream is one stream of a node.
type Stream struct {
	// Static after construction.
	config *Config
	log    *zap.Logger
	queue  *redisqueue.Queue
	kept   kept

	writing atomic.Bool // there is a connection to append on
	reading atomic.Bool // and one to read from

	reachedAt atomic.Int64 // when the reader was at the end of the stream, Unix nanoseconds; 0: not yet

	begunAt  atomic.Pointer[string] // the last entry that Receive was called for, or the position to begin at; nil: none yet
	received atomic.Pointer[string] // the last entry that Receive has returned from, likewise

	mu sync.Mutex
	// mu guards the following.
	positioned bool
	ended      bool
	waits      map[*wait]struct{} // for the position
}

// New makes a stream; Run starts it.
func New(cfg *Config) *Stream {
	return &Stream{
		config: cfg, log: cfg.Logger.With(zap.String("stream", cfg.Name)), queue: redisqueue.New(cfg.Queue, cfg.Metrics.Queue),
		kept: kept{limit: cfg.Queue.Bytes},
	}
}

// Run serves until ctx ends, and then appends for at most a second what still waits.
func (s *Stream) Run(ctx context.Context) {
	var group sync.WaitGroup
	group.Go(func() { s.read(ctx) })
	group.Go(func() { s.write(ctx) })
	group.Wait()
	s.queue.Close()
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.finishWaits(adapter.ErrAway)
}

// Append queues an entry: names and values of its fields in turn. done, which may be nil, is called once with the outcome: nil
// once Redis has it, else ErrFull, ErrAway or ErrUnknown. keep, unless it is nil, is handed to Config.Receive with the entry when
// that is read back, so that it need not be decoded. It never waits.
func (s *Stream) Append(done func(error), keep any, fields ...[]byte) {
	size := len(s.config.Name) + len(s.config.Node) + 160
	for _, f := range fields {
		size += len(f) + 16
	}
	var lost redisqueue.Losses
	s.kept.add(keep, size, func(serial uint64) {
		id := s.config.Node + "-" + strconv.FormatUint(serial, 36)
		lost = s.queue.Push(redisqueue.Message{Channel: id, Payload: s.command(id, size, fields), Done: done})
	})
	lost.Finish()
}

// command is the XADD of an entry.
func (s *Stream) command(id string, size int, fields [][]byte) []byte {
	b := redisconn.AppendCommand(make([]byte, 0, size), "XADD", 8+len(fields))
	b = redisconn.AppendWord(b, s.config.Name)
	b = redisconn.AppendWord(redisconn.AppendWord(b, "MAXLEN"), "~")
	b = redisconn.AppendWord(redisconn.AppendWord(b, strconv.Itoa(s.config.MaxLength)), "*")
	for _, f := range fields {
		b = redisconn.AppendWord(b, f)
	}
	return redisconn.AppendWord(redisconn.AppendWord(b, own), id)
}

// Received is the last entry that has been received, or the position at which receiving begins; empty: there is none yet. The
// one behind it may be under way.
func (s *Stream) Received() string { return textOf(&s.received) }

// Begun is Received, or the entry behind it if that is under way.
func (s *Stream) Begun() string { return textOf(&s.begunAt) }

func textOf(at *atomic.Pointer[string]) string {
	if at := at.Load(); at != nil {
		return *at
	}
	return ""
}

// reached notes that the reader is at the end of the stream.
func (s *Stream) reached() { s.reachedAt.Store(time.Now().UnixNano()) }

// Lag is how long ago the reader was at the end of the stream, whatever keeps it: about a second at most unless it is behind or
// has no connection. 0: it has no position yet.
func (s *Stream) Lag() time.Duration {
	at := s.reachedAt.Load()
	if at == 0 {
		return 0
	}
	return time.Since(time.Unix(0, at))
}

// Name is that of the stream in Redis.
func (s *Stream) Name() string { return s.config.Name }

// Connected reports whether there is a connection to append on.
func (s *Stream) Connected() bool { return s.writing.Load() }

// Deaf reports whether entries can be appended and not read.
func (s *Stream) Deaf() bool { return s.Positioned() && s.writing.Load() && !s.reading.Load() }

// Positioned reports whether the reader has a position: everything appended from then on is received.
func (s *Stream) Positioned() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.positioned
}

// mostWaits is how many may wait for a position at the same time, as while Redis is away.
const mostWaits = 1 << 16

// wait is for a position.
type wait struct {
	done  func(error)
	timer *time.Timer
}

// WhenPositioned calls done once, when the reader has a position, or with ErrAway after a time without one; at once where
// too many wait already.
func (s *Stream) WhenPositioned(limit time.Duration, done func(error)) {
	s.mu.Lock()
	switch {
	case s.ended || !s.positioned && len(s.waits) >= mostWaits:
		s.mu.Unlock()
		done(adapter.ErrAway)
		return
	case s.positioned:
		s.mu.Unlock()
		done(nil)
		return
	}
	defer s.mu.Unlock()
	w := &wait{done: done}
	if s.waits == nil {
		s.waits = make(map[*wait]struct{})
	}
	s.waits[w] = struct{}{}
	w.timer = time.AfterFunc(limit, func() { s.expire(w) })
}

// expire ends a wait that took too long.
func (s *Stream) expire(w *wait) {
	s.mu.Lock()
	_, waits := s.waits[w]
	delete(s.waits, w)
	s.mu.Unlock()
	if waits {
		w.done(adapter.ErrAway)
	}
}

// finishWaits ends the waits for a position.
func (s *Stream) finishWaits(err error) {
	s.mu.Lock()
	waits := s.waits
	s.waits, s.positioned = nil, s.positioned || err == nil
	s.mu.Unlock()
	for w := range waits {
		w.timer.Stop()
		w.done(err)
	}
}

// trouble is whether attempts have failed since the last that succeeded: only the first of them is worth a warning.
type trouble bool

func (t *trouble) warn(log *zap.Logger, what string, err error) {
	level := zap.WarnLevel
	if *t {
		level = zap.DebugLevel
	}
	*t = true
	log.Log(level, what, zap.Error(err))
}

// show makes a state of the connections known.
func (s *Stream) show(which *atomic.Bool, is bool) {
	if which.Swap(is) != is {
		s.config.Changed()
	}
}
