package redisserver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// link is one connection out. A goroutine of its own always reads, so that the end of an idle connection is noticed before
// anything is sent into the void.
type link struct {
	conn    *redisconn.Conn
	since   time.Time
	stop    func() bool
	reading chan *answers // to be read next
	read    chan struct{} // they have been
	over    chan struct{} // closed at the end; err is set then
	err     error
}

// answers are what Redis answers to a batch, and to a question for its role behind it.
type answers struct {
	results []result
	errors  bool   // there are error replies among them
	role    string // empty: it was not told
}

// result is what Redis answered to one message.
type result struct {
	receivers int64
	err       error
	again     bool // it goes back into the queue
}

// expect makes room for the answers to n messages. Until one has come, its outcome is unknown.
func (a *answers) expect(n int) {
	a.results, a.errors, a.role = a.results[:0], false, ""
	for range n {
		a.results = append(a.results, result{err: adapter.ErrUnknown})
	}
}

func (a *answers) readFrom(c *redisconn.Conn) (err error) {
	for i := range a.results {
		n, err := c.Result()
		if err != nil && !redisconn.IsReply(err) {
			return fmt.Errorf("redis: publish: %w", err)
		}
		a.results[i] = result{receivers: n, err: err}
		a.errors = a.errors || err != nil
	}
	if c.TellsRole {
		if a.role, err = c.First(); err != nil && !redisconn.IsReply(err) {
			return fmt.Errorf("redis: ask for the role: %w", err)
		}
	}
	return c.Idle()
}

// demoted reports whether the server is not a master any more. When it was demoted is not known, nor what became of the
// messages that it accepted before it said so.
func (a *answers) demoted() bool {
	if a.role == "" || a.role == "master" {
		return false
	}
	for i := range a.results {
		if a.results[i].err == nil {
			a.results[i] = result{err: adapter.ErrUnknown}
		}
	}
	return true
}

func newLink(ctx context.Context, c *redisconn.Conn) *link {
	l := &link{
		conn: c, since: time.Now(), stop: context.AfterFunc(ctx, c.Close),
		reading: make(chan *answers, 1), read: make(chan struct{}), over: make(chan struct{}),
	}
	go l.receive()
	return l
}

// exchange writes commands and waits for their answers; false means that the connection is over, and that the answers are
// those that came.
func (l *link) exchange(commands []byte, a *answers) bool {
	l.reading <- a
	if err := l.conn.AwaitReply(); err == nil {
		if err := l.conn.Write(commands); err != nil {
			l.conn.Close()
		}
	}
	select {
	case <-l.read:
		return true
	case <-l.over:
		return false
	}
}

func (l *link) receive() {
	defer close(l.over)
	defer l.conn.Close()
	for {
		if l.err = l.conn.Wait(); l.err != nil {
			return
		}
		select {
		case a := <-l.reading:
			if l.err = a.readFrom(l.conn); l.err != nil {
				return
			}
			l.read <- struct{}{}
		default:
			l.err = errors.New("redis: an answer to no question")
			return
		}
	}
}

func (l *link) close() {
	l.stop()
	l.conn.Close()
	<-l.over
}
