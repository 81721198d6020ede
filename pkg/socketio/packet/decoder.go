package packet

import (
	"bytes"
	"errors"
	"fmt"
)

// The two kinds of error a Decoder returns. Both mean that the connection has to be closed; the text says why.
var (
	// ErrMalformed: the protocol does not allow this message here.
	ErrMalformed = errors.New("packet: malformed")
	// ErrLimit: the message may be right, but passes a limit.
	ErrLimit = errors.New("packet: over the limit")
)

var (
	errTextDuringAttachments = fmt.Errorf("%w: text while attachments are due", ErrMalformed)
	errUnexpectedBinary      = fmt.Errorf("%w: binary while no attachment is due", ErrMalformed)
	errPayload               = fmt.Errorf("%w: payload does not fit the packet type", ErrMalformed)
	errJSON                  = fmt.Errorf("%w: invalid JSON", ErrMalformed)
	errReserved              = fmt.Errorf("%w: reserved event name", ErrMalformed)
	errPlaceholder           = fmt.Errorf("%w: placeholder without its attachment", ErrMalformed)
	errDepth                 = fmt.Errorf("%w: JSON too deep", ErrLimit)
)

// Limits that a Decoder applies where its fields say nothing.
const (
	DefaultMaxAttachments = 10
	DefaultMaxDepth       = 128
)

// MaxNamespace is the longest namespace a Decoder accepts, in bytes, the query of a 2.x client included.
const MaxNamespace = 8 << 10

// Decoder assembles packets from the messages of one connection. The zero value is ready to use. It must not be used
// concurrently. After an error the connection has to be closed; the decoder has let go of what it held.
//
// It accepts and refuses what the official parser does, with these exceptions, all refusals: empty text, text that is
// not UTF-8, an ack id that no 64-bit integer holds, a placeholder whose number has a fraction (the official parser reads
// undefined), and what passes MaxDepth or MaxNamespace. As there, a bad placeholder shows with the last attachment.
//
// Of the msgpack parser too it accepts nothing that the official one refuses. What it takes has to be fit for clients
// of the default parser, to whom it may be relayed; so it also refuses
//   - an event with a reserved name, or with a first element that is no string or number; an empty list is taken,
//   - more than MaxAttachments binary values in an event or ack,
//   - next to a binary value, a map whose member _placeholder is true,
//   - a namespace that is not UTF-8,
//   - an ack id that is negative or too large for 64 bits,
//   - a map with lists, maps, dates or extensions for names, in the data,
//   - an extension in the place of the list,
//   - and what passes MaxDepth or MaxNamespace.
//
// It reads values as JSON.stringify would write those of the official parser, but timestamps of MessagePack (extension
// -1) are dates, integers keep all their 64 bits, each byte that is not UTF-8 becomes U+FFFD, and a member given twice,
// the second time as undefined, is kept. Outside of events and acks, where there are no attachments, bytes become
// {"type":"Buffer","data":[…]}.
type Decoder struct {
	MaxAttachments int // per packet; 0: DefaultMaxAttachments
	MaxDepth       int // of arrays and objects in each other; 0: DefaultMaxDepth

	// NamespaceQuery is for 2.x clients (Engine.IO revision 3), which put a query behind the namespace. It is taken off
	// every packet's namespace, and a Connect packet's Data becomes the query as an object of strings.
	NamespaceQuery bool

	// Parser is the parser that the client uses. The decoder replaces AutoParser when the first message comes: from then
	// on the field says what to answer with.
	Parser Parser

	namespace string   // the last one seen, to make each only once
	pending   *pending // the packet whose attachments are due; else nil
}

// pending is a packet that waits for attachments.
type pending struct {
	packet Packet
	due    int   // attachments still to come
	bad    error // what is wrong with its placeholders, to be returned with the last attachment; there is no Data then
}

// Text takes a text message. It returns a packet and true when that completes one, and false when attachments must
// follow. The packet owns its memory: data is free again when Text returns.
func (d *Decoder) Text(data []byte) (Packet, bool, error) {
	if d.settle(false); d.Parser == MsgpackParser {
		return Packet{}, false, errText
	}
	if d.pending != nil {
		d.pending = nil
		return Packet{}, false, errTextDuringAttachments
	}
	p, attachments, payload, err := d.header(data)
	if err != nil {
		return Packet{}, false, err
	}
	if err := d.payload(&p, payload); err != nil {
		return Packet{}, false, err
	}
	if attachments == 0 {
		return p, true, nil
	}
	w := &pending{due: attachments}
	if p.Data != nil {
		p.Data, w.bad = canonicalPlaceholders(p.Data, attachments)
	}
	if p.Data != nil {
		p.Attachments = make([][]byte, 0, min(attachments, DefaultMaxAttachments))
	}
	w.packet = p
	d.pending = w
	return Packet{}, false, nil
}

// Binary takes a binary message. To the default parser that is an attachment of the packet begun by the last text, and
// Binary returns the packet and true with its last attachment; to the msgpack parser it is a packet. The packet owns
// its memory: data is free again when Binary returns.
func (d *Decoder) Binary(data []byte) (Packet, bool, error) {
	if d.settle(true); d.Parser == MsgpackParser {
		p, err := d.msgpack(data)
		return p, err == nil, err
	}
	w := d.pending
	if w == nil {
		return Packet{}, false, errUnexpectedBinary
	}
	w.due--
	if w.packet.Data != nil { // else nothing can refer to it
		w.packet.Attachments = append(w.packet.Attachments, append([]byte{}, data...))
	}
	if w.due > 0 {
		return Packet{}, false, nil
	}
	d.pending = nil
	if w.bad != nil {
		return Packet{}, false, w.bad
	}
	return w.packet, true, nil
}

// Held is how many bytes of memory the packet holds whose attachments are due.
func (d *Decoder) Held() int {
	if d.pending == nil {
		return 0
	}
	n := len(d.pending.packet.Data)
	for _, attachment := range d.pending.packet.Attachments {
		n += len(attachment)
	}
	return n
}

// payload checks the JSON text behind the header and puts a copy of it into the packet.
func (d *Decoder) payload(p *Packet, text []byte) error {
	if len(text) == 0 {
		return nil
	}
	if p.Type == Disconnect {
		return errPayload
	}
	end, rewrite, err := validateForeign(text, d.maxDepth())
	if err != nil {
		return err
	}
	text = text[:end]
	if err := checkPayload(p.Type, text); err != nil {
		return err
	}
	if p.Type == Connect && d.NamespaceQuery {
		return nil // a 2.x client authenticates by its query alone
	}
	if rewrite {
		p.Data = normalize(text)
	} else {
		p.Data = bytes.Clone(text)
	}
	return nil
}

func (d *Decoder) maxDepth() int {
	if d.MaxDepth == 0 {
		return DefaultMaxDepth
	}
	return d.MaxDepth
}

func (d *Decoder) maxAttachments() int {
	if d.MaxAttachments == 0 {
		return DefaultMaxAttachments
	}
	return d.MaxAttachments
}

// checkPayload holds valid JSON text without leading space against the packet type.
func checkPayload(t Type, text []byte) error {
	ok := false
	switch t {
	case Connect:
		ok = text[0] == '{'
	case ConnectError:
		ok = text[0] == '{' || text[0] == '"'
	case Ack:
		ok = text[0] == '['
	case Event:
		if text[0] != '[' {
			break
		}
		first := text[skipSpace(text, 1):]
		switch c := first[0]; {
		case c == '"':
			if reservedLiteral(first[:skipString(first, 0)]) {
				return errReserved
			}
			ok = true
		case c == '-' || isDigit(c):
			ok = true
		}
	}
	if !ok {
		return errPayload
	}
	return nil
}
