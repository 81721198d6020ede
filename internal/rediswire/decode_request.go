package rediswire

import (
	"fmt"

	"github.com/carillon-io/carillon/internal/msgjson"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// DecodeRequest reads a request that arrived in nsp, in JSON or msgpack. Attachments are parts of payload; nothing else
// is.
//
// The requests of Socket.IO 2.x servers, which number them otherwise, are refused with ErrType.
func DecodeRequest(nsp string, payload []byte, limits Limits) (Request, error) {
	var m requestMembers
	err := eachMember(payload, limits, m.read)
	if err == nil {
		var r Request
		if r, err = m.request(nsp); err == nil {
			return r, nil
		}
	}
	return Request{}, wrap("read request", err)
}

// requestMembers is the union of what the requests consist of.
type requestMembers struct {
	uid, id string
	kind    float64
	hasKind bool
	old     bool // Socket.IO 2.x spells requestid
	socket  string
	room    string
	rooms   msgjson.Reader
	close   bool
	opts    options
	hasOpts bool
	data    msgjson.Reader
	packet  msgjson.Reader
	count   bool
	others  bool
	page    pageMembers
}

func (m *requestMembers) read(key []byte, value msgjson.Reader) (err error) {
	switch string(key) {
	case "uid":
		m.uid, err = readText(&value)
	case "requestId":
		m.id, err = readText(&value)
	case "requestid":
		m.old = true
	case "type":
		m.kind, err = value.Number()
		m.hasKind = true
	case "sid":
		m.socket, err = readText(&value)
	case "room":
		m.room, err = readText(&value)
	case "rooms":
		m.rooms = value
	case "close":
		m.close, err = readTruth(&value)
	case "opts":
		if kind := value.Kind(); kind == msgjson.Map || kind == msgjson.Array {
			m.hasOpts = true
			m.opts, err = readOptions(&value, "")
		}
	case "data":
		m.data = value
	case "packet":
		m.packet = value
	case onlyCount:
		m.count, err = readTruth(&value)
	case onlyOthers:
		m.others, err = readTruth(&value)
	default:
		err = m.page.read(key, &value)
	}
	return err
}

// pageMembers say which page of its sockets a node is asked for.
type pageMembers struct {
	node, after string
	limit       float64
}

func (p *pageMembers) read(key []byte, value *msgjson.Reader) (err error) {
	switch string(key) {
	case "node":
		p.node, err = readText(value)
	case "after":
		p.after, err = readText(value)
	case "limit":
		p.limit, err = value.Number()
	}
	return err
}

// query is the page of the sockets that match.
func (p *pageMembers) query(nsp string, target rooms.Target) (adapter.Query, error) {
	limit := int(p.limit)
	if p.node == "" || limit <= 0 || float64(limit) != p.limit {
		return nil, errShape
	}
	return adapter.ListSockets{Namespace: nsp, Target: target, Node: p.node, After: p.after, Limit: limit}, nil
}

// request makes sense of the members.
func (m *requestMembers) request(nsp string) (Request, error) {
	r := Request{UID: m.uid, ID: m.id, Type: Type(m.kind)}
	if !m.hasKind || m.old || float64(r.Type) != m.kind {
		return r, ErrType
	}
	var err error
	switch r.Type {
	case TypeJoin, TypeLeave, TypeDisconnect:
		if err = m.command(&r, nsp); err == nil && r.ID != "" && r.Socket == "" {
			r.Command, r.Query = nil, adapter.Perform{Command: r.Command}
		}
	case TypeServerEmit:
		var args packet.Args
		if args, err = m.serverEmit(); m.id == "" {
			r.Command = adapter.ServerEmit{Namespace: nsp, Args: args}
		} else {
			r.Query = adapter.ServerAsk{Namespace: nsp, Args: args}
		}
	case TypeSockets:
		var names []string
		if m.rooms.Left() > 0 {
			names, err = readTarget(&m.rooms, "")
		}
		if m.count {
			r.Query = adapter.CountSockets{Namespace: nsp, Rooms: names}
		} else {
			r.Query = adapter.FetchSockets{Namespace: nsp, Target: rooms.Target{Rooms: names}}
		}
	case TypeAllRooms:
		r.Query = adapter.AllRooms{Namespace: nsp}
	case TypeFetch:
		if m.others {
			r.Query = adapter.ListSockets{Namespace: nsp, Target: m.opts.target}
		} else {
			r.Query = adapter.FetchSockets{Namespace: nsp, Target: m.opts.target}
		}
	case typeList:
		r.Query, err = m.page.query(nsp, m.opts.target)
	case TypeBroadcastAsk:
		r.Query, err = m.broadcastAsk(nsp)
	default:
		return r, ErrType
	}
	if err == nil && r.Query != nil && m.id == "" {
		err = errNoID
	}
	if err == nil && !m.hasOpts && (r.Type == TypeFetch || r.Type == TypeBroadcastAsk || r.Type == typeList) {
		err = errShape
	}
	return r, err
}

// command makes a command of the members: for a target, or in the old form for one socket.
func (m *requestMembers) command(r *Request, nsp string) error {
	target := m.opts.target
	var names []string
	var err error
	switch {
	case m.hasOpts && r.Type != TypeDisconnect:
		names, err = readNames(&m.rooms)
	case !m.hasOpts && m.socket == "":
		err = errShape
	case !m.hasOpts:
		r.Socket = m.socket
		target = rooms.Target{Rooms: []string{m.socket}}
		names = []string{m.room}
	}
	if err != nil {
		return err
	}
	switch r.Type {
	case TypeJoin:
		r.Command = adapter.Join{Namespace: nsp, Target: target, Rooms: names}
	case TypeLeave:
		r.Command = adapter.Leave{Namespace: nsp, Target: target, Rooms: names}
	default:
		r.Command = adapter.Disconnect{Namespace: nsp, Target: target, Close: m.close}
	}
	return nil
}

func (m *requestMembers) serverEmit() (packet.Args, error) {
	if err := checkName(m.data); err != nil {
		return packet.Args{}, err
	}
	return readArgs(&m.data, nil, nil)
}

func (m *requestMembers) broadcastAsk(nsp string) (adapter.Query, error) {
	args, err := readPacket(&m.packet, nsp, defaultNamespace, 0)
	if err != nil {
		return nil, fmt.Errorf("packet: %w", err)
	}
	return adapter.BroadcastAsk{
		Broadcast: adapter.Broadcast{
			Namespace: nsp, Args: args, Target: m.opts.target, Volatile: m.opts.volatile,
			NoCompress: m.opts.noCompress,
		},
		Timeout: m.opts.timeout,
	}, nil
}
