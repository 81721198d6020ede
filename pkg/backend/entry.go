package backend

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Kind is what an entry reports.
type Kind uint8

// The kinds of entries, and the text of field t that each is read from.
const (
	KindEvent        Kind = iota + 1 // "event": a client sent an event
	KindConnected                    // "connected": a socket has joined its namespace
	KindDisconnected                 // "disconnected": it has left; the last entry of a socket
)

var kinds = map[string]Kind{"event": KindEvent, "connected": KindConnected, "disconnected": KindDisconnected}

// String is the text of field t.
func (k Kind) String() string {
	for text, kind := range kinds {
		if kind == k {
			return text
		}
	}
	return "unknown"
}

// Entry is one entry of a route's stream. It belongs to the handler that receives it, which may keep it and must not
// change the memory it refers to, because a dead letter is written from Redis and a retry reads the entry again.
type Entry struct {
	Kind      Kind
	Route     string
	Partition int
	ID        string // of the stream, such as 1700000000000-0

	Namespace string
	Socket    string    // id of the socket
	Seq       int64     // counts the entries of this socket on this route, from 1
	Node      string    // the gateway process that the socket is connected to; opaque
	Time      time.Time // when the gateway received the event, by its clock
	User      string    // claim sub of the client's token; empty without one

	// Of events.
	Event string
	Args  packet.Args // as the client sent them, without the event's name
	// Ack is the token of an acknowledgement that the client waits for, empty if it waits for none. Deadline is when the
	// gateway stops waiting for the answer.
	Ack      string
	Deadline time.Time
	// Hash is equal for events of equal name, arguments and attachments, whichever socket sent them; empty from gateways
	// that do not write it. It is what a client's own resend has in common with the first try: see Key.
	Hash string

	// Of connected sockets.
	IP     string
	Auth   []byte // JSON, without the token
	Claims []byte // JSON object; nil without a token

	Reason string // of disconnected sockets

	// Attempt is 1 when the entry is handled for the first time. An attempt that was cut short, by a crash or because the
	// lease was lost, counts from the second attempt on.
	Attempt int
	// Fence is the number of the lease under which the entry is handled. It only grows: a store that remembers the largest
	// one it has seen for a partition can refuse writes of a process that was frozen and lost its lease without noticing.
	Fence int64

	fields []string
	size   int
}

// Key names the entry: <socket>/<route>/<seq>. An entry that is delivered again, which happens after a crash, has the
// same key. A client that sends an event again, as the official client does with its option retries, writes a second
// entry with a key of its own: the same Hash from the same user shortly afterwards is what tells it, and two events
// that are equal on purpose look alike. The sure way is an id among the arguments.
func (e *Entry) Key() string { return e.Socket + "/" + e.Route + "/" + strconv.FormatInt(e.Seq, 10) }

// Field returns a field of the entry as it stands in the stream.
func (e *Entry) Field(name string) (string, bool) { return field(e.fields, name) }

func field(fields []string, name string) (string, bool) {
	for i := 0; i+1 < len(fields); i += 2 {
		if fields[i] == name {
			return fields[i+1], true
		}
	}
	return "", false
}

// WantsAck reports whether the client waits for an answer.
func (e *Entry) WantsAck() bool { return e.Ack != "" }

// Bind decodes the leading arguments into pointers, as encoding/json does; attachments fill []byte. An argument that the
// client left out is an error.
func (e *Entry) Bind(into ...any) error {
	for i, v := range into {
		if err := e.Args.Unmarshal(i, v); err != nil {
			return err
		}
	}
	return nil
}

var errMalformed = errors.New("malformed entry")

// entryOverhead is what an entry takes beside the text of its fields: names, headers, and the record itself.
const entryOverhead = 512

// sizeOf is the memory that an entry of these fields holds.
func sizeOf(fields []string) int {
	size := entryOverhead
	for _, text := range fields {
		size += len(text)
	}
	return 2 * size // fields, and what was decoded from them
}

// parseEntry reads the fields of an entry. Those it does not know are kept and otherwise ignored. With an error the
// entry has what could be read.
func parseEntry(fields []string) (*Entry, error) {
	e := &Entry{fields: fields, size: sizeOf(fields)}
	get := func(name string) string { text, _ := field(fields, name); return text }
	e.Socket = get("sid")
	if v := get("v"); v != "1" {
		return e, fmt.Errorf("%w: version %.20q", errMalformed, v)
	}
	e.Kind = kinds[get("t")]
	if e.Kind == 0 {
		return e, fmt.Errorf("%w: type %.20q", errMalformed, get("t"))
	}
	if e.Socket == "" {
		return e, fmt.Errorf("%w: no socket", errMalformed)
	}
	var err error
	if e.Seq, err = strconv.ParseInt(get("seq"), 10, 64); err != nil || e.Seq < 1 {
		return e, fmt.Errorf("%w: seq %.20q", errMalformed, get("seq"))
	}
	if e.Time, err = parseTime(get("ts")); err != nil {
		return e, err
	}
	e.Namespace, e.Node, e.User = get("nsp"), get("node"), get("user")
	switch e.Kind {
	case KindEvent:
		return e, e.parseEvent(get)
	case KindConnected:
		e.IP = get("ip")
		if e.Auth, err = jsonField(get, "auth"); err == nil {
			e.Claims, err = jsonField(get, "claims")
		}
		return e, err
	default:
		e.Reason = get("reason")
		return e, nil
	}
}

func (e *Entry) parseEvent(get func(string) string) error {
	var ok bool
	if e.Event, ok = field(e.fields, "ev"); !ok {
		return fmt.Errorf("%w: no event", errMalformed)
	}
	data, err := jsonField(get, "data")
	if err != nil || len(data) == 0 || data[0] != '[' {
		return fmt.Errorf("%w: data is no JSON array", errMalformed)
	}
	e.Args.JSON = data
	for i := 0; ; i++ {
		bytes, ok := field(e.fields, "b"+strconv.Itoa(i))
		if !ok {
			break
		}
		e.Args.Attachments = append(e.Args.Attachments, []byte(bytes))
	}
	e.Hash = get("h")
	if e.Ack = get("ack"); e.Ack != "" {
		e.Deadline, err = parseTime(get("dl"))
	}
	return err
}

func parseTime(text string) (time.Time, error) {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: time %.20q", errMalformed, text)
	}
	return time.UnixMilli(ms), nil
}

func jsonField(get func(string) string, name string) ([]byte, error) {
	text := []byte(get(name))
	if len(text) > 0 && !json.Valid(text) {
		return nil, fmt.Errorf("%w: %s is no JSON", errMalformed, name)
	}
	return text, nil
}
