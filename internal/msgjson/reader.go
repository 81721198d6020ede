package msgjson

import (
	"errors"
	"fmt"
	"math"
)

// DefaultDepth is how deeply arrays and maps may nest unless the caller says otherwise.
const DefaultDepth = 128

// Kind is what a MessagePack value is.
type Kind byte

// The kinds. None means that there is no readable value.
const (
	None Kind = iota
	Nil
	Undefined
	Bool
	Uint
	Int // negative
	Float
	String
	Binary
	Array
	Map
	Date
	Extension
)

// What is wrong with input that may be good but passes a limit.
var (
	ErrDepth       = errors.New("nested too deeply")
	ErrAttachments = errors.New("too many attachments")
)

var (
	errTruncated = errors.New("unexpected end")
	errByte      = errors.New("invalid byte")
	errKind      = errors.New("unexpected kind of value")
	errTrailing  = errors.New("trailing bytes")
)

// Reader walks through MessagePack values one by one. A value of another kind than asked for stays where it is; after
// any other error the reader is of no more use.
type Reader struct {
	src            []byte
	at             int
	depth          int
	maxAttachments int // 0: as many as there are
	mends          bool

	// While AppendJSON runs:
	start       int // of the value being read
	attachments [][]byte
	buffers     bool // write {"type":"Buffer","data":[...]} instead of adding to attachments
	lookalike   bool // a map was met whose _placeholder is true
	known       int  // how many attachments there are, once the value has been read and is read again; else 0
}

// NewReader reads src, which must not change while the reader, or an attachment taken from it, is in use. AppendJSON
// refuses values that nest deeper than depth.
func NewReader(src []byte, depth int) Reader { return Reader{src: src, depth: depth} }

// LimitAttachments makes AppendJSON refuse a value as soon as it would give more than n attachments, those it was handed
// included. n is positive.
func (r *Reader) LimitAttachments(n int) { r.maxAttachments = n }

// MendPlaceholders makes AppendJSON accept plain data that looks like a placeholder beside attachments. Clients replace it
// by the attachment that it names, and close the connection when there is none. So it becomes that placeholder, as it
// would on its way through Node, or else its member _placeholder becomes null.
func (r *Reader) MendPlaceholders() { r.mends = true }

// Kind is the kind of the next value, which stays where it is.
func (r *Reader) Kind() Kind {
	start := r.at
	kind, _, _, _ := r.next() // None is for the reader of the value to explain
	r.at = start
	return kind
}

// Literal passes over what is next if that is these bytes, and reports whether it was. It is for values that are nearly
// always written alike.
func (r *Reader) Literal(packed string) bool {
	if len(r.src)-r.at < len(packed) || string(r.src[r.at:r.at+len(packed)]) != packed {
		return false
	}
	r.at += len(packed)
	return true
}

// Left is how many bytes are left to read.
func (r *Reader) Left() int { return len(r.src) - r.at }

// End refuses anything left to read.
func (r *Reader) End() error {
	if r.at < len(r.src) {
		return r.fail(errTrailing)
	}
	return nil
}

// Array reads the header of an array: n values follow.
func (r *Reader) Array() (n int, err error) { return r.header(Array) }

// Map reads the header of a map: n times a key and a value follow.
func (r *Reader) Map() (n int, err error) { return r.header(Map) }

func (r *Reader) header(want Kind) (int, error) {
	start := r.at
	kind, bits, _, err := r.next()
	if err == nil && kind != want {
		err = errKind
	}
	if err != nil {
		r.at = start
		return 0, r.fail(err)
	}
	return int(bits), nil
}

// Bytes reads a string or a bin value. The result is a part of the input, and not necessarily UTF-8.
func (r *Reader) Bytes() ([]byte, error) {
	if body, ok := r.short(); ok {
		return body, nil
	}
	start := r.at
	kind, _, body, err := r.next()
	if err == nil && kind != String && kind != Binary {
		err = errKind
	}
	if err != nil {
		r.at = start
		return nil, r.fail(err)
	}
	return body, nil
}

// AppendText appends the text that JavaScript's String() makes of a string, bin, number, boolean, nil or undefined,
// with U+FFFD for invalid UTF-8.
func (r *Reader) AppendText(dst []byte) ([]byte, error) {
	start := r.at
	kind, bits, body, err := r.next()
	if err == nil {
		if out, ok := appendScalar(dst, kind, bits, body); ok {
			return out, nil
		}
		err = errKind
	}
	r.at = start
	return dst, r.fail(err)
}

// Number reads a number of any width, or a boolean as 0 or 1.
func (r *Reader) Number() (float64, error) {
	start := r.at
	kind, bits, _, err := r.next()
	if err == nil {
		switch kind {
		case Uint, Bool:
			return float64(bits), nil
		case Int:
			return float64(int64(bits)), nil
		case Float:
			return math.Float64frombits(bits), nil
		}
		err = errKind
	}
	r.at = start
	return 0, r.fail(err)
}

// Skip passes over one value with all that is in it.
func (r *Reader) Skip() error {
	for pending := 1; pending > 0; pending-- {
		kind, bits, _, err := r.next()
		if err != nil {
			return r.fail(err)
		}
		switch kind {
		case Array:
			pending += int(bits)
		case Map:
			pending += 2 * int(bits)
		}
	}
	return nil
}

// Raw passes over one value and returns its bytes, a part of the input.
func (r *Reader) Raw() ([]byte, error) {
	start := r.at
	if err := r.Skip(); err != nil {
		return nil, err
	}
	return r.src[start:r.at:r.at], nil
}

func (r *Reader) fail(err error) error { return fmt.Errorf("msgpack: byte %d: %w", r.at, err) }
