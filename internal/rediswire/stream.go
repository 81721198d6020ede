package rediswire

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"unicode/utf16"

	"github.com/carillon-io/carillon/internal/msgjson"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// StreamEntry is an entry of a stream of Node's streams adapter (@socket.io/redis-streams-adapter 0.3): a command.
type StreamEntry struct {
	UID       string // the sender
	Namespace string
	Type      string // decimal digits
	Data      []byte // JSON that begins with {, else base64 of MessagePack; empty where the type has none
}

// Types of entries that are told apart before they are read.
const (
	StreamServerEmit = "9"   // a server-side emit
	StreamTaken      = "100" // between gateways: a session has another server now
	// StreamEnded is a disconnect for stored sessions, between gateways: the sockets that servers have are disconnected otherwise.
	StreamEnded = "101"
)

// NewStreamEntry writes a command as an entry: MessagePack where there are attachments, else JSON.
func NewStreamEntry(uid string, c adapter.Command) (StreamEntry, error) {
	return newStreamEntry(&ClusterMessage{UID: uid, Command: c}, c)
}

// NewStreamEnded writes a disconnect for stored sessions as an entry of type StreamEnded. request is the id of the question that
// asks the nodes to disconnect their sockets; DecodeCluster reads the entry as that question.
func NewStreamEnded(uid, request string, c adapter.Disconnect) (StreamEntry, error) {
	e, err := newStreamEntry(&ClusterMessage{UID: uid, ID: request, Query: adapter.Perform{Command: c}}, c)
	e.Type = StreamEnded
	return e, err
}

func newStreamEntry(m *ClusterMessage, c adapter.Command) (StreamEntry, error) {
	body, err := clusterBodyOf(m)
	if err != nil {
		return StreamEntry{}, fmt.Errorf("rediswire: write stream entry: %w", err)
	}
	e := StreamEntry{UID: m.UID, Namespace: adapter.NamespaceOf(c), Type: strconv.Itoa(body.kind)}
	if !body.binary {
		e.Data = body.appendJSONData(make([]byte, 0, len(body.packet)+len(body.rest)+128), m)
		return e, nil
	}
	packed := body.appendMsgpackData(make([]byte, 0, len(body.packet)+128), m)
	e.Data = base64.StdEncoding.AppendEncode(make([]byte, 0, base64.StdEncoding.EncodedLen(len(packed))), packed)
	return e, nil
}

// Message returns the entry as a message of the sharded adapter, for ClusterBroadcast and DecodeCluster.
func (e *StreamEntry) Message() ([]byte, error) {
	kind, err := strconv.ParseUint(e.Type, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("rediswire: read stream entry: type: %w", errShape)
	}
	if e.Type == StreamEnded {
		kind = clusterDisconnect
	}
	if len(e.Data) == 0 || e.Data[0] == '{' {
		m := make([]byte, 0, len(e.Data)+len(e.UID)+len(e.Namespace)+48)
		m = strconv.AppendUint(append(m, `{"type":`...), kind, 10)
		if len(e.Data) > 0 {
			m = append(append(m, `,"data":`...), e.Data...)
		}
		m = msgjson.AppendQuoted(append(m, `,"uid":`...), []byte(e.UID))
		return append(msgjson.AppendQuoted(append(m, `,"nsp":`...), []byte(e.Namespace)), '}'), nil
	}
	size := base64.StdEncoding.DecodedLen(len(e.Data))
	m := make([]byte, 0, size+len(e.UID)+len(e.Namespace)+48)
	m = msgjson.AppendUint(msgjson.AppendString(msgjson.AppendMap(m, 4), "type"), kind)
	if m, err = base64.StdEncoding.AppendDecode(msgjson.AppendString(m, "data"), e.Data); err != nil {
		return nil, fmt.Errorf("rediswire: read stream entry: data: %w", err)
	}
	m = msgjson.AppendString(msgjson.AppendString(m, "uid"), e.UID)
	return msgjson.AppendString(msgjson.AppendString(m, "nsp"), e.Namespace), nil
}

// AppendEphemeral appends what the streams adapter publishes besides its stream, questions and answers: the message of the sharded adapter, always as MessagePack. It fails as AppendCluster does.
func AppendEphemeral(dst []byte, nsp string, m *ClusterMessage) ([]byte, error) {
	body, err := clusterBodyOf(m)
	if err != nil {
		return dst, fmt.Errorf("rediswire: write message beside a stream: %w", err)
	}
	if body.binary {
		return body.appendMsgpack(dst, nsp, m), nil
	}
	const around = 8 // levels of the message around arguments
	out, err := msgjson.AppendMsgpack(dst, body.appendJSON(nil, nsp, m), nil, writeDepth+around)
	if err != nil {
		return dst, fmt.Errorf("rediswire: write message beside a stream: %w", err)
	}
	return out, nil
}

// IsClassic reports whether a message on the channel of a namespace is one of the classic protocol, a list, and not of the streams
// adapter, a map: both publish there.
func IsClassic(payload []byte) bool {
	return len(payload) > 0 && (payload[0]&0xf0 == 0x90 || payload[0] == 0xdc || payload[0] == 0xdd)
}

// StreamOf is the name of a namespace's stream, where there are several as Node's adapter names them: a remainder that keeps
// its sign, so that of some namespaces it is negative, and Node's servers do not read it.
func StreamOf(name string, count int, nsp string) string {
	if count <= 1 {
		return name
	}
	return name + "-" + strconv.Itoa(int(nodeHash(nsp))%count)
}

// nodeHash is 31 times the hash of what stands before, plus the UTF-16 unit, in 32 bits.
func nodeHash(text string) (hash int32) {
	for _, unit := range utf16.Encode([]rune(text)) {
		hash = hash*31 + int32(unit)
	}
	return hash
}
