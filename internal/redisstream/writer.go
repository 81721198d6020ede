package redisstream

import (
	"context"
	"errors"
	"time"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/internal/redisqueue"
	"github.com/carillon-io/carillon/pkg/adapter"
)

const (
	// appendBatch and appendBytes bound what is on its way at once.
	appendBatch = 1024
	appendBytes = 1 << 20
	// flushTime is how long entries may still leave after the adapter was told to end.
	flushTime = time.Second
	// lookBatch is how many entries are looked at in one go for those whose fate is not known.
	lookBatch = 500
	// idBytes is more than an id of ours has. A longer value of that field was written by another program and is read over.
	idBytes = 4 << 10
)

var errEnded = errors.New("redis: the server has ended the connection")

// writer is the writing side of a stream.
type writer struct {
	*Stream

	batch []redisqueue.Message
	sent  int // of the batch, those that Redis has answered
	// doubt is what was sent and not answered when the last connection ended, since when, and the last entry before it.
	doubt  []redisqueue.Message
	since  time.Time
	after  string
	buffer []byte

	trouble trouble
}

// write appends what is queued until ctx ends, and then for at most flushTime what still waits.
func (s *Stream) write(ctx context.Context) {
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(flushTime, cancel) })()
	w := &writer{Stream: s}
	dialer := redisconn.Dialer{Source: s.config.Source, Name: "carillon:" + s.config.Node + ":stream-out"}
	var wait redisconn.Backoff
	for ctx.Err() == nil {
		c, err := dialer.Dial(ctx)
		if err == nil {
			began := time.Now()
			err = w.serve(ctx, hard, c)
			s.show(&s.writing, false)
			if time.Since(began) > time.Second {
				wait.Reset()
			}
		}
		if ctx.Err() == nil && !s.config.Refusals.Refused(RefusedLogin, err) {
			w.trouble.warn(s.log, "stream cannot be written", err)
		}
		if len(w.doubt) > 0 && (ctx.Err() != nil || time.Since(w.since) > s.config.Queue.Age) {
			w.giveUp()
		}
		wait.Sleep(ctx)
	}
	w.giveUp()
}

// giveUp leaves the fate of what is in doubt unknown.
func (w *writer) giveUp() {
	for i := range w.doubt {
		w.config.Metrics.Queue.Dropped(Unknown)
		w.doubt[i].Finish(0, adapter.ErrUnknown)
	}
	w.doubt = nil
	w.queue.Settle(nil).Finish()
}

// serve appends on one connection to its end; nil at the end of ctx.
func (w *writer) serve(ctx, hard context.Context, c *redisconn.Conn) error {
	defer context.AfterFunc(hard, c.Close)()
	defer c.Close()
	if err := w.clear(c); err != nil {
		return err
	}
	w.config.Refusals.Granted(RefusedLogin)
	w.trouble = false
	w.show(&w.writing, true)
	for {
		more, err := w.append(c)
		if err != nil {
			return err
		}
		if more {
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		// The role is asked while nothing is appended, so that the end of an idle connection is noticed.
		idle := time.NewTimer(time.Second)
		select {
		case <-w.queue.Ready():
		case <-ctx.Done():
		case <-idle.C:
			if err := w.askRole(c); err != nil {
				return err
			}
		}
		idle.Stop()
	}
}

func (w *writer) askRole(c *redisconn.Conn) error {
	if !c.TellsRole {
		return c.Ask(redisconn.AppendCommand(nil, "PING", 1), func() error { _, err := c.First(); return err })
	}
	return c.Ask(redisconn.AppendCommand(nil, "ROLE", 1), func() error {
		name, err := c.First()
		if err == nil && name != "master" {
			err = redisconn.ErrReplica
		}
		return err
	})
}

// clear finds out what became of the entries in doubt: those that are in the stream were appended, the others are appended now,
// before anything else.
func (w *writer) clear(c *redisconn.Conn) error {
	if len(w.doubt) == 0 {
		last, _, err := end(c, w.config.Name)
		w.after = last
		return err
	}
	found := make(map[string]bool, len(w.doubt)) // false: not yet
	for i := range w.doubt {
		found[w.doubt[i].Channel] = false
	}
	c.MaxPayload = idBytes
	from := w.after
	for {
		n := 0
		err := c.Ask(rangeCommand(nil, "XRANGE", w.config.Name, "("+from, "+", lookBatch), func() error {
			return c.Range([]string{own}, func(e redisconn.Entry) {
				n++
				from = e.ID
				if _, ours := found[string(e.Values[0])]; ours {
					found[string(e.Values[0])] = true
				}
			})
		})
		if err != nil {
			return err
		}
		if n < lookBatch {
			break
		}
	}
	floor, err := edge(c, "XREVRANGE", w.config.Name, w.after, "-")
	if err != nil {
		return err
	}
	var again []redisqueue.Message
	for i := range w.doubt {
		switch m := &w.doubt[i]; {
		case found[m.Channel]:
			w.appended(m)
		case floor != w.after: // it may have been there: entries behind were trimmed, or Redis has another history by now
			w.config.Metrics.Queue.Dropped(Unknown)
			m.Finish(0, adapter.ErrUnknown)
		default:
			again = append(again, *m)
		}
	}
	w.doubt, w.after = nil, from
	w.queue.Settle(again).Finish()
	return nil
}

func (w *writer) appended(m *redisqueue.Message) {
	w.config.Refusals.Granted(RefusedAppend)
	w.config.Metrics.Out.Inc()
	m.Finish(0, nil)
}

// append sends one batch and reads the answers; more reports whether there was one. An error ends the connection.
func (w *writer) append(c *redisconn.Conn) (more bool, err error) {
	if c.Ended() {
		return false, errEnded
	}
	w.batch = w.queue.Take(w.batch[:0], appendBatch, appendBytes)
	if len(w.batch) == 0 {
		return false, nil
	}
	b := w.buffer[:0]
	for i := range w.batch {
		b = append(b, w.batch[i].Payload...)
	}
	if w.buffer = b; cap(b) > 2*appendBytes {
		w.buffer = nil // one large entry
	}
	w.sent = 0
	var answers answers
	err = c.Ask(b, func() error { return w.answers(c, &answers) })
	if err == nil {
		err = w.settle(&answers)
		clear(w.batch)
		return true, err
	}
	w.doubt, w.since = append(answers.again, w.batch[w.sent:]...), time.Now()
	w.batch = nil // the queue keeps it until the outcome is known
	return true, err
}

// answers are what Redis says to a batch.
type answers struct {
	again []redisqueue.Message // refused for now, and none behind them was taken
	why   error                // that Redis refuses for now, or that another server has the stream
}

func (w *writer) answers(c *redisconn.Conn, a *answers) error {
	for i := range w.batch {
		m := &w.batch[i]
		id, err := c.First()
		var refused redisconn.Error
		switch {
		case err == nil:
			w.after = id
			w.appended(m)
			w.lose(a.again) // they would come out of order
			a.again = nil
		case !errors.As(err, &refused):
			return err
		case w.later(err):
			a.again, a.why = append(a.again, *m), err
		default:
			w.config.Refusals.Refused(RefusedAppend, err)
			w.lose([]redisqueue.Message{*m})
		}
		w.sent = i + 1
	}
	return nil
}

// later reports whether another attempt may succeed: Redis is busy or takes no writes for now, or the stream is elsewhere or on its
// way there.
func (w *writer) later(err error) bool {
	_, _, moved := redisconn.MovedTo(err, "")
	return moved || redisconn.Asks(err) || redisconn.NotNow(err) || redisconn.NoWrites(err) || redisconn.ReadOnly(err)
}

func (w *writer) lose(messages []redisqueue.Message) {
	for i := range messages {
		w.config.Metrics.Queue.Dropped(Refused)
		messages[i].Finish(0, adapter.ErrAway)
	}
}

// settle puts back what Redis refused for now; its reason then ends the connection, and the next one follows after a pause.
func (w *writer) settle(a *answers) error {
	w.queue.Settle(a.again).Finish()
	return a.why
}
