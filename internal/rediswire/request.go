package rediswire

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/carillon-io/carillon/internal/msgjson"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Type is the number of a request.
type Type int

// The requests. On the wire the responses to TypeBroadcastAsk have the numbers 8 and 9.
const (
	TypeSockets      Type = iota // ids of sockets: adapter.CountSockets, or from Node's servers, read as adapter.FetchSockets
	TypeAllRooms                 // adapter.AllRooms
	TypeJoin                     // adapter.Join, or adapter.Perform of it when it has an ID; so the next two
	TypeLeave                    // adapter.Leave
	TypeDisconnect               // adapter.Disconnect
	TypeFetch                    // adapter.FetchSockets, or adapter.ListSockets for the servers without names
	TypeServerEmit               // adapter.ServerEmit, or adapter.ServerAsk when it has an ID
	TypeBroadcastAsk             // adapter.BroadcastAsk
)

// typeList is our own: adapter.ListSockets for one node of our kind. Node's servers ignore requests of types they do not
// know.
const typeList Type = 20

// Members of our own in requests that Node's servers answer or obey as they always do.
const (
	// onlyCount in a request for sockets: nodes of this project answer with a number.
	onlyCount = "onlyCount"
	// onlyOthers in a request to fetch sockets: nodes of this project answer with none.
	onlyOthers = "onlyOthers"
)

// Request is a message on the request channel. Exactly one of Command and Query is set.
type Request struct {
	UID     string // the sender; empty when it names none, as emitters do with commands
	ID      string // what the answers refer to; empty when none is wanted
	Type    Type   // set by DecodeRequest, ignored by AppendRequest
	Command adapter.Command
	Query   adapter.Query
	// Socket is set by DecodeRequest in the old form of join, leave and disconnect, which is for one socket by id. The
	// node that has the socket answers with a Response without Reply; the others are silent.
	Socket string
}

var errNoRequest = errors.New("rediswire: no request of this kind")

// AppendRequest appends r as Node's adapter and emitter publish it. It fails, and returns dst as it was, when r holds
// no command or query that is a request (a broadcast is none), or one with arguments that are not what packet.Args
// promises. Attachments of a server-side emit become what Node makes of a Buffer in JSON:
// {"type":"Buffer","data":[...]}.
func AppendRequest(dst []byte, r *Request) ([]byte, error) {
	command := r.Command
	if q, ok := r.Query.(adapter.Perform); ok {
		command = q.Command
	}
	switch c := command.(type) {
	case adapter.Join:
		return appendMembership(dst, r, TypeJoin, c.Target, c.Rooms), nil
	case adapter.Leave:
		return appendMembership(dst, r, TypeLeave, c.Target, c.Rooms), nil
	case adapter.Disconnect:
		out := appendTarget(appendStart(dst, r, TypeDisconnect), c.Target)
		out = strconv.AppendBool(append(out, `,"close":`...), c.Close)
		return append(out, '}'), nil
	case adapter.ServerEmit:
		return appendServerEmit(dst, r, c.Args)
	case nil:
	default:
		return dst, errNoRequest
	}
	switch q := r.Query.(type) {
	case adapter.FetchSockets:
		return append(appendTarget(appendStart(dst, r, TypeFetch), q.Target), '}'), nil
	case adapter.CountSockets:
		out := appendQuotedList(append(appendStart(dst, r, TypeSockets), `,"rooms":`...), q.Rooms)
		return append(out, `,"`+onlyCount+`":true}`...), nil
	case adapter.ListSockets:
		if q.Node == "" {
			out := appendTarget(appendStart(dst, r, TypeFetch), q.Target)
			return append(out, `,"`+onlyOthers+`":true}`...), nil
		}
		return append(appendPage(appendTarget(appendStart(dst, r, typeList), q.Target), &q), '}'), nil
	case adapter.AllRooms:
		return append(appendStart(dst, r, TypeAllRooms), '}'), nil
	case adapter.ServerAsk:
		return appendServerEmit(dst, r, q.Args)
	case adapter.BroadcastAsk:
		return appendBroadcastAsk(dst, r, &q)
	}
	return dst, errNoRequest
}

// appendStart appends the members that all requests have, and leaves the object open.
func appendStart(dst []byte, r *Request, kind Type) []byte {
	dst = append(dst, '{')
	if r.UID != "" {
		dst = append(msgjson.AppendQuoted(append(dst, `"uid":`...), []byte(r.UID)), ',')
	}
	if r.ID != "" {
		dst = append(msgjson.AppendQuoted(append(dst, `"requestId":`...), []byte(r.ID)), ',')
	}
	return strconv.AppendInt(append(dst, `"type":`...), int64(kind), 10)
}

// appendPage appends which page of which node is wanted, with a comma before each member.
func appendPage(dst []byte, q *adapter.ListSockets) []byte {
	dst = msgjson.AppendQuoted(append(dst, `,"node":`...), []byte(q.Node))
	dst = msgjson.AppendQuoted(append(dst, `,"after":`...), []byte(q.After))
	return strconv.AppendInt(append(dst, `,"limit":`...), int64(q.Limit), 10)
}

func appendMembership(dst []byte, r *Request, kind Type, target rooms.Target, names []string) []byte {
	dst = appendTarget(appendStart(dst, r, kind), target)
	dst = appendQuotedList(append(dst, `,"rooms":`...), names)
	return append(dst, '}')
}

func appendTarget(dst []byte, target rooms.Target) []byte {
	dst = appendQuotedList(append(dst, `,"opts":{"rooms":`...), target.Rooms)
	dst = appendQuotedList(append(dst, `,"except":`...), target.Except)
	return append(dst, '}')
}

func appendQuotedList(dst []byte, names []string) []byte {
	dst = append(dst, '[')
	for i, name := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = msgjson.AppendQuoted(dst, []byte(name))
	}
	return append(dst, ']')
}

func appendServerEmit(dst []byte, r *Request, args packet.Args) ([]byte, error) {
	packed, err := msgjson.AppendMsgpack(nil, args.JSON, args.Attachments, writeDepth)
	if err == nil {
		err = checkName(msgjson.NewReader(packed, 0))
	}
	if err != nil {
		return dst, fmt.Errorf("rediswire: write server-side emit: %w", err)
	}
	data := msgjson.NewReader(packed, writeDepth)
	out, err := data.AppendPlainJSON(append(appendStart(dst, r, TypeServerEmit), `,"data":`...))
	if err != nil {
		return dst, fmt.Errorf("rediswire: write server-side emit: %w", err)
	}
	return append(out, '}'), nil
}

func appendBroadcastAsk(dst []byte, r *Request, q *adapter.BroadcastAsk) ([]byte, error) {
	out := msgjson.AppendMap(dst, 5)
	out = msgjson.AppendString(msgjson.AppendString(out, "uid"), r.UID)
	out = msgjson.AppendString(msgjson.AppendString(out, "requestId"), r.ID)
	out = msgjson.AppendUint(msgjson.AppendString(out, "type"), uint64(TypeBroadcastAsk))
	out, err := appendPacket(msgjson.AppendString(out, "packet"), &q.Broadcast, writeDepth)
	if err != nil {
		return dst, fmt.Errorf("rediswire: write broadcast with acknowledgement: %w", err)
	}
	out = msgjson.AppendMap(msgjson.AppendString(out, "opts"), 3)
	out = appendRooms(out, q.Broadcast.Target)
	out = msgjson.AppendMap(msgjson.AppendString(out, "flags"), 1) // Node drops the others here
	out = msgjson.AppendString(out, "timeout")
	return msgjson.AppendInt(out, int64(q.Timeout/time.Millisecond)), nil
}
