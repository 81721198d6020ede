package msgjson

import (
	"errors"
	"slices"
	"strconv"
)

var errLookalike = errors.New("plain data looks like an attachment's placeholder")

// AppendJSON appends the JSON text of src, one MessagePack value, to dst, and what it holds in bytes to attachments.
// Neither the text nor the nesting of src may go deeper than depth; a placeholder counts as a level. After an error dst
// and attachments come back as they were.
//
// A map whose _placeholder is true is plain data without attachments. Beside one every reader would take it for a
// placeholder, so it is refused, unless the reader mends such maps.
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
	r.attachments, r.buffers, r.lookalike, r.known, r.start = attachments, false, false, 0, r.at
	out, err := r.appendValue(dst, r.depth)
	switch {
	case err != nil || !r.lookalike || len(r.attachments) == 0:
	case !r.mends:
		err = errLookalike
	default:
		r.known, r.at = len(r.attachments), r.start
		r.attachments = r.attachments[:len(attachments)]
		out, err = r.appendValue(out[:len(dst)], r.depth)
	}
	if err != nil {
		return dst, attachments, r.fail(err)
	}
	return out, r.attachments, nil
}

// AppendPlainJSON is AppendJSON with the bytes in the text itself, as JSON.stringify writes a Node Buffer:
// {"type":"Buffer","data":[1,2,3]}.
func (r *Reader) AppendPlainJSON(dst []byte) ([]byte, error) {
	r.attachments, r.buffers, r.known, r.start = nil, true, 0, r.at
	out, err := r.appendValue(dst, r.depth)
	if err != nil {
		return dst, r.fail(err)
	}
	return out, nil
}

func (r *Reader) appendValue(dst []byte, depth int) ([]byte, error) {
	if text, ok := r.short(); ok {
		return AppendQuoted(dst, text), nil
	}
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
	object := len(dst)
	dst = append(dst, '{')
	var like lookalike
	first := true
	for range n {
		start := len(dst)
		if !first {
			dst = append(dst, ',')
		}
		var key []byte
		var err error
		if dst, key, err = r.appendKey(dst); err != nil {
			return dst, err
		}
		if r.skipUndefined() {
			dst = dst[:start]
			continue
		}
		first = false
		dst = append(dst, ':')
		like.member(r, key, len(dst))
		if dst, err = r.appendValue(dst, depth-1); err != nil {
			return dst, err
		}
	}
	dst = append(dst, '}')
	if like.mark > 0 {
		r.lookalike = true
		dst = like.mend(dst, object, r.known)
	}
	return dst, nil
}

// lookalike is what is known of a map that may look like a placeholder. Of repeated members the last counts, as in
// JavaScript.
type lookalike struct {
	mark    int // where in the text the value true of _placeholder stands; 0: it is no placeholder to a reader
	num     uint64
	numbers bool // num is a whole number
}

// member notes the member of that key, whose value r is about to read and at is to stand in the text.
func (l *lookalike) member(r *Reader, key []byte, at int) {
	switch string(key) {
	case "_placeholder":
		if l.mark = 0; r.at < len(r.src) && r.src[r.at] == 0xc3 {
			l.mark = at
		}
	case "num":
		value := *r
		kind, bits, _, _ := value.next()
		l.num, l.numbers = bits, kind == Uint
	}
}

// mend replaces the text from object on, which looks like a placeholder, where there are that many attachments.
func (l *lookalike) mend(dst []byte, object, attachments int) []byte {
	switch {
	case attachments == 0:
	case l.numbers && l.num < uint64(attachments):
		dst = appendPlaceholder(dst[:object], int(l.num))
	default:
		copy(dst[l.mark:], "null")
	}
	return dst
}

func appendPlaceholder(dst []byte, num int) []byte {
	dst = append(dst, `{"_placeholder":true,"num":`...)
	return append(strconv.AppendInt(dst, int64(num), 10), '}')
}

func (r *Reader) skipUndefined() bool {
	if rest := r.src[r.at:]; len(rest) >= 3 && rest[0] == 0xd4 && rest[1] == 0 {
		r.at += 3
		return true
	}
	return false
}

// appendKey reads the key of a map's member; key is its bytes where it is text.
func (r *Reader) appendKey(dst []byte) (out, key []byte, err error) {
	if key, ok := r.short(); ok {
		return AppendQuoted(dst, key), key, nil
	}
	kind, bits, body, err := r.next()
	if err != nil {
		return dst, nil, err
	}
	if kind == String || kind == Binary {
		return AppendQuoted(dst, body), body, nil
	}
	dst, ok := appendScalar(append(dst, '"'), kind, bits, nil)
	if !ok {
		return dst, nil, errKind
	}
	return append(dst, '"'), nil, nil
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
	r.attachments = append(r.attachments, body)
	return appendPlaceholder(dst, len(r.attachments)-1), nil
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
