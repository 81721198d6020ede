package redisconn

import (
	"errors"
	"fmt"
)

// Entry is an entry of a stream.
type Entry struct {
	ID string
	// Values are those of the fields that were asked for, nil of one that is not there or is longer than MaxPayload. They are
	// the caller's.
	Values [][]byte
	Cut    bool // a value is longer than MaxPayload
}

// Read reads the reply to an XREAD of one stream and calls each for its entries, one after the other, so that no more than one
// is held; none came in time when there was no entry. An error reply is returned as an Error once it has been read; any other
// err ends the connection.
func (r *Reader) Read(fields []string, each func(Entry)) error {
	kind, n, text, err := r.header()
	switch {
	case err != nil:
		return err
	case kind == '-':
		return Error(text)
	case kind != '*':
		return r.unexpected(kind, n)
	case n <= 0:
		return nil
	}
	// A stream is its name and its entries.
	if kind, m, _, err := r.header(); err != nil || kind != '*' || m != 2 || n != 1 {
		return r.malformed(err)
	}
	if err := r.skip(1, 0); err != nil {
		return err
	}
	return r.Range(fields, each)
}

// Range reads the reply to an XRANGE or XREVRANGE as Read does that to an XREAD.
func (r *Reader) Range(fields []string, each func(Entry)) error {
	kind, n, text, err := r.header()
	switch {
	case err != nil:
		return err
	case kind == '-':
		return Error(text)
	case kind != '*':
		return r.unexpected(kind, n)
	}
	for range n {
		e, err := r.entry(fields)
		if err != nil {
			return err
		}
		each(e)
	}
	return nil
}

func (r *Reader) entry(fields []string) (e Entry, err error) {
	if kind, n, _, err := r.header(); err != nil || kind != '*' || n != 2 {
		return e, r.malformed(err)
	}
	r.names = r.names[:0]
	id, err := r.name()
	if err != nil {
		return e, err
	}
	e.ID, e.Values = string(id), make([][]byte, len(fields))
	kind, n, _, err := r.header()
	if err != nil || kind != '*' { // no fields: the entry has been deleted meanwhile
		return e, r.malformed(err)
	}
	for range n / 2 {
		r.names = r.names[:0]
		name, err := r.name()
		if err != nil {
			return e, err
		}
		if i := indexOf(fields, name); i >= 0 {
			value, size, err := r.payload()
			if err != nil {
				return e, err
			}
			e.Values[i], e.Cut = value, e.Cut || size > 0 && value == nil
		} else if err := r.skip(1, 0); err != nil {
			return e, err
		}
	}
	return e, nil
}

func indexOf(fields []string, name []byte) int {
	for i, f := range fields {
		if f == string(name) {
			return i
		}
	}
	return -1
}

func (r *Reader) unexpected(kind byte, n int64) error {
	return errors.Join(fmt.Errorf("%w: a %q instead of a list", errProtocol, kind), r.skipBody(kind, n, 0))
}

func (r *Reader) malformed(err error) error {
	if err == nil {
		err = fmt.Errorf("%w: not the entries of a stream", errProtocol)
	}
	return err
}
