package redisconn

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"
)

// Reader reads RESP2. Whatever a server claims, it holds no more than its buffer, one payload within MaxPayload, and names
// of bounded length. It is for one goroutine.
type Reader struct {
	// MaxPayload is the longest payload of a message that is kept; longer ones are read over. 0: no limit but Redis' own.
	MaxPayload int

	in     *bufio.Reader
	source *timedReader
	names  []byte // of the last push
	passed int    // bytes of the buffer that the last push was, to be discarded
}

// timedReader notes when something was read.
type timedReader struct {
	io.Reader
	at time.Time
}

func (r *timedReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	r.at = time.Now()
	return n, err
}

const (
	maxBulk  = 512 << 20 // what Redis allows
	maxName  = 64 << 10
	maxItems = 1 << 20
	maxDepth = 8
)

var errProtocol = errors.New("redis: not RESP2")

// NewReader makes a reader with a buffer of so many bytes, which also bounds the length of a line.
func NewReader(in io.Reader, buffer int) *Reader {
	source := &timedReader{Reader: in}
	return &Reader{in: bufio.NewReaderSize(source, buffer), source: source}
}

// Wait returns when there is something to read.
func (r *Reader) Wait() error {
	if err := r.pass(); err != nil {
		return err
	}
	_, err := r.in.Peek(1)
	return err
}

// pass discards the last push.
func (r *Reader) pass() error {
	n := r.passed
	r.passed = 0
	return r.discard(int64(n))
}

// Kind is what a push is about: a message, the confirmation of a subscription, or a refusal.
type Kind uint8

// The kinds. Messages come from channels, patterns or sharded channels; Failed is an error reply to a command.
const (
	Other Kind = iota
	Message
	PatternMessage
	ShardMessage
	Subscribed
	Unsubscribed
	PatternSubscribed
	PatternUnsubscribed
	ShardSubscribed
	ShardUnsubscribed
	Failed
)

// Push is one reply on a subscribed connection.
type Push struct {
	Kind Kind
	// Channel and Pattern are valid until the next call. A channel too long for any of ours is empty.
	Channel, Pattern []byte
	// Payload is nil where Size is over MaxPayload. Shared: it is valid until the next call, else it is the caller's.
	Payload []byte
	Shared  bool
	Size    int
	Err     error     // of Failed
	At      time.Time // when the last of it came from the connection
	Lane    uint64    // set by what subscribed: in which order it came; 0: that is not known
}

// Keep returns the payload in memory that is the caller's.
func (p *Push) Keep() []byte {
	if p.Shared {
		return bytes.Clone(p.Payload)
	}
	return p.Payload
}

// Push reads one reply on a subscribed connection. An error ends the connection.
func (r *Reader) Push() (Push, error) {
	if err := r.Wait(); err != nil {
		return Push{}, err
	}
	buffered, _ := r.in.Peek(r.in.Buffered()) // never fails: they are there
	p, n, ok := wholeMessage(buffered, r.MaxPayload)
	if r.passed, p.Shared = n, ok; !ok {
		var err error
		if p, err = r.push(); err != nil {
			return Push{}, err
		}
	}
	p.At = r.source.at
	return p, nil
}

// push reads a reply of any kind, step by step.
func (r *Reader) push() (Push, error) {
	kind, n, text, err := r.header()
	if err != nil {
		return Push{}, err
	}
	switch {
	case kind == '-':
		return Push{Kind: Failed, Err: Error(text)}, nil
	case kind != '*' || n < 1:
		return Push{}, r.skipBody(kind, n, 0)
	}
	r.names = r.names[:0]
	name, err := r.name()
	if err != nil {
		return Push{}, err
	}
	p := Push{Kind: kindOf(name)}
	r.names = r.names[:0]
	n--
	if p.Kind == PatternMessage && n == 3 {
		if p.Pattern, err = r.name(); err != nil {
			return Push{}, err
		}
		n--
	}
	if p.Kind == Other || n != 2 {
		return Push{}, r.skip(n, 0)
	}
	pattern := len(r.names)
	if p.Channel, err = r.name(); err != nil {
		return Push{}, err
	}
	p.Pattern, p.Channel = r.names[:pattern], r.names[pattern:] // the names may have moved
	if p.Kind > ShardMessage {
		return p, r.skip(1, 0)
	}
	p.Payload, p.Size, err = r.payload()
	return p, err
}

func kindOf(name []byte) Kind {
	switch string(name) {
	case "message":
		return Message
	case "pmessage":
		return PatternMessage
	case "smessage":
		return ShardMessage
	case "subscribe":
		return Subscribed
	case "unsubscribe":
		return Unsubscribed
	case "psubscribe":
		return PatternSubscribed
	case "punsubscribe":
		return PatternUnsubscribed
	case "ssubscribe":
		return ShardSubscribed
	case "sunsubscribe":
		return ShardUnsubscribed
	}
	return Other
}

// Result reads the reply to one command: a number, or 0 for a reply of another type. An error reply is err as an Error; any
// other err ends the connection.
func (r *Reader) Result() (n int64, err error) {
	kind, n, text, err := r.header()
	switch {
	case err != nil:
		return 0, err
	case kind == '-':
		return 0, Error(text)
	case kind == ':':
		return n, nil
	}
	return 0, r.skipBody(kind, n, 0)
}

// First reads the reply to one command and returns the text that it begins with: its own, or that of its first element.
func (r *Reader) First() (text string, err error) {
	kind, n, line, err := r.header()
	if err != nil {
		return "", err
	}
	rest := int64(0)
	if kind == '*' && n > 0 {
		rest = n - 1
		if kind, n, line, err = r.header(); err != nil {
			return "", err
		}
	}
	switch {
	case kind == '-' && rest == 0:
		return "", Error(line)
	case kind == '+':
		text = string(line)
	case kind == '$':
		r.names = r.names[:0]
		var name []byte
		name, err = r.bulk(n)
		text = string(name)
	default:
		err = r.skipBody(kind, n, 0)
	}
	if err != nil {
		return "", err
	}
	return text, r.skip(rest, 0)
}

// header reads the line that a reply begins with: n is the number, the length of a bulk string or of an array, and text that of
// an error or a status, valid until the next call.
func (r *Reader) header() (kind byte, n int64, text []byte, err error) {
	if err := r.pass(); err != nil {
		return 0, 0, nil, err
	}
	line, err := r.in.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, bufio.ErrBufferFull) {
			err = fmt.Errorf("%w: a line is too long", errProtocol)
		}
		return 0, 0, nil, err
	}
	if len(line) < 3 || line[len(line)-2] != '\r' {
		return 0, 0, nil, fmt.Errorf("%w: %.40q", errProtocol, line)
	}
	kind, text = line[0], line[1:len(line)-2]
	switch kind {
	case '+', '-':
		return kind, 0, text, nil
	case ':', '$', '*':
		n, ok := number(text)
		if ok && (kind == ':' || kind == '$' && n <= maxBulk || kind == '*' && n <= maxItems) {
			return kind, n, nil, nil
		}
	}
	return 0, 0, nil, fmt.Errorf("%w: %.40q", errProtocol, line)
}

func number(text []byte) (n int64, ok bool) {
	digits := text
	if len(digits) > 0 && digits[0] == '-' {
		digits = digits[1:]
	}
	if len(digits) == 0 || len(digits) > 18 {
		return 0, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if len(digits) < len(text) {
		n = -n
	}
	return n, true
}

// name reads a bulk string behind the names that are there. One that is too long is left out.
func (r *Reader) name() ([]byte, error) {
	kind, n, _, err := r.header()
	if err != nil {
		return nil, err
	}
	if kind != '$' {
		return nil, r.skipBody(kind, n, 0)
	}
	return r.bulk(n)
}

func (r *Reader) bulk(n int64) ([]byte, error) {
	if n < 0 || n > maxName {
		return nil, r.skipBody('$', n, 0)
	}
	start := len(r.names)
	for n > 0 {
		chunk, err := r.in.Peek(int(min(n, int64(r.in.Size()))))
		if err != nil {
			return nil, err
		}
		r.names = append(r.names, chunk...)
		n -= int64(len(chunk))
		if err := r.discard(int64(len(chunk))); err != nil {
			return nil, err
		}
	}
	return r.names[start:], r.end()
}

// payload reads a bulk string into memory of its own.
func (r *Reader) payload() (payload []byte, size int, err error) {
	kind, n, _, err := r.header()
	if err != nil {
		return nil, 0, err
	}
	if kind != '$' || n < 0 || r.MaxPayload > 0 && n > int64(r.MaxPayload) {
		return nil, int(max(n, 0)), r.skipBody(kind, n, 0)
	}
	payload = make([]byte, n)
	if _, err := io.ReadFull(r.in, payload); err != nil {
		return nil, 0, err
	}
	return payload, int(n), r.end()
}

// skip reads over n replies.
func (r *Reader) skip(n int64, depth int) error {
	for range n {
		kind, n, _, err := r.header()
		if err != nil {
			return err
		}
		if err := r.skipBody(kind, n, depth); err != nil {
			return err
		}
	}
	return nil
}

// skipBody reads over what follows a header.
func (r *Reader) skipBody(kind byte, n int64, depth int) error {
	switch {
	case kind == '$' && n >= 0:
		if err := r.discard(n); err != nil {
			return err
		}
		return r.end()
	case kind == '*' && n > 0 && depth == maxDepth:
		return fmt.Errorf("%w: nested too deeply", errProtocol)
	case kind == '*' && n > 0:
		return r.skip(n, depth+1)
	}
	return nil
}

func (r *Reader) discard(n int64) error {
	if n == 0 {
		return nil
	}
	_, err := r.in.Discard(int(n))
	return err
}

// end reads the end of a bulk string.
func (r *Reader) end() error {
	b, err := r.in.Peek(2)
	if err != nil {
		return err
	}
	if b[0] != '\r' || b[1] != '\n' {
		return fmt.Errorf("%w: a string does not end where it says", errProtocol)
	}
	return r.discard(2)
}
