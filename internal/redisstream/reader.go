package redisstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisconn"
)

const (
	// readCount is how many entries one XREAD returns at most.
	readCount = 100
	// block is how long an XREAD waits for an entry at most; half the connection's read timeout where that is shorter.
	block = time.Second
	// First is the position before all entries.
	First = "0-0"
)

// reader is the reading side of a stream.
type reader struct {
	*Stream

	at      string   // the last entry that was read; empty: no position yet
	fields  []string // Config.Fields, and that of the entry's own id
	command []byte
	roleAt  time.Time
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
			s.log.Warn("stream is not read", zap.Error(err))
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
	r.show(&r.reading, true)
	r.finishWaits(nil)
	for {
		from := r.at
		n, err := r.receive(c)
		switch {
		case err != nil:
			return err
		case n == 0: // also where the stream was deleted, and its new entries have ids below the position
			err = r.position(c)
		case n == readCount || r.config.MaxLength <= 2*readCount:
			// Behind, or the stream is so short that a smaller batch may be all that is left of it. A longer stream that had lost
			// entries behind from would have filled the batch.
			err = r.compare(c, from)
		}
		if err != nil {
			return err
		}
	}
}

// position begins at the end of the stream, or finds out whether what was to be read next is still there.
func (r *reader) position(c *redisconn.Conn) error {
	last, err := edge(c, "XREVRANGE", r.config.Name, "+", "-")
	if err != nil {
		return err
	}
	switch {
	case r.at == "":
		r.moveTo(last)
	case Before(last, r.at):
		// Redis lost entries, as a replica that takes over does. What it appends next may have ids that were read before.
		r.moveTo(last)
		r.config.Metrics.Trimmed.Inc()
		r.log.Warn("the stream ends before what was read from it: entries may have been lost", zap.String("end", last))
	default:
		return r.compare(c, r.at)
	}
	return nil
}

func (r *reader) moveTo(position string) {
	r.at = position
	r.received.Store(&position)
}

// compare finds out whether entries behind a position were trimmed. After a read it is given the position before it: the one
// behind it says nothing of what came in between.
func (r *reader) compare(c *redisconn.Conn, from string) error {
	oldest, err := edge(c, "XRANGE", r.config.Name, "-", "+")
	if err != nil {
		return err
	}
	if from != First && Before(from, oldest) {
		r.config.Metrics.Trimmed.Inc()
		r.log.Warn("entries were trimmed before they were read", zap.String("read", from), zap.String("oldest", oldest))
	}
	return nil
}

// edge is the id of the entry at one end of the stream; First for none.
func edge(c *redisconn.Conn, verb, name, from, to string) (id string, err error) {
	b := redisconn.AppendCommand(nil, verb, 6)
	for _, word := range []string{name, from, to, "COUNT", "1"} {
		b = redisconn.AppendWord(b, word)
	}
	id = First
	err = ask(c, b, func() error { return c.Range(nil, func(e redisconn.Entry) { id = e.ID }) })
	return id, err
}

// ask sends a command and reads its answer.
func ask(c *redisconn.Conn, command []byte, answer func() error) error {
	if err := c.Write(command); err != nil {
		return err
	}
	if err := c.AwaitReply(); err != nil {
		return fmt.Errorf("redis: stream: %w", err)
	}
	if err := answer(); err != nil {
		return fmt.Errorf("redis: stream: %w", err)
	}
	return nil
}

// receive reads one batch, and once a second asks whether the server is still a master: a replica gets what its master
// appends until the two lose each other, and then nothing more.
func (r *reader) receive(c *redisconn.Conn) (n int, err error) {
	b := redisconn.AppendCommand(r.command[:0], "XREAD", 8)
	wait := strconv.FormatInt(max(min(block, c.ReadTimeout()/2).Milliseconds(), 1), 10) // 0 would be for ever
	for _, word := range []string{"COUNT", strconv.Itoa(readCount), "BLOCK", wait, "STREAMS", r.config.Name} {
		b = redisconn.AppendWord(b, word)
	}
	b = redisconn.AppendWord(b, r.at)
	role := c.TellsRole && time.Since(r.roleAt) >= time.Second
	if role {
		r.roleAt = time.Now()
		b = redisconn.AppendCommand(b, "ROLE", 1)
	}
	r.command = b
	err = ask(c, b, func() error {
		return c.Read(r.fields, func(e redisconn.Entry) {
			n++
			r.at = e.ID
			r.config.Metrics.In.Inc()
			var kept any
			if serial := r.serialOf(e.Values[len(e.Values)-1]); serial > 0 {
				kept = r.kept.take(serial)
			}
			e.Values = e.Values[:len(e.Values)-1]
			r.config.Receive(e, kept)
			r.received.Store(&e.ID)
		})
	})
	if err != nil || !role {
		return n, err
	}
	switch name, err := c.First(); {
	case err != nil && !redisconn.IsReply(err):
		return n, fmt.Errorf("redis: ask for the role: %w", err)
	case err == nil && name != "master":
		return n, errors.New("redis: the server is not a master any more")
	}
	return n, nil
}

// Before compares ids of entries, two numbers with a dash between them.
func Before(a, b string) bool {
	aTime, aSerial := split(a)
	bTime, bSerial := split(b)
	return aTime < bTime || aTime == bTime && aSerial < bSerial
}

func split(id string) (milliseconds, serial uint64) {
	left, right, _ := strings.Cut(id, "-")
	milliseconds, _ = strconv.ParseUint(left, 10, 64) // Redis wrote it
	serial, _ = strconv.ParseUint(right, 10, 64)
	return milliseconds, serial
}
