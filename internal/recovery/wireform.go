package recovery

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// How an event travels to another node: a byte, its offset, its arguments and their attachments, each with its length before
// it. A last byte says that there are no more.
const (
	lastEvent  = 0
	plainEvent = 1
	bareEvent  = 2 // not to be compressed
)

const (
	mostAttachments    = 1 << 16
	attachmentOverhead = 24 // an empty one takes a byte on the wire, and that in memory
)

var errEvents = FailedMalformed.As(errors.New("recovery: malformed events"))

// WriteEvents writes what a session is handed over, without a copy of it in memory.
func (h *Handed) WriteEvents(w *bufio.Writer) error {
	var length [binary.MaxVarintLen64]byte
	number := func(n int) { _, _ = w.Write(length[:binary.PutUvarint(length[:], uint64(n))]) } // w keeps its first error
	data := func(b []byte) {
		number(len(b))
		_, _ = w.Write(b)
	}
	for _, e := range h.Events {
		kind := byte(plainEvent)
		if e.event.NoCompress {
			kind = bareEvent
		}
		_ = w.WriteByte(kind)
		_, _ = w.WriteString(e.offset)
		data(e.event.Args.JSON)
		number(len(e.event.Args.Attachments))
		for _, a := range e.event.Args.Attachments {
			data(a)
		}
	}
	_ = w.WriteByte(lastEvent)
	return w.Flush()
}

// ReadEvents reads what WriteEvents has written on another node. It reads no more than a log may hold.
func (l *Log) ReadEvents(h *Handed, r *bufio.Reader) error {
	left := l.store.config.Bytes
	number := func() (int, error) {
		n, err := binary.ReadUvarint(r)
		if err != nil {
			return 0, err
		}
		if n > uint64(left) {
			return 0, errEvents
		}
		return int(n), nil
	}
	data := func() ([]byte, error) {
		n, err := number()
		if err != nil {
			return nil, err
		}
		left -= int64(n)
		b := make([]byte, n)
		_, err = io.ReadFull(r, b)
		return b, err
	}
	for {
		kind, err := r.ReadByte()
		switch {
		case err != nil:
			return fmt.Errorf("recovery: read events: %w", err)
		case kind == lastEvent:
			return nil
		case kind != plainEvent && kind != bareEvent:
			return errEvents
		}
		var offset [offsetText]byte
		if _, err := io.ReadFull(r, offset[:]); err != nil {
			return fmt.Errorf("recovery: read events: %w", err)
		}
		named := l.store.parse(l.id, string(offset[:]))
		if named.origin != fromHere && (named.origin != fromElsewhere || named.log == (logID{})) {
			return errEvents // of a node with another key
		}
		args := packet.Args{}
		if args.JSON, err = data(); err != nil {
			return fmt.Errorf("recovery: read events: %w", err)
		}
		n, err := number()
		if err != nil || n > mostAttachments {
			return errEvents
		}
		for range n {
			a, err := data()
			if err != nil {
				return fmt.Errorf("recovery: read events: %w", err)
			}
			args.Attachments = append(args.Attachments, a)
		}
		e := newEntry(Event{Args: args, NoCompress: kind == bareEvent})
		if left -= entryOverhead + attachmentOverhead*int64(n); left < 0 {
			return errEvents
		}
		e.log, e.place, e.offset, e.at = named.log, named.place, string(offset[:]), l.store.now()
		h.Events = append(h.Events, e)
	}
}
