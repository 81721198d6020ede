package msgjson

import (
	"errors"
	"slices"
	"strconv"
)

var errLookalike = errors.New("plain data looks like an attachment's placeholder")

// AppendJSON appends the JSON text of src, one MessagePack value, to dst, and what it holds in bytes to attachments.
// A map that would be taken for a placeholder is refused, unless there are no attachments and it is plain data.
// Neither the text nor the nesting of src may go deeper than depth; a placeholder counts as a level. After an error dst
// and attachments come back as they were.
func AppendJSON(dst []byte, attachments [][]byte, src []byte, depth int) ([]byte, [][]byte, error) {
	r := NewReader(src, depth)
	out, found, err := r.AppendJSON(dst, attachments)
	if err == nil {
		err = r.End()
	}
	if err != nil {
		return dst, attachments, err
	}
	return out, found, nil
}

// AppendJSON reads one value; see the function of that name.
func (r *Reader) AppendJSON(dst []byte, attachments [][]byte) ([]byte, [][]byte, error) {
	r.attachments, r.buffers, r.lookalike, r.start = attachments, false, false, r.at
	out, err := r.appendValue(dst, r.depth)
	if err == nil && r.lookalike && len(r.attachments) > 0 {
		err = errLookalike
	}
	if err != nil {
		return dst, attachments, r.fail(err)
	}
	return out, r.attachments, nil
}

// AppendPlainJSON is AppendJSON with the bytes in the text itself, as JSON.stringify writes a Node Buffer:
// {"type":"Buffer","data":[1,2,3]}.
func (r *Reader) AppendPlainJSON(dst []byte) ([]byte, error) {
	r.attachments, r.buffers, r.start = nil, true, r.at
	out, err := r.appendValue(dst, r.depth)
	if err != nil {
		return dst, r.fail(err)
	}
	return out, nil
}

func (r *Reader) appendValue(dst []byte, depth int) ([]byte, error) {
	kind, bits, body, err := r.next()
	if err != nil {
		return dst, err
	}
	switch kind {
	case String:
		return AppendQuoted(dst, body), nil
	case Array:
		return r.appendArray(dst, int(bits), depth)
	case Map:
		return r.appendMap(dst, int(bits), depth)
	case Nil, Undefined:
		return append(dst, "null"...), nil
	case Float:
		return appendFloat(dst, bits, "null"), nil
	case Date:
		return appendDate(dst, bits), nil
	case Binary:
		return r.appendBytes(dst, body, depth)
	case Extension:
		if depth == 0 {
			return dst, ErrDepth
		}
		dst = strconv.AppendInt(append(dst, '['), int64(int8(bits)), 10)
		dst, err = r.appendBytes(append(dst, ','), body, depth-1)
		return append(dst, ']'), err
	}
	dst, _ = appendScalar(dst, kind, bits, nil) // a boolean or an integer, which always succeeds
	return dst, nil
}

func (r *Reader) appendArray(dst []byte, n, depth int) ([]byte, error) {
	if depth == 0 {
		return dst, ErrDepth
	}
	dst = append(dst, '[')
	var err error
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = r.appendValue(dst, depth-1); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

func (r *Reader) appendMap(dst []byte, n, depth int) ([]byte, error) {
	if depth == 0 {
		return dst, ErrDepth
	}
	dst = append(dst, '{')
	first := true
	for range n {
		start := len(dst)
		if !first {
			dst = append(dst, ',')
		}
		kind, bits, body, err := r.next()
		if err != nil {
			return dst, err
		}
		if kind == String || kind == Binary {
			dst = AppendQuoted(dst, body)
			if string(body) == "_placeholder" && r.at < len(r.src) && r.src[r.at] == 0xc3 {
				r.lookalike = true
			}
		} else if dst, err = appendScalarKey(dst, kind, bits); err != nil {
			return dst, err
		}
		if r.skipUndefined() {
			dst = dst[:start]
			continue
		}
		first = false
		if dst, err = r.appendValue(append(dst, ':'), depth-1); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

func (r *Reader) skipUndefined() bool {
	if rest := r.src[r.at:]; len(rest) >= 3 && rest[0] == 0xd4 && rest[1] == 0 {
		r.at += 3
		return true
	}
	return false
}

func appendScalarKey(dst []byte, kind Kind, bits uint64) ([]byte, error) {
	dst, ok := appendScalar(append(dst, '"'), kind, bits, nil)
	if !ok {
		return dst, errKind
	}
	return append(dst, '"'), nil
}

func (r *Reader) appendBytes(dst, body []byte, depth int) ([]byte, error) {
	if depth == 0 {
		return dst, ErrDepth
	}
	if r.buffers {
		if cap(dst)-len(dst) < bufferSize+4*len(body) {
			values, size, rest := r.upcoming()
			dst = slices.Grow(dst, (1+values)*bufferSize+4*(len(body)+size)+rest)
		}
		dst = append(dst, `{"type":"Buffer","data":[`...)
		for i, b := range body {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = strconv.AppendUint(dst, uint64(b), 10)
		}
		return append(dst, "]}"...), nil
	}
	if r.maxAttachments > 0 && len(r.attachments) >= r.maxAttachments {
		return dst, ErrAttachments
	}
	if len(r.attachments) == cap(r.attachments) {
		values, _, rest := r.upcoming()
		if r.maxAttachments > 0 {
			values = min(values, r.maxAttachments-len(r.attachments)-1)
		}
		r.attachments = slices.Grow(r.attachments, 1+values)
		dst = slices.Grow(dst, (1+values)*placeholderSize+rest)
	}
	dst = append(dst, `{"_placeholder":true,"num":`...)
	dst = strconv.AppendUint(dst, uint64(len(r.attachments)), 10)
	r.attachments = append(r.attachments, body)
	return append(dst, '}'), nil
}

const (
	placeholderSize = len(`{"_placeholder":true,"num":1234567},`)
	bufferSize      = len(`{"type":"Buffer","data":[]},`)
)

// upcoming counts the bin values and extensions in what is left of the value being transcoded, the bytes in them, and
// all bytes that are left. Two bytes of input can become an attachment and a placeholder in the text: where slices grow
// step by step, a message of nothing else allocates 140 times its length.
func (r *Reader) upcoming() (values, size, rest int) {
	value := Reader{src: r.src, at: r.start}
	if value.Skip() != nil {
		return 0, 0, 0 // truncated, so reading will fail
	}
	ahead := Reader{src: r.src[:value.at], at: r.at}
	for ahead.at < len(ahead.src) {
		kind, _, body, err := ahead.next()
		if err != nil {
			break
		}
		if kind == Binary || kind == Extension {
			values++
			size += len(body)
		}
	}
	return values, size, len(ahead.src) - r.at
}
