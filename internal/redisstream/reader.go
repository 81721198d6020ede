package redisstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/carillon-io/carillon/internal/redisconn"
)

const (
	// readCount is how many entries one XREAD returns at most.
	readCount = 100
	// block is how long an XREAD waits for an entry at most; half the connection's read timeout where that is shorter.
	block = time.Second
)

// place is a position in a stream.
type place struct {
	id    string // the last entry that was read, or where reading began; empty: no position yet
	there bool   // id was an entry of the stream at the last look
	large bool   // and not one to be sent again without need
}

// reader is the reading side of a stream.
type reader struct {
	*Stream

	at      place
	fields  []string // Config.Fields, and that of the entry's own id
	command []byte
	roleAt  time.Time
	trouble trouble
}

// read receives entries until ctx ends.
func (s *Stream) read(ctx context.Context) {
	r := &reader{Stream: s, fields: append(slices.Clone(s.config.Fields), own)}
	dialer := redisconn.Dialer{Source: s.config.Source, Name: "carillon:" + s.config.Node + ":stream-in", Buffer: 64 << 10}
	var wait redisconn.Backoff
	for connections := 0; ctx.Err() == nil; {
		c, err := dialer.Dial(ctx)
		if err == nil {
			if connections++; connections > 1 {
				s.config.Metrics.Reopened.Inc()
			}
			began := time.Now()
			err = r.serve(ctx, c)
			s.show(&s.reading, false)
			if time.Since(began) > time.Second {
				wait.Reset()
			}
		}
		if ctx.Err() == nil && !s.config.Refusals.Refused(RefusedRead, err) {
			r.trouble.warn(s.log, "stream is not read", err)
		}
		wait.Sleep(ctx)
	}
}

// serve reads one connection to its end.
func (r *reader) serve(ctx context.Context, c *redisconn.Conn) error {
	defer context.AfterFunc(ctx, c.Close)()
	defer c.Close()
	c.MaxPayload = r.config.MaxValue
	if err := r.position(c); err != nil {
		return err
	}
	r.config.Refusals.Granted(RefusedRead)
	r.trouble = false
	r.show(&r.reading, true)
	r.finishWaits(nil)
	for {
		from := r.at
		n, floor, err := r.receive(c)
		switch {
		case err != nil:
			return err
		case n == 0 && floor != from.id: // also where the stream was deleted, and its new entries have ids below the position
			err = r.position(c)
		case n > 0 && from.there:
			r.judge(from.id, floor)
		}
		if err != nil {
			return err
		}
		if n < readCount {
			r.reached()
		}
	}
}

// receive reads one batch. Where the position was an entry, floor is the answer to appendFloor; else it is empty. Once a second it asks whether the server is
// still a master: a replica gets what its master appends until the two lose each other, and then nothing more.
func (r *reader) receive(c *redisconn.Conn) (n int, floor string, err error) {
	b := redisconn.AppendCommand(r.command[:0], "XREAD", 8)
	wait := strconv.FormatInt(max(min(block, c.ReadTimeout()/2).Milliseconds(), 1), 10) // 0 would be for ever
	for _, word := range []string{"COUNT", strconv.Itoa(readCount), "BLOCK", wait, "STREAMS", r.config.Name} {
		b = redisconn.AppendWord(b, word)
	}
	from := r.at
	b = redisconn.AppendWord(b, from.id)
	if from.there {
		// Behind the XREAD, so that Redis answers both in one go.
		b = r.appendFloor(b, from)
	}
	role := c.TellsRole && time.Since(r.roleAt) >= time.Second
	if role {
		r.roleAt = time.Now()
		b = redisconn.AppendCommand(b, "ROLE", 1)
	}
	r.command = b
	err = c.Ask(b, func() error {
		err := c.Read(r.fields, func(e redisconn.Entry) {
			n++
			r.take(e)
		})
		if err == nil && from.there {
			floor, err = readFloor(c, from)
		}
		if err == nil && role {
			err = r.readRole(c)
		}
		return err
	})
	return n, floor, err
}

// take hands on one entry.
func (r *reader) take(e redisconn.Entry) {
	size := 0
	for _, v := range e.Values {
		size += len(v)
	}
	r.at = place{id: e.ID, there: true, large: e.Cut || size > largeEntry}
	r.config.Metrics.In.Inc()
	id := e.Values[len(e.Values)-1]
	if string(id) != begun {
		var kept any
		if serial := r.serialOf(id); serial > 0 {
			kept = r.kept.take(serial)
		}
		e.Values = e.Values[:len(e.Values)-1]
		r.begunAt.Store(&e.ID)
		r.config.Receive(e, kept)
	}
	r.received.Store(&e.ID)
}

func (r *reader) readRole(c *redisconn.Conn) error {
	switch name, err := c.First(); {
	case err != nil && !redisconn.IsReply(err):
		return fmt.Errorf("redis: ask for the role: %w", err)
	case err == nil && name != "master":
		return errors.New("redis: the server is not a master any more")
	}
	return nil
}
