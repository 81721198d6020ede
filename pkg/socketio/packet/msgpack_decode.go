package packet

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/carillon-io/carillon/internal/msgjson"
)

var (
	errText      = fmt.Errorf("%w: text from a client of the msgpack parser", ErrMalformed)
	errNamespace = fmt.Errorf("%w: namespace is not a string", ErrMalformed)
)

// members are the values in the map that a packet is to the msgpack parser, each as it stands in the message; nil when
// there is none. Of members with the same name the last counts, and those with other names do not matter.
type members struct {
	packetType, namespace, id, data []byte
}

// msgpack takes a binary message that is a whole packet.
func (d *Decoder) msgpack(message []byte) (Packet, error) {
	m, err := readMembers(message)
	if err != nil {
		return Packet{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	var p Packet
	if err := d.msgpackHeader(&p, &m); err != nil {
		return Packet{}, err
	}
	if err := d.msgpackData(&p, m.data); err != nil {
		return Packet{}, err
	}
	return p, nil
}

func readMembers(message []byte) (m members, err error) {
	r := msgjson.NewReader(message, 0)
	n, err := r.Map()
	if err != nil {
		return m, err
	}
	for range n {
		var name []byte
		switch r.Kind() {
		case msgjson.String, msgjson.Binary:
			name, err = r.Bytes()
		default:
			err = r.Skip() // no name of a member
		}
		if err != nil {
			return m, err
		}
		value, err := r.Raw()
		if err != nil {
			return m, err
		}
		switch string(name) {
		case "type":
			m.packetType = value
		case "nsp":
			m.namespace = value
		case "id":
			m.id = value
		case "data":
			m.data = value
		}
	}
	return m, r.End()
}

// msgpackHeader sets everything but the data, apart from that of a 2.x client's Connect.
func (d *Decoder) msgpackHeader(p *Packet, m *members) error {
	t, ok := integer(m.packetType)
	if !ok || t < float64(Connect) || t > float64(ConnectError) {
		return errType
	}
	p.Type = Type(t)

	r := msgjson.NewReader(m.namespace, 0)
	if r.Kind() != msgjson.String {
		return errNamespace
	}
	name, _ := r.Bytes() // cannot fail: it is a string
	if err := d.setNamespace(p, name); err != nil {
		return err
	}

	if kindOf(m.id) == msgjson.Undefined {
		return nil
	}
	const beyond = 1 << 64
	id, ok := integer(m.id)
	switch {
	case !ok || id < 0:
		return errID
	case id >= beyond:
		return errIDRange
	}
	p.ID, p.HasID = uint64(id), true
	return nil
}

// msgpackData transcodes the data, if that is what the packet's type demands.
func (d *Decoder) msgpackData(p *Packet, data []byte) error {
	kind := kindOf(data)
	if !carries(p.Type, kind) {
		return errPayload
	}
	if kind == msgjson.Undefined || p.Type == Connect && d.NamespaceQuery {
		return nil
	}
	s := scratches.Get().(*scratch)
	defer s.release()
	if err := d.transcode(s, p.Type, data); err != nil {
		return err
	}
	if p.Type == Event && string(s.text) == "[]" {
		return nil // as text an event without a name must come without data
	}
	if err := checkPayload(p.Type, s.text); err != nil {
		return err
	}
	// A placeholder is one level deeper than the bytes it stands for, and a Buffer two.
	if _, rewrite, err := validateForeign(s.text, d.maxDepth()+2); err == nil && rewrite {
		p.Data = normalize(s.text)
	} else {
		p.Data = bytes.Clone(s.text)
	}
	if len(s.attachments) > 0 {
		p.Attachments = make([][]byte, len(s.attachments))
		for i, a := range s.attachments {
			p.Attachments[i] = append([]byte{}, a...)
		}
	}
	return nil
}

// carries reports whether data of that kind goes with the packet type.
func carries(t Type, kind msgjson.Kind) bool {
	switch t {
	case Connect:
		return kind == msgjson.Undefined || kind == msgjson.Map
	case Disconnect:
		return kind == msgjson.Undefined
	case ConnectError:
		return kind == msgjson.String || kind == msgjson.Map
	}
	return kind == msgjson.Array
}

// transcode writes data into s. Only lists have attachments: elsewhere bytes become what JSON.stringify makes of a
// Buffer, which is how the default parser of a client would have sent them.
func (d *Decoder) transcode(s *scratch, t Type, data []byte) (err error) {
	r := msgjson.NewReader(data, d.maxDepth())
	if t == Event || t == Ack {
		r.LimitAttachments(d.maxAttachments())
		s.text, s.attachments, err = r.AppendJSON(s.text, s.attachments)
	} else {
		s.text, err = r.AppendPlainJSON(s.text)
	}
	switch {
	case errors.Is(err, msgjson.ErrDepth):
		return errDepth
	case errors.Is(err, msgjson.ErrAttachments):
		return errManyAttachments
	case err != nil:
		return fmt.Errorf("%w: data: %w", ErrMalformed, err)
	}
	return nil
}

// scratch is where data is written before its size is known, so that packets, which may live long, take no more memory
// than they need.
type scratch struct {
	text        []byte
	attachments [][]byte // parts of the message
}

// maxScratch is the largest text whose memory is kept: one huge packet must not be paid for ever after.
const maxScratch = 64 << 10

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func (s *scratch) release() {
	if cap(s.text) > maxScratch {
		s.text = nil
	}
	clear(s.attachments)
	s.text, s.attachments = s.text[:0], s.attachments[:0]
	scratches.Put(s)
}

// kindOf is the kind of a member's value. One that is not there is undefined.
func kindOf(value []byte) msgjson.Kind {
	if value == nil {
		return msgjson.Undefined
	}
	r := msgjson.NewReader(value, 0)
	return r.Kind()
}

// integer reads a number without a fraction, whatever its encoding, as JavaScript holds it.
func integer(value []byte) (n float64, ok bool) {
	r := msgjson.NewReader(value, 0)
	switch r.Kind() {
	case msgjson.Uint, msgjson.Int, msgjson.Float:
		n, err := r.Number()
		return n, err == nil && n == math.Trunc(n) && !math.IsInf(n, 0)
	}
	return 0, false
}
