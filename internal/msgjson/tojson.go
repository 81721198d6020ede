package msgjson

import (
	"errors"
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
	r.attachments, r.buffers, r.lookalike = attachments, false, false
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
	r.attachments, r.buffers = nil, true
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
	dst = append(dst, `{"_placeholder":true,"num":`...)
	dst = strconv.AppendUint(dst, uint64(len(r.attachments)), 10)
	r.attachments = append(r.attachments, body)
	return append(dst, '}'), nil
}
