package bytesjson

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// What Parse refuses beside malformed JSON. The errors are for the author of the text.
var (
	ErrNotList     = errors.New("must be a list")
	ErrDepth       = errors.New("is nested too deep")
	ErrAttachments = errors.New("holds more binary values than clients accept")
	errBytes       = errors.New(`"` + member + `" must be the only member of its object, and a text in base64`)
	errNumber      = errors.New("holds a number that no double can hold")
	errPlaceholder = errors.New("holds an object that clients would take for an attachment's placeholder")
)

// Limits bound what Parse accepts.
type Limits struct {
	Depth       int // of arrays and objects in each other, the list included
	Attachments int // binary values
}

// Parse reads a list. Of equal names in one object it refuses the second, and it refuses what is not valid UTF-8. It takes
// time and memory proportional to the length of the text.
func Parse(text []byte, limits Limits) (packet.Args, error) {
	r := reader{in: jsontext.NewDecoder(bytes.NewBuffer(text)), limits: limits}
	if r.in.PeekKind() != '[' {
		if _, err := r.in.ReadToken(); err != nil {
			return packet.Args{}, malformed(err)
		}
		return packet.Args{}, ErrNotList
	}
	if err := r.value(0); err != nil {
		return packet.Args{}, err
	}
	if _, err := r.in.ReadToken(); !errors.Is(err, io.EOF) {
		return packet.Args{}, errors.New("something follows the list")
	}
	args, err := r.out.Args()
	if errors.Is(err, packet.ErrPlaceholder) {
		err = errPlaceholder
	}
	return args, err
}

// malformed is the reason of the JSON package without its own prefix.
func malformed(err error) error {
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		return fmt.Errorf("is not valid JSON: %w", syntax.Err)
	}
	return errors.New("is not valid JSON: it ends too early")
}

// reader copies values from a text to a list that is being built.
type reader struct {
	in     *jsontext.Decoder
	out    packet.Builder
	limits Limits
	binary int
}

// value copies the value that comes next, which is inside depth others.
func (r *reader) value(depth int) error {
	token, err := r.in.ReadToken()
	if err != nil {
		return malformed(err)
	}
	switch token.Kind() {
	case '[':
		return r.array(depth + 1)
	case '{':
		return r.object(depth + 1)
	case '"':
		r.out.String(token.String())
	case '0':
		number := token.String()
		if f, err := strconv.ParseFloat(number, 64); err != nil || math.IsInf(f, 0) {
			return errNumber
		}
		r.out.Literal(number)
	default:
		r.out.Literal(token.String())
	}
	return nil
}

func (r *reader) array(depth int) error {
	if depth > r.limits.Depth {
		return ErrDepth
	}
	r.out.Literal("[")
	for i := 0; r.in.PeekKind() != ']'; i++ {
		if i > 0 {
			r.out.Literal(",")
		}
		if err := r.value(depth); err != nil {
			return err
		}
	}
	r.out.Literal("]")
	return r.end()
}

func (r *reader) end() error {
	if _, err := r.in.ReadToken(); err != nil {
		return malformed(err)
	}
	return nil
}

func (r *reader) object(depth int) error {
	if depth > r.limits.Depth {
		return ErrDepth
	}
	for i := 0; r.in.PeekKind() != '}'; i++ {
		token, err := r.in.ReadToken()
		if err != nil {
			return malformed(err)
		}
		name := token.String()
		switch {
		case name == member && i == 0:
			return r.bytes()
		case name == member:
			return errBytes
		case i == 0:
			r.out.Literal("{")
		default:
			r.out.Literal(",")
		}
		r.out.String(name)
		r.out.Literal(":")
		if err := r.value(depth); err != nil {
			return err
		}
		if r.in.PeekKind() == '}' {
			r.out.Literal("}")
			return r.end()
		}
	}
	r.out.Literal("{}")
	return r.end()
}

// bytes copies the rest of an object that stands for bytes.
func (r *reader) bytes() error {
	token, err := r.in.ReadToken()
	if err != nil {
		return malformed(err)
	}
	if token.Kind() != '"' {
		return errBytes
	}
	data, err := base64.StdEncoding.Strict().DecodeString(token.String())
	if err != nil {
		return errBytes
	}
	if r.binary++; r.binary > r.limits.Attachments {
		return ErrAttachments
	}
	r.out.Binary(data)
	if r.in.PeekKind() != '}' {
		return errBytes
	}
	return r.end()
}
