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
		_, _ = w.WriteString(h.offset(e))
		data(e.event.Args.JSON)
		number(len(e.event.Args.Attachments))
		for _, a := range e.event.Args.Attachments {
			data(a)
		}
	}
	_ = w.WriteByte(lastEvent)
	return w.Flush()
}

// offset is an event's as the cluster knows it: it may have got its place before this node learnt with which key others sign.
func (h *Handed) offset(e *entry) string {
	if h.log != nil && e.log == h.log.id {
		return h.log.store.offset(e.log, e.place)
	}
	return e.offset
}

// Size is the memory that the events take on the node that reads them.
func (h *Handed) Size() (size int64) {
	for _, e := range h.Events {
		size += int64(e.size)
	}
	return size
}

// ReadEvents reads what WriteEvents has written on another node, of Handed.Size there. It holds no more than that and one event
// more, and takes no memory for what has not come yet.
func (l *Log) ReadEvents(h *Handed, r *bufio.Reader, size int64) error {
	events := eventReader{r: r, left: size}
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
		args, err := events.args()
		if err != nil {
			return fmt.Errorf("recovery: read events: %w", err)
		}
		e := newEntry(Event{Args: args, NoCompress: kind == bareEvent})
		e.log, e.place, e.offset, e.at = named.log, named.place, string(offset[:]), l.store.now()
		h.Events = append(h.Events, e)
	}
}

// eventReader reads the arguments of events.
type eventReader struct {
	r    *bufio.Reader
	left int64 // that the events to come may take
}

func (e *eventReader) args() (args packet.Args, err error) {
	if e.left -= entryOverhead; e.left < 0 {
		return args, errEvents
	}
	if args.JSON, err = e.data(); err != nil {
		return args, err
	}
	n, err := e.number()
	if err != nil {
		return args, err
	}
	if e.left -= attachmentOverhead * int64(n); n > mostAttachments || e.left < 0 {
		return args, errEvents
	}
	for range n {
		a, err := e.data()
		if err != nil {
			return args, err
		}
		args.Attachments = append(args.Attachments, a)
	}
	return args, nil
}

// number reads a number that is no more than what is left.
func (e *eventReader) number() (int, error) {
	n, err := binary.ReadUvarint(e.r)
	if err != nil {
		return 0, err
	}
	if n > uint64(e.left) {
		return 0, errEvents
	}
	return int(n), nil
}

// wholeData is up to which length memory is taken before the data has come.
const wholeData = 4 << 10

func (e *eventReader) data() ([]byte, error) {
	n, err := e.number()
	if err != nil {
		return nil, err
	}
	e.left -= int64(n)
	if n <= wholeData {
		b := make([]byte, n)
		_, err = io.ReadFull(e.r, b)
		return b, err
	}
	b, err := io.ReadAll(io.LimitReader(e.r, int64(n)))
	if err == nil && len(b) < n {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}
