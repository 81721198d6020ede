package rediswire

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/carillon-io/carillon/internal/msgjson"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// Response is a message on a response channel.
type Response struct {
	ID  string // of the request
	UID string // the node that answers; empty from Node's servers, which ignore it
	// Type is that of the request. DecodeResponse takes an empty list of sockets for an answer to TypeFetch, and has
	// nothing to tell the type of an answer without Reply by.
	Type Type
	// Reply is nil when there is nothing to say: in the answer to a request for one socket by id, and in a faulty
	// answer that nevertheless counts as one.
	Reply adapter.Reply
	// Extent is of adapter.Sockets and adapter.RoomNames.
	Extent Extent
}

// The numbers of the two kinds of answer to TypeBroadcastAsk. The first is also the answer of our nodes to what asks for
// an adapter.Counted; DecodeResponse cannot tell, and returns an adapter.Count.
const (
	typeCount = 8
	typeAck   = 9
)

var (
	errNoAnswer   = errors.New("rediswire: reply does not answer this type of request")
	errSocketJSON = errors.New("handshake or data is no JSON")
)

// AppendResponse appends r in the form that its Type wants. Of an acknowledgement only the first argument travels, as
// with Node. It fails, and returns dst as it was, when the Reply does not answer the Type, or holds malformed JSON.
func AppendResponse(dst []byte, r *Response) ([]byte, error) {
	out, err := appendResponse(dst, r)
	switch {
	case errors.Is(err, errNoAnswer):
		return dst, err
	case err != nil:
		return dst, fmt.Errorf("rediswire: write response: %w", err)
	}
	return out, nil
}

func appendResponse(dst []byte, r *Response) ([]byte, error) {
	switch reply := r.Reply.(type) {
	case nil:
		return append(appendIdentity(append(dst, '{'), r), '}'), nil
	case adapter.Sockets:
		switch r.Type {
		case TypeSockets:
			return appendSocketIDs(dst, r, reply), nil
		case TypeFetch, typeList:
			return appendSockets(dst, r, reply)
		}
	case adapter.RoomNames:
		if r.Type == TypeAllRooms {
			dst = append(appendIdentity(append(dst, '{'), r), `,"rooms":`...)
			return append(r.Extent.appendJSON(appendQuotedList(dst, reply)), '}'), nil
		}
	case adapter.Count:
		if r.Type == TypeBroadcastAsk {
			return appendCount(dst, r, int(reply)), nil
		}
	case adapter.Counted:
		switch r.Type {
		case TypeSockets, TypeJoin, TypeLeave, TypeDisconnect:
			return appendCount(dst, r, reply.Sockets), nil
		}
	case adapter.Acked:
		switch r.Type {
		case TypeServerEmit:
			return appendServerAck(dst, r, reply)
		case TypeBroadcastAsk:
			return appendClientAck(dst, r, reply)
		}
	}
	return dst, errNoAnswer
}

func appendCount(dst []byte, r *Response, n int) []byte {
	dst = appendIdentity(appendNumbered(dst, typeCount), r)
	dst = strconv.AppendInt(append(dst, `,"clientCount":`...), int64(n), 10)
	return append(dst, '}')
}

func appendNumbered(dst []byte, kind int) []byte {
	return append(strconv.AppendInt(append(dst, `{"type":`...), int64(kind), 10), ',')
}

func appendIdentity(dst []byte, r *Response) []byte {
	dst = msgjson.AppendQuoted(append(dst, `"requestId":`...), []byte(r.ID))
	if r.UID != "" {
		dst = msgjson.AppendQuoted(append(dst, `,"uid":`...), []byte(r.UID))
	}
	return dst
}

func appendSocketIDs(dst []byte, r *Response, sockets adapter.Sockets) []byte {
	dst = append(appendIdentity(append(dst, '{'), r), `,"sockets":[`...)
	for i, s := range sockets {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = msgjson.AppendQuoted(dst, []byte(s.ID))
	}
	return append(r.Extent.appendJSON(append(dst, ']')), '}')
}

func appendSockets(dst []byte, r *Response, sockets adapter.Sockets) ([]byte, error) {
	dst = append(appendIdentity(append(dst, '{'), r), `,"sockets":`...)
	dst, err := appendSocketList(dst, sockets)
	return append(r.Extent.appendJSON(dst), '}'), err
}

// appendSocketList appends descriptions of sockets.
func appendSocketList(dst []byte, sockets adapter.Sockets) ([]byte, error) {
	dst = append(dst, '[')
	for i := range sockets {
		s := &sockets[i]
		handshake, data := orEmptyObject(s.Handshake), orEmptyObject(s.Data)
		if !json.Valid(handshake) || !json.Valid(data) {
			return dst, fmt.Errorf("socket %q: %w", s.ID, errSocketJSON)
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = msgjson.AppendQuoted(append(dst, `{"id":`...), []byte(s.ID))
		dst = append(append(dst, `,"handshake":`...), handshake...)
		dst = appendQuotedList(append(dst, `,"rooms":`...), s.Rooms)
		dst = append(append(append(dst, `,"data":`...), data...), '}')
	}
	return append(dst, ']'), nil
}

func orEmptyObject(text []byte) []byte {
	if len(text) == 0 {
		return []byte("{}")
	}
	return text
}

// appendServerAck is JSON, as in the request: bytes become {"type":"Buffer","data":[...]}.
func appendServerAck(dst []byte, r *Response, ack adapter.Acked) ([]byte, error) {
	first, err := firstArgument(ack)
	if err != nil {
		return dst, err
	}
	dst = appendIdentity(appendNumbered(dst, int(TypeServerEmit)), r)
	if len(first) > 0 {
		value := msgjson.NewReader(first, writeDepth)
		if dst, err = value.AppendPlainJSON(append(dst, `,"data":`...)); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

func appendClientAck(dst []byte, r *Response, ack adapter.Acked) ([]byte, error) {
	first, err := firstArgument(ack)
	if err != nil {
		return dst, err
	}
	entries := 2
	if r.UID != "" {
		entries++
	}
	if len(first) > 0 {
		entries++
	}
	dst = msgjson.AppendMap(dst, entries)
	dst = msgjson.AppendUint(msgjson.AppendString(dst, "type"), typeAck)
	dst = msgjson.AppendString(msgjson.AppendString(dst, "requestId"), r.ID)
	if r.UID != "" {
		dst = msgjson.AppendString(msgjson.AppendString(dst, "uid"), r.UID)
	}
	if len(first) > 0 {
		dst = append(msgjson.AppendString(dst, "packet"), first...)
	}
	return dst, nil
}

// firstArgument is the first argument in msgpack, empty when there is none.
func firstArgument(ack adapter.Acked) ([]byte, error) {
	if len(ack.Args.JSON) == 0 {
		return nil, nil
	}
	packed, err := msgjson.AppendMsgpack(nil, ack.Args.JSON, ack.Args.Attachments, writeDepth)
	if err != nil {
		return nil, err
	}
	r := msgjson.NewReader(packed, 0)
	if n, err := r.Array(); n == 0 {
		return nil, err
	}
	return r.Raw()
}
