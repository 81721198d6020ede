package packet

import (
	stdjson "encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// Marshal encodes args as a list. It follows encoding/json, tags and methods included, where JavaScript does not
// differ:
//   - a []byte at any depth, except of a named type, becomes an attachment; a nil one is null,
//   - a time.Time is written as JavaScript's Date: UTC, milliseconds, Z,
//   - NaN and the infinities are null,
//   - < > & stay as they are, map keys are sorted, invalid UTF-8 becomes U+FFFD.
//
// Attachments are kept, not copied: the caller must not change them afterwards. Official clients refuse packets with
// more than ten.
func Marshal(args ...any) (Args, error) {
	b := Builder{text: make([]byte, 0, 64)} // most lists are short
	b.Literal("[")
	for i, arg := range args {
		if i > 0 {
			b.Literal(",")
		}
		if err := b.Value(arg); err != nil {
			return Args{}, fmt.Errorf("packet: encode argument %d: %w", i, err)
		}
	}
	b.Literal("]")
	return b.Args()
}

// Value adds a Go value as Marshal writes it.
func (b *Builder) Value(v any) error {
	switch v := v.(type) {
	case nil:
		b.text = append(b.text, "null"...)
	case bool:
		b.text = strconv.AppendBool(b.text, v)
	case int:
		b.text = strconv.AppendInt(b.text, int64(v), 10)
	case string:
		b.text = AppendString(b.text, v)
	case []byte:
		if v == nil {
			b.text = append(b.text, "null"...)
			return nil
		}
		b.Binary(v)
	default:
		return b.encode(v)
	}
	return nil
}

func (b *Builder) encode(v any) error {
	e := encoders.Get().(*valueEncoder)
	e.builder = b
	text, err := json.Marshal(v, e.options)
	e.builder = nil
	encoders.Put(e)
	if err != nil {
		return err
	}
	b.text = append(b.text, text...)
	return nil
}

// valueEncoder is what makes attachments of the byte slices met inside a value. The JSON package remembers per set of
// options what it found out about types, so the sets are kept for the next value.
type valueEncoder struct {
	builder *Builder // the one that is being added to
	options json.Options
}

var encoders = sync.Pool{New: func() any {
	e := new(valueEncoder)
	e.options = json.JoinOptions(
		jsonv1.DefaultOptionsV1(),
		jsontext.EscapeForHTML(false),
		jsontext.EscapeForJS(false),
		json.WithMarshalers(json.JoinMarshalers(
			json.MarshalToFunc(e.bytes),
			json.MarshalToFunc(encodeTime),
			json.MarshalToFunc(encodeNumber),
			json.MarshalToFunc(encodeFloat[float64]),
			json.MarshalToFunc(encodeFloat[float32]),
		)))
	return e
}}

func (e *valueEncoder) bytes(enc *jsontext.Encoder, data []byte) error {
	if data == nil {
		return enc.WriteToken(jsontext.Null)
	}
	return enc.WriteValue(AppendPlaceholder(nil, e.builder.attach(data)))
}

func encodeTime(enc *jsontext.Encoder, t time.Time) error {
	t = t.UTC()
	layout := "2006-01-02T15:04:05.000Z"
	if year := t.Year(); year < 0 || year > 9999 {
		// Date writes such years with a sign and six digits.
		return enc.WriteToken(jsontext.String(fmt.Sprintf("%+07d", year) + t.Format(layout[4:])))
	}
	return enc.WriteToken(jsontext.String(t.Format(layout)))
}

// encodeNumber writes the standard library's Number, a string to this JSON package, as the number it is.
func encodeNumber(enc *jsontext.Encoder, n stdjson.Number) error {
	if n == "" {
		return enc.WriteToken(jsontext.Int(0))
	}
	return enc.WriteValue(jsontext.Value(n))
}

// encodeFloat sees to the values JSON has no number for. Minus zero is 0 in JavaScript's JSON.
func encodeFloat[F float32 | float64](enc *jsontext.Encoder, f F) error {
	switch v := float64(f); {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return enc.WriteToken(jsontext.Null)
	case v == 0 && math.Signbit(v):
		return enc.WriteToken(jsontext.Int(0))
	}
	return errors.ErrUnsupported
}
