package rediswire

import (
	"math"

	"github.com/carillon-io/carillon/internal/msgjson"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// DecodeResponse reads a response, in JSON or msgpack. Attachments are parts of payload; nothing else is.
func DecodeResponse(payload []byte, limits Limits) (Response, error) {
	var m responseMembers
	err := eachMember(payload, limits, m.read)
	if err == nil {
		var r Response
		if r, err = m.response(); err == nil {
			return r, nil
		}
	}
	return Response{}, wrap("read response", err)
}

// responseMembers is the union of what the responses consist of. A reader that is zero stands for a missing member.
type responseMembers struct {
	id, uid       string
	kind          float64
	hasKind       bool
	count         float64
	sockets       msgjson.Reader
	rooms         msgjson.Reader
	data, payload msgjson.Reader
	extent        Extent
}

func (m *responseMembers) read(key []byte, value msgjson.Reader) (err error) {
	switch string(key) {
	case "requestId":
		m.id, err = readText(&value)
	case "uid":
		m.uid, err = readText(&value)
	case "type":
		m.kind, err = value.Number()
		m.hasKind = true
	case "clientCount":
		m.count, err = value.Number()
	case "sockets":
		m.sockets = value
	case "rooms":
		m.rooms = value
	case "data":
		m.data = value
	case "packet":
		m.payload = value
	case memberMore, memberParts, memberCut:
		err = m.extent.read(key, &value)
	}
	return err
}

func (m *responseMembers) response() (Response, error) {
	r := Response{ID: m.id, UID: m.uid, Extent: m.extent}
	if m.id == "" {
		return r, errNoID
	}
	var err error
	switch {
	case m.hasKind && m.kind == typeCount:
		r.Type = TypeBroadcastAsk
		r.Reply, err = replyCount(m.count)
	case m.hasKind && m.kind == typeAck:
		r.Type = TypeBroadcastAsk
		r.Reply, err = replyAcked(&m.payload)
	case m.hasKind && m.kind == float64(TypeServerEmit):
		r.Type = TypeServerEmit
		r.Reply, err = replyAcked(&m.data)
	case m.hasKind:
		return r, ErrType
	case m.sockets.Kind() == msgjson.Array:
		r.Type, r.Reply, err = replySocketsOrIDs(&m.sockets)
	case m.rooms.Kind() == msgjson.Array:
		r.Type = TypeAllRooms
		var names adapter.RoomNames
		names, err = readTarget(&m.rooms, "")
		r.Reply = names
	}
	return r, err
}

func replyCount(n float64) (adapter.Reply, error) {
	if n < 0 || n > math.MaxInt32 || n != math.Trunc(n) {
		return nil, errShape
	}
	return adapter.Count(n), nil
}

func replyAcked(r *msgjson.Reader) (adapter.Reply, error) {
	if kind := r.Kind(); kind == msgjson.None || kind == msgjson.Undefined {
		return adapter.Acked{Args: packet.Args{JSON: []byte("[]")}}, nil
	}
	args, err := readArgs(r, []byte{'['}, nil)
	args.JSON = append(args.JSON, ']')
	return adapter.Acked{Args: args}, err
}

// replySocketsOrIDs reads a list of ids, which answers TypeSockets, or of descriptions.
func replySocketsOrIDs(r *msgjson.Reader) (Type, adapter.Reply, error) {
	n, err := r.Array()
	if err != nil {
		return 0, nil, err
	}
	if r.Kind() != msgjson.String {
		sockets, err := readSockets(r, n)
		return TypeFetch, sockets, err
	}
	sockets := make(adapter.Sockets, 0, min(n, r.Left()/len("xx")))
	for range n {
		id, err := readName(r, "")
		if err != nil {
			return 0, nil, err
		}
		if id == "" {
			return 0, nil, errShape
		}
		sockets = append(sockets, adapter.SocketInfo{ID: id})
	}
	return TypeSockets, sockets, nil
}

// replySockets reads a list of descriptions.
func replySockets(r *msgjson.Reader) (adapter.Reply, error) {
	n, err := r.Array()
	if err != nil {
		return nil, err
	}
	return readSockets(r, n)
}

// smallestSocket is the length of the shortest description of a socket, a map with an id of one letter.
const smallestSocket = len("\x81\xa2id\xa1x")

func readSockets(r *msgjson.Reader, n int) (adapter.Reply, error) {
	sockets := make(adapter.Sockets, 0, min(n, r.Left()/smallestSocket))
	for range n {
		s, err := readSocket(r)
		if err != nil {
			return nil, err
		}
		sockets = append(sockets, s)
	}
	return sockets, nil
}

func readSocket(r *msgjson.Reader) (adapter.SocketInfo, error) {
	var s adapter.SocketInfo
	entries, err := r.Map()
	if err != nil {
		return s, err
	}
	for range entries {
		key, err := r.Bytes()
		if err != nil {
			return s, err
		}
		switch string(key) {
		case "id":
			s.ID, err = readName(r, "")
		case "handshake":
			s.Handshake, err = r.AppendPlainJSON(nil)
		case "rooms":
			s.Rooms, err = readTarget(r, "")
		case "data":
			s.Data, err = r.AppendPlainJSON(nil)
		default:
			err = r.Skip()
		}
		if err != nil {
			return s, err
		}
	}
	if s.ID == "" {
		return s, errShape
	}
	return s, nil
}
