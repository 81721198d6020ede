package idle

import "io"

// hello reads the first records of a TLS client, which are not encrypted, and cuts them into small ones: crypto/tls reads a
// record whole, and its buffer stays for good as large as the largest one made it. A message of the handshake may be spread
// over any number of records (RFC 8446, section 5.1), and what both sides hash are messages, so neither sees a difference.
//
// The sizes follow from how bytes.Buffer grows, in which crypto/tls reads records and gathers messages. Should that change,
// only more memory is spent.
type hello struct {
	header [recordHeader]byte // of the record that is being read
	got    uint8              // bytes of the header
	over   bool               // the records that follow are read as they are
	piece  uint16             // bytes of the record that are read at once, at most
	rest   uint16             // bytes of the record that are still to be read
	bytes  uint32             // of all records, headers aside
}

const (
	recordHeader    = 5
	recordHandshake = 22
	maxRecord       = 1 << 14 // bytes of a record that is not encrypted, without its header

	// maxPiece fits, with its header, into the 576 bytes that crypto/tls begins with.
	maxPiece = 512
)

// read reads from r into p, which has room for more than a header, what crypto/tls can use without more room: a record of
// one piece, or a header, or as much of one as there is before an error.
func (h *hello) read(r io.Reader, p []byte) (int, error) {
	if h.rest == 0 {
		if n, err := h.begin(r, p); n > 0 || err != nil {
			return n, err
		}
	}
	body := p[recordHeader:]
	n, err := r.Read(body[:min(int(h.rest), int(h.piece), len(body))])
	if n == 0 {
		return 0, err
	}
	h.rest -= uint16(n)
	h.bytes += uint32(n)
	copy(p, h.header[:3]) // type and version
	p[3], p[4] = byte(n>>8), byte(n)
	return recordHeader + n, err
}

// begin reads a header. When its record is not to be cut it returns the header in p, and sets over.
func (h *hello) begin(r io.Reader, p []byte) (int, error) {
	for h.got < recordHeader {
		n, err := r.Read(h.header[h.got:])
		if h.got += uint8(n); err != nil {
			h.over = true
			return copy(p, h.header[:h.got]), err
		}
	}
	h.got = 0
	h.rest = uint16(h.header[3])<<8 | uint16(h.header[4])
	if h.header[0] != recordHandshake || h.rest == 0 || h.rest > maxRecord {
		h.over = true
		return copy(p, h.header[:]), nil
	}
	// The buffer of the message is doubled when it is full. It ends no larger than the message needs when that is the first
	// piece times a power of two.
	for h.piece = h.rest; h.piece > maxPiece; {
		h.piece = (h.piece + 1) / 2
	}
	return 0, nil
}
