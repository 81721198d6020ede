package redisstream

import (
	"strconv"
	"strings"

	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisconn"
)

// First is the position before all entries.
const First = "0-0"

// begun is the own id of the entry that an empty stream is given to begin with. It has no namespace, so that all readers pass over
// it.
const begun = "begun"

// end is the id of the last entry. It appends one to an empty stream first and reports that as began: from the position before
// all entries a reader could not find out whether entries have been trimmed. Where Redis refuses to append, the end is First.
func end(c *redisconn.Conn, name string) (last string, began bool, err error) {
	last, err = edge(c, "XREVRANGE", name, "+", "-")
	if err != nil || last != First {
		return last, false, err
	}
	b := redisconn.AppendCommand(nil, "XADD", 5)
	for _, word := range []string{name, "*", own, begun} {
		b = redisconn.AppendWord(b, word)
	}
	err = c.Ask(b, func() error {
		id, err := c.First()
		if err == nil {
			last, began = id, true
		} else if redisconn.IsReply(err) {
			err = nil
		}
		return err
	})
	return last, began, err
}

// edge is the id of the first entry from one id to another; First for none.
func edge(c *redisconn.Conn, verb, name, from, to string) (id string, err error) {
	id = First
	err = c.Ask(rangeCommand(nil, verb, name, from, to, 1), func() error {
		return c.Range(nil, func(e redisconn.Entry) { id = e.ID })
	})
	return id, err
}

// rangeCommand appends XRANGE or XREVRANGE.
func rangeCommand(b []byte, verb, name, from, to string, count int) []byte {
	b = redisconn.AppendCommand(b, verb, 6)
	for _, word := range []string{name, from, to, "COUNT", strconv.Itoa(count)} {
		b = redisconn.AppendWord(b, word)
	}
	return b
}

// largeEntry is from how many bytes on an entry is not sent once more only to see whether it is there. A script costs Redis ten
// times as much as XREVRANGE, and returns the id alone.
const largeEntry = 4 << 10

const floorScript = `local e = redis.call('XREVRANGE', KEYS[1], ARGV[1], '-', 'COUNT', 1)[1] return e and e[1]`

// appendFloor asks for the newest entry up to a position that was one. It is the position itself unless entries were trimmed up to
// it or beyond, or Redis has another history by now: the stream was deleted, or a replica took over that lacks the end.
func (r *reader) appendFloor(b []byte, at place) []byte {
	if !at.large {
		return rangeCommand(b, "XREVRANGE", r.config.Name, at.id, "-", 1)
	}
	b = redisconn.AppendCommand(b, "EVAL", 5)
	for _, word := range []string{floorScript, "1", r.config.Name, at.id} {
		b = redisconn.AppendWord(b, word)
	}
	return b
}

// readFloor reads the answer to appendFloor; empty: there is no such entry.
func readFloor(c *redisconn.Conn, at place) (floor string, err error) {
	if !at.large {
		err = c.Range(nil, func(e redisconn.Entry) { floor = e.ID })
		return floor, err
	}
	if floor, err = c.First(); redisconn.IsReply(err) {
		return at.id, nil // without the right to scripts nothing is known
	}
	return floor, err
}

// position begins at the end of the stream, or finds out whether what was read last is still there.
func (r *reader) position(c *redisconn.Conn) error {
	last, began, err := end(c, r.config.Name)
	if err != nil {
		return err
	}
	switch {
	case r.at.id == "", began && r.at.id == First:
		r.moveTo(last)
	case Before(last, r.at.id):
		// What Redis appends next may have ids that were read before.
		r.hole("the stream ends before what was read from it: entries may have been lost", last)
		r.moveTo(last)
	case r.at.there:
		floor := ""
		if err := c.Ask(r.appendFloor(nil, r.at), func() (err error) {
			floor, err = readFloor(c, r.at)
			return err
		}); err != nil {
			return err
		}
		r.judge(r.at.id, floor)
		r.at.there = floor == r.at.id
	}
	return nil
}

func (r *reader) moveTo(position string) {
	r.at = place{id: position, there: position != First}
	r.begunAt.Store(&position)
	r.received.Store(&position)
	r.reached()
}

// judge counts a hole unless the newest entry up to a position that was read is the one at it.
func (r *reader) judge(at, floor string) {
	switch floor {
	case at:
	case "":
		r.hole("entries were trimmed before they were read, or up to what was read last", floor)
	default:
		r.hole("the stream lacks what was read from it: Redis has lost entries, and may have appended others", floor)
	}
}

// hole counts entries that may have been missed.
func (r *reader) hole(why, there string) {
	r.config.Metrics.Trimmed.Inc()
	r.log.Warn(why, zap.String("read", r.at.id), zap.String("there", there))
	r.config.Missed()
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
