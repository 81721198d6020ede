package wsframe

import (
	"errors"
	"unicode/utf8"
)

// ErrMore: what has arrived holds no further message.
var ErrMore = errors.New("wsframe: more input is needed")

// maxFragments is how many frames a message may have, as with Node's engine.io 6.6.13. Empty ones cost the client little
// and are bounded by nothing else.
const maxFragments = 10_000

// Message is a whole message, or a control frame between messages or their fragments. Data is valid until Next or Space
// is called.
type Message struct {
	Opcode byte
	Data   []byte
}

// Reader puts a client's messages together. The caller reads from the connection, into Space, whenever Next returns
// ErrMore:
//
//	m, err := r.Next(limit)
//	if errors.Is(err, wsframe.ErrMore) {
//		n, err := conn.Read(r.Space())
//		r.Filled(n)
//	}
//
// The zero value is ready. It holds no memory between messages, unless Resident.
type Reader struct {
	Deflate  bool // compressed messages have been agreed on
	Resident bool // keep a small input buffer: for a connection whose reader waits in Read, with Space in its hands

	input    *input
	partial  *assembly // the message of which a part has arrived
	inflated *[]byte   // the message that was compressed
}

// assembly is a message that does not lie in the input buffer in one piece.
type assembly struct {
	opcode     byte
	compressed bool
	final      bool    // the frame that is arriving is the last one
	message    *[]byte // pooled
	mask       [4]byte
	position   int // in the frame's payload
	rest       int // of the frame's payload
	unmasked   int // bytes of message
	fragments  int
	returned   bool // by Next
}

// Next returns the next message or control frame. Other errors than ErrMore are Violations and final. A message has at
// most limit bytes, also when it was compressed.
func (r *Reader) Next(limit int) (Message, error) {
	r.tidy()
	for {
		switch a := r.partial; {
		case a == nil, a.rest == 0 && !a.final:
			m, err := r.frame(limit)
			if err != nil || m.Data != nil {
				return m, err
			}
		case a.rest == 0:
			a.returned = true
			return r.whole(a.opcode, a.compressed, *a.message, limit)
		case r.input.empty():
			return Message{}, ErrMore
		default:
			*a.message = append(*a.message, r.input.take(min(a.rest, len(r.input.unread())))...)
			a.arrived()
		}
	}
}

// frame takes the next frame from the input: a control frame, a message that is there in one piece, or with neither the
// head of a frame whose payload r.partial is now ready for.
func (r *Reader) frame(limit int) (Message, error) {
	unread := r.input.unread()
	h, ok, err := ParseHeader(unread)
	switch {
	case err != nil:
		return Message{}, err
	case !ok, h.Control() && len(unread) < h.Size+int(h.Length):
		return Message{}, ErrMore
	case h.Control():
		return Message{h.Opcode, r.payload(h)}, nil
	}
	a := r.partial
	if (h.Opcode == Continuation) != (a != nil) || h.Compressed && !r.Deflate {
		return Message{}, ProtocolError
	}
	before := 0
	if a != nil {
		before = len(*a.message)
	}
	if h.Length > uint64(limit-before) {
		return Message{}, TooLarge
	}
	if a == nil && h.Final && len(unread) >= h.Size+int(h.Length) {
		return r.whole(h.Opcode, h.Compressed, r.payload(h), limit)
	}
	r.input.take(h.Size)
	if a == nil {
		a = &assembly{opcode: h.Opcode, compressed: h.Compressed, message: newBuffer()}
		r.partial = a
	}
	if a.fragments++; a.fragments > maxFragments {
		return Message{}, TooMany
	}
	a.final, a.mask, a.position, a.rest = h.Final, h.Mask, 0, int(h.Length)
	return Message{}, nil
}

// payload takes a frame that has arrived whole from the input. It is not nil.
func (r *Reader) payload(h Header) []byte {
	data := r.input.take(h.Size + int(h.Length))[h.Size:]
	Mask(h.Mask, 0, data)
	return data
}

// arrived unmasks what the message has been given of the frame's payload.
func (a *assembly) arrived() {
	added := (*a.message)[a.unmasked:]
	Mask(a.mask, a.position, added)
	a.position += len(added)
	a.rest -= len(added)
	a.unmasked += len(added)
}

// whole is Next's answer for a whole message.
func (r *Reader) whole(opcode byte, compressed bool, data []byte, limit int) (Message, error) {
	if compressed {
		r.inflated = newBuffer()
		var err error
		if *r.inflated, err = Inflate(*r.inflated, data, limit); err != nil {
			return Message{}, err
		}
		data = *r.inflated // not nil
	}
	if opcode == Text && !utf8.Valid(data) {
		return Message{}, NotUTF8
	}
	return Message{opcode, data}, nil
}

// tidy gives back what the message before has left.
func (r *Reader) tidy() {
	if a := r.partial; a != nil && a.returned {
		r.dropPartial()
	}
	if r.inflated != nil {
		release(r.inflated)
		r.inflated = nil
	}
	r.releaseInput()
}

func (r *Reader) dropPartial() {
	release(r.partial.message)
	r.partial = nil
}

func (r *Reader) releaseInput() {
	if r.input != nil && r.input.empty() && !r.Resident {
		r.input.release()
		r.input = nil
	}
}

// Release gives up what has been read, for good.
func (r *Reader) Release() {
	if r.partial != nil {
		r.dropPartial()
	}
	r.input, r.inflated = nil, nil
}

// Feed adds bytes that were read before the Reader was there.
func (r *Reader) Feed(early []byte) {
	r.input = newInput(max(len(early), bufferSize))
	r.input.end = copy(r.input.buffer, early)
}

// Space returns where to read to, never nothing: behind a message of which a part has arrived, else in the input buffer.
// No more memory is spent than twice what has arrived.
func (r *Reader) Space() []byte {
	if a := r.partial; a != nil && a.rest > 0 && r.input.empty() {
		message := *a.message
		from := len(message)
		if from == cap(message) {
			message = append(message, 0)[:from]
			*a.message = message
		}
		return message[from:min(cap(message), from+a.rest)]
	}
	if r.input == nil {
		if r.Resident {
			r.input = &input{buffer: make([]byte, residentSize)}
		} else {
			r.input = newInput(bufferSize)
		}
	}
	return r.input.room()
}

// Filled says that n bytes were read into Space; 0 lets go of it.
func (r *Reader) Filled(n int) {
	if a := r.partial; a != nil && a.rest > 0 && r.input.empty() {
		from := len(*a.message)
		*a.message = (*a.message)[:from+n]
		a.arrived()
		return
	}
	r.input.end += n
	r.releaseInput()
}

// Held is how many bytes of memory the Reader holds for what has arrived.
func (r *Reader) Held() int {
	n := 0
	if r.input != nil {
		n += len(r.input.buffer)
	}
	if r.partial != nil {
		n += cap(*r.partial.message)
	}
	if r.inflated != nil {
		n += cap(*r.inflated)
	}
	return n
}
