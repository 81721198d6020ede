package rediswire

import (
	"fmt"
	"strconv"
	"time"

	"github.com/carillon-io/carillon/internal/msgjson"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// The types of the messages of Node's sharded adapter.
const (
	clusterBroadcast   = 3
	clusterJoin        = 4
	clusterLeave       = 5
	clusterDisconnect  = 6
	clusterFetch       = 7
	clusterSockets     = 8
	clusterServerEmit  = 9
	clusterServerAcked = 10
	clusterCount       = 11
	clusterAcked       = 12

	clusterList = 20 // our own: adapter.ListSockets for one node of our kind; Node's servers ignore types they do not know
)

// onlyRooms is our own member of a fetch: nodes of this project answer with the names of the rooms alone. Node's servers
// have no question for all rooms; they answer with sockets, and each socket lists its rooms.
const onlyRooms = "onlyRooms"

// ClusterMessage is a message of the sharded adapter. Exactly one of Command, Query and Reply is set.
type ClusterMessage struct {
	UID     string // the sender
	ID      string // of the query, in queries and replies
	Command adapter.Command
	Query   adapter.Query
	Reply   adapter.Reply
	// Type is that of the query that an adapter.Acked answers: TypeServerEmit or TypeBroadcastAsk.
	Type Type
	// Extent is of adapter.Sockets and adapter.RoomNames.
	Extent Extent
}

// AppendCluster appends m as Node's sharded adapter publishes it in nsp: JSON, or MessagePack where there are
// attachments. Of an acknowledgement only the first argument travels. It fails, and returns dst as it was, when m holds
// arguments that are not what packet.Args promises, or malformed JSON.
func AppendCluster(dst []byte, nsp string, m *ClusterMessage) ([]byte, error) {
	body, err := clusterBodyOf(m)
	if err != nil {
		return dst, fmt.Errorf("rediswire: write cluster message: %w", err)
	}
	if body.binary {
		return body.appendMsgpack(dst, nsp, m), nil
	}
	return body.appendJSON(dst, nsp, m), nil
}

// clusterBody is what is in the data of a message, apart from the request id. The members stand in the order in which
// they are written.
type clusterBody struct {
	kind   int
	binary bool
	// packet is MessagePack when binary, else JSON; empty: none. In a broadcast it is the event.
	packet  []byte
	opts    *clusterOptions
	idFirst bool   // the request id comes before packet
	rest    []byte // further members in JSON, with a comma before each; only without binary
}

type clusterOptions struct {
	target     rooms.Target
	volatile   bool
	noCompress bool
	timeout    time.Duration
}

func clusterBodyOf(m *ClusterMessage) (clusterBody, error) {
	command := m.Command
	if q, ok := m.Query.(adapter.Perform); ok {
		command = q.Command
	}
	switch c := command.(type) {
	case adapter.Broadcast:
		return broadcastBody(&c, 0)
	case adapter.Join:
		return clusterBody{kind: clusterJoin, opts: &clusterOptions{target: c.Target},
			rest: appendQuotedList([]byte(`,"rooms":`), c.Rooms)}, nil
	case adapter.Leave:
		return clusterBody{kind: clusterLeave, opts: &clusterOptions{target: c.Target},
			rest: appendQuotedList([]byte(`,"rooms":`), c.Rooms)}, nil
	case adapter.Disconnect:
		return clusterBody{kind: clusterDisconnect, opts: &clusterOptions{target: c.Target},
			rest: strconv.AppendBool([]byte(`,"close":`), c.Close)}, nil
	case adapter.ServerEmit:
		return serverEmitBody(c.Args)
	}
	switch q := m.Query.(type) {
	case adapter.FetchSockets:
		return clusterBody{kind: clusterFetch, opts: &clusterOptions{target: q.Target}}, nil
	case adapter.CountSockets:
		return clusterBody{kind: clusterFetch, opts: &clusterOptions{target: rooms.Target{Rooms: q.Rooms}},
			rest: []byte(`,"` + onlyCount + `":true`)}, nil
	case adapter.ListSockets:
		body := clusterBody{kind: clusterList, opts: &clusterOptions{target: q.Target}, rest: appendPage(nil, &q)}
		if q.Node == "" {
			body.kind, body.rest = clusterFetch, []byte(`,"`+onlyOthers+`":true`)
		}
		return body, nil
	case adapter.AllRooms:
		return clusterBody{kind: clusterFetch, opts: &clusterOptions{}, rest: []byte(`,"` + onlyRooms + `":true`)}, nil
	case adapter.ServerAsk:
		return serverEmitBody(q.Args)
	case adapter.BroadcastAsk:
		return broadcastBody(&q.Broadcast, q.Timeout)
	}
	return replyBody(m)
}

func broadcastBody(b *adapter.Broadcast, timeout time.Duration) (clusterBody, error) {
	body := clusterBody{kind: clusterBroadcast, opts: &clusterOptions{
		target: b.Target, volatile: b.Volatile, noCompress: b.NoCompress, timeout: timeout,
	}}
	packed, err := appendEvent(make([]byte, 0, len(b.Args.JSON)+64), b.Args, writeDepth)
	if err != nil {
		return body, err
	}
	body.setPacket(packed, b.Args)
	return body, nil
}

func serverEmitBody(args packet.Args) (clusterBody, error) {
	body := clusterBody{kind: clusterServerEmit, idFirst: true}
	packed, err := msgjson.AppendMsgpack(nil, args.JSON, args.Attachments, writeDepth)
	if err == nil {
		err = checkName(msgjson.NewReader(packed, 0))
	}
	if err != nil {
		return body, err
	}
	body.setPacket(packed, args)
	return body, nil
}

// setPacket takes the form that the arguments need. The text is sound, since it could be packed.
func (b *clusterBody) setPacket(packed []byte, args packet.Args) {
	if b.binary = len(args.Attachments) > 0; b.binary {
		b.packet = packed
	} else {
		b.packet = args.JSON
	}
}

func replyBody(m *ClusterMessage) (clusterBody, error) {
	body := clusterBody{idFirst: true}
	var err error
	switch reply := m.Reply.(type) {
	case adapter.Sockets:
		body.kind = clusterSockets
		body.rest, err = appendSocketList([]byte(`,"sockets":`), reply)
		body.rest = m.Extent.appendJSON(body.rest)
	case adapter.RoomNames:
		body.kind = clusterSockets
		body.rest = m.Extent.appendJSON(appendQuotedList([]byte(`,"sockets":[],"rooms":`), reply))
	case adapter.Count:
		body.kind = clusterCount
		body.rest = strconv.AppendInt([]byte(`,"clientCount":`), int64(reply), 10)
	case adapter.Counted:
		body.kind = clusterCount
		body.rest = strconv.AppendInt([]byte(`,"clientCount":`), int64(reply.Sockets), 10)
	case adapter.Acked:
		if body.kind = clusterAcked; m.Type == TypeServerEmit {
			body.kind = clusterServerAcked
		}
		body.packet, err = firstArgument(reply)
		if body.binary = len(reply.Args.Attachments) > 0; err == nil && !body.binary && len(body.packet) > 0 {
			first := msgjson.NewReader(body.packet, writeDepth)
			body.packet, err = first.AppendPlainJSON(nil)
		}
	default:
		err = errNoAnswer
	}
	return body, err
}

func (b *clusterBody) appendJSON(dst []byte, nsp string, m *ClusterMessage) []byte {
	dst = strconv.AppendInt(append(dst, `{"type":`...), int64(b.kind), 10)
	dst = b.appendJSONData(append(dst, `,"data":`...), m)
	dst = msgjson.AppendQuoted(append(dst, `,"uid":`...), []byte(m.UID))
	dst = msgjson.AppendQuoted(append(dst, `,"nsp":`...), []byte(nsp))
	return append(dst, '}')
}

func (b *clusterBody) appendJSONData(dst []byte, m *ClusterMessage) []byte {
	dst = append(dst, '{')
	start := len(dst)
	if b.idFirst {
		dst = appendJSONID(dst, m.ID)
	}
	switch {
	case len(b.packet) == 0:
	case b.kind == clusterBroadcast:
		dst = append(append(append(dst, `,"packet":{"type":2,"data":`...), b.packet...), '}')
	default:
		dst = append(append(dst, `,"packet":`...), b.packet...)
	}
	if b.kind == clusterBroadcast {
		dst = appendJSONID(dst, m.ID)
	}
	if b.opts != nil {
		dst = b.opts.appendJSON(append(dst, `,"opts":`...))
	}
	if !b.idFirst && b.kind != clusterBroadcast {
		dst = appendJSONID(dst, m.ID)
	}
	dst = append(dst, b.rest...)
	dst = append(dst[:start], dst[start+1:]...) // the comma before the first member
	return append(dst, '}')
}

func appendJSONID(dst []byte, id string) []byte {
	if id == "" {
		return dst
	}
	return msgjson.AppendQuoted(append(dst, `,"requestId":`...), []byte(id))
}

func (o *clusterOptions) appendJSON(dst []byte) []byte {
	dst = appendQuotedList(append(dst, `{"rooms":`...), o.target.Rooms)
	dst = appendQuotedList(append(dst, `,"except":`...), o.target.Except)
	dst = append(dst, `,"flags":{`...)
	start := len(dst)
	if o.volatile {
		dst = append(dst, `,"volatile":true`...)
	}
	if o.noCompress {
		dst = append(dst, `,"compress":false`...)
	}
	if o.timeout > 0 {
		dst = strconv.AppendInt(append(dst, `,"timeout":`...), int64(o.timeout/time.Millisecond), 10)
	}
	if len(dst) > start {
		dst = append(dst[:start], dst[start+1:]...)
	}
	return append(dst, "}}"...)
}

// appendMsgpack is for messages with attachments: broadcasts, server-side emits and acknowledgements.
func (b *clusterBody) appendMsgpack(dst []byte, nsp string, m *ClusterMessage) []byte {
	dst = msgjson.AppendUint(msgjson.AppendString(msgjson.AppendMap(dst, 4), "type"), uint64(b.kind))
	dst = b.appendMsgpackData(msgjson.AppendString(dst, "data"), m)
	dst = msgjson.AppendString(msgjson.AppendString(dst, "uid"), m.UID)
	return msgjson.AppendString(msgjson.AppendString(dst, "nsp"), nsp)
}

func (b *clusterBody) appendMsgpackData(dst []byte, m *ClusterMessage) []byte {
	members := 1
	if m.ID != "" {
		members++
	}
	if b.opts != nil {
		members++
	}
	dst = msgjson.AppendMap(dst, members)
	if b.idFirst {
		dst = appendPackedID(dst, m.ID)
	}
	dst = msgjson.AppendString(dst, "packet")
	if b.kind == clusterBroadcast {
		dst = msgjson.AppendUint(msgjson.AppendString(msgjson.AppendMap(dst, 2), "type"), packetEvent)
		dst = msgjson.AppendString(dst, "data")
	}
	dst = append(dst, b.packet...)
	if !b.idFirst {
		dst = appendPackedID(dst, m.ID)
	}
	if b.opts != nil {
		dst = b.opts.appendMsgpack(msgjson.AppendString(dst, "opts"))
	}
	return dst
}

func appendPackedID(dst []byte, id string) []byte {
	if id == "" {
		return dst
	}
	return msgjson.AppendString(msgjson.AppendString(dst, "requestId"), id)
}

func (o *clusterOptions) appendMsgpack(dst []byte) []byte {
	dst = appendRooms(msgjson.AppendMap(dst, 3), o.target)
	flags := 0
	for _, set := range []bool{o.volatile, o.noCompress, o.timeout > 0} {
		if set {
			flags++
		}
	}
	dst = msgjson.AppendMap(msgjson.AppendString(dst, "flags"), flags)
	if o.volatile {
		dst = msgjson.AppendBool(msgjson.AppendString(dst, "volatile"), true)
	}
	if o.noCompress {
		dst = msgjson.AppendBool(msgjson.AppendString(dst, "compress"), false)
	}
	if o.timeout > 0 {
		dst = msgjson.AppendInt(msgjson.AppendString(dst, "timeout"), int64(o.timeout/time.Millisecond))
	}
	return dst
}
