package redis

import (
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// division is an answer of this node as the messages that carry it. One message of tens of megabytes would
// make Redis disconnect every node that listens for it, so a long list is divided.
type division struct {
	limit  int
	encode func(adapter.Reply, rediswire.Extent) ([]byte, error)

	messages [][]byte
	cut      bool // something did not fit even alone
}

// answer encodes a reply for the node that asked: in one message, or in several when that node is of our kind. Node's
// servers count messages as answers, so theirs is cut. encode appends nothing but the message that it is asked for.
func (a *inbox) answer(
	asker string, reply adapter.Reply, encode func(adapter.Reply, rediswire.Extent) ([]byte, error),
) ([][]byte, error) {
	whole, err := encode(reply, rediswire.Extent{})
	n := lengthOf(reply)
	if err != nil || len(whole) <= a.config.MaxMessage || n == 0 {
		return [][]byte{whole}, err
	}
	out := division{limit: a.config.MaxMessage, encode: encode}
	if a.peers.Known(asker) {
		err = out.divide(reply)
	} else {
		err = out.cutTo(reply, len(whole))
	}
	if out.cut {
		a.metrics.publishDropped[dropTrimmed].Inc()
		a.log.Warn("answer cut at the longest message", zap.String("asker", asker), zap.Int("entries", n),
			zap.Int("bytes", len(whole)))
	}
	return out.messages, err
}

// divide makes parts of a list and a last one, which is empty and tells their number: an answer of which a part was lost
// is never taken for a whole one.
func (d *division) divide(list adapter.Reply) error {
	if err := d.add(list); err != nil {
		return err
	}
	last, err := d.encode(slice(list, 0, 0), rediswire.Extent{Parts: len(d.messages), Cut: d.cut})
	d.messages = append(d.messages, last)
	return err
}

// add halves the list until each part fits.
func (d *division) add(list adapter.Reply) error {
	part, err := d.encode(list, rediswire.Extent{More: true})
	if err != nil {
		return err
	}
	n := lengthOf(list)
	switch {
	case len(part) <= d.limit:
		d.messages = append(d.messages, part)
	case n <= 1:
		d.cut = true
	default:
		if err := d.add(slice(list, 0, n/2)); err != nil {
			return err
		}
		return d.add(slice(list, n/2, n))
	}
	return nil
}

// cutTo makes one message of as much of the list as fits. size is the length of a message with all of it.
func (d *division) cutTo(list adapter.Reply, size int) error {
	d.cut = true
	for n := lengthOf(list); ; {
		n = int(int64(n) * int64(d.limit) / int64(size+size/8))
		part, err := d.encode(slice(list, 0, n), rediswire.Extent{Cut: true})
		if err != nil {
			return err
		}
		if size = len(part); size <= d.limit || n == 0 {
			d.messages = [][]byte{part}
			return nil
		}
	}
}

// lengthOf is how many entries a reply has that can be divided, else 0.
func lengthOf(reply adapter.Reply) int {
	switch list := reply.(type) {
	case adapter.Sockets:
		return len(list)
	case adapter.RoomNames:
		return len(list)
	}
	return 0
}

func slice(reply adapter.Reply, from, to int) adapter.Reply {
	switch list := reply.(type) {
	case adapter.Sockets:
		return list[from:to]
	case adapter.RoomNames:
		return list[from:to]
	}
	return reply
}

func (a *inbox) unanswerable(nsp string, err error) {
	a.log.Warn("answer cannot be encoded", zap.String("namespace", nsp), zap.Error(err))
	a.metrics.publishDropped[dropInvalid].Inc()
}
