package rediswire

import (
	"bytes"
	"fmt"

	"github.com/carillon-io/carillon/internal/msgjson"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// IsClusterEcho tells what the node uid published itself in nsp from what others did, without reading it: every message
// ends with its sender and its namespace.
func IsClusterEcho(payload []byte, nsp, uid string) bool {
	var space [256]byte
	end := space[:0]
	if len(payload) > 0 && payload[0] == '{' {
		end = msgjson.AppendQuoted(append(end, `},"uid":`...), []byte(uid))
		end = append(msgjson.AppendQuoted(append(end, `,"nsp":`...), []byte(nsp)), '}')
	} else {
		end = msgjson.AppendString(msgjson.AppendString(end, "uid"), uid)
		end = msgjson.AppendString(msgjson.AppendString(end, "nsp"), nsp)
	}
	return bytes.HasSuffix(payload, end)
}

// DecodeCluster reads any message of the sharded adapter that arrived in nsp, in JSON or MessagePack. Attachments are
// parts of payload; nothing else is. ErrType is for the types that this adapter does not use: heartbeats.
func DecodeCluster(nsp string, payload []byte, limits Limits) (ClusterMessage, error) {
	m := clusterMembers{size: len(payload), expected: nsp}
	err := eachMember(payload, limits, m.read)
	if err == nil {
		var message ClusterMessage
		if message, err = m.message(nsp, limits); err == nil {
			return message, nil
		}
	}
	return ClusterMessage{}, wrap("read cluster message", err)
}

// clusterMembers is what a message and its data consist of. A reader that is zero stands for a missing member.
type clusterMembers struct {
	size     int    // of the whole message
	expected string // namespace
	kind     float64
	uid      string
	nsp      string
	id       string
	data     msgjson.Reader
	packet   msgjson.Reader
	opts     options
	hasOpts  bool
	rooms    msgjson.Reader
	sockets  msgjson.Reader
	count    float64
	close    bool
	only     bool
	counting bool
	others   bool
	page     pageMembers
	extent   Extent
}

func (m *clusterMembers) read(key []byte, value msgjson.Reader) (err error) {
	switch string(key) {
	case "type":
		m.kind, err = value.Number()
	case "uid":
		m.uid, err = readText(&value)
	case "nsp":
		m.nsp, err = readNamespace(&value, m.expected)
	case "data":
		m.data = value
	}
	return err
}

func (m *clusterMembers) readData(limits Limits) error {
	if m.data.Kind() != msgjson.Map {
		return errShape
	}
	return eachEntry(m.data, limits.depth(), func(key []byte, value msgjson.Reader) (err error) {
		switch string(key) {
		case "requestId":
			m.id, err = readText(&value)
		case "packet":
			m.packet = value
		case "opts":
			m.hasOpts = value.Kind() == msgjson.Map
			m.opts, err = readOptions(&value, "")
		case "rooms":
			m.rooms = value
		case "sockets":
			m.sockets = value
		case "clientCount":
			m.count, err = value.Number()
		case "close":
			m.close, err = readTruth(&value)
		case onlyRooms:
			m.only, err = readTruth(&value)
		case onlyCount:
			m.counting, err = readTruth(&value)
		case onlyOthers:
			m.others, err = readTruth(&value)
		case memberMore, memberParts, memberCut:
			err = m.extent.read(key, &value)
		default:
			err = m.page.read(key, &value)
		}
		return err
	})
}

func (m *clusterMembers) message(nsp string, limits Limits) (ClusterMessage, error) {
	out := ClusterMessage{UID: m.uid}
	if m.nsp != nsp {
		return out, ErrNamespace
	}
	kind := int(m.kind)
	if float64(kind) != m.kind || (kind < clusterBroadcast || kind > clusterAcked) && kind != clusterList {
		return out, ErrType
	}
	if err := m.readData(limits); err != nil {
		return out, err
	}
	out.ID, out.Extent = m.id, m.extent
	var err error
	switch kind {
	case clusterBroadcast:
		err = m.broadcast(&out, nsp)
	case clusterJoin, clusterLeave, clusterDisconnect:
		if err = m.command(&out, kind, nsp); err == nil && m.id != "" {
			out.Command, out.Query = nil, adapter.Perform{Command: out.Command}
		}
	case clusterList:
		if !m.hasOpts {
			return out, errShape
		}
		out.Query, err = m.page.query(nsp, m.opts.target)
	case clusterFetch:
		switch {
		case !m.hasOpts:
			err = errShape
		case m.only:
			out.Query = adapter.AllRooms{Namespace: nsp}
		case m.counting:
			out.Query = adapter.CountSockets{Namespace: nsp, Rooms: m.opts.target.Rooms}
		case m.others:
			out.Query = adapter.ListSockets{Namespace: nsp, Target: m.opts.target}
		default:
			out.Query = adapter.FetchSockets{Namespace: nsp, Target: m.opts.target}
		}
	case clusterServerEmit:
		var args packet.Args
		if args, err = m.serverEmit(); m.id == "" {
			out.Command = adapter.ServerEmit{Namespace: nsp, Args: args}
		} else {
			out.Query = adapter.ServerAsk{Namespace: nsp, Args: args}
		}
	default:
		err = m.reply(&out, kind)
	}
	if err == nil && out.Command == nil && m.id == "" {
		err = errNoID
	}
	return out, err
}

// broadcast reads an event, whose packet says no namespace here.
func (m *clusterMembers) broadcast(out *ClusterMessage, nsp string) error {
	if !m.hasOpts {
		return errShape
	}
	args, err := readPacket(&m.packet, nsp, nsp, m.size)
	if err != nil {
		return fmt.Errorf("packet: %w", err)
	}
	b := adapter.Broadcast{
		Namespace: nsp, Args: args, Target: m.opts.target, Volatile: m.opts.volatile, NoCompress: m.opts.noCompress,
	}
	if m.id == "" {
		out.Command = b
	} else {
		out.Query = adapter.BroadcastAsk{Broadcast: b, Timeout: m.opts.timeout}
	}
	return nil
}

func (m *clusterMembers) command(out *ClusterMessage, kind int, nsp string) error {
	if !m.hasOpts {
		return errShape
	}
	if kind == clusterDisconnect {
		out.Command = adapter.Disconnect{Namespace: nsp, Target: m.opts.target, Close: m.close}
		return nil
	}
	names, err := readNames(&m.rooms)
	if kind == clusterJoin {
		out.Command = adapter.Join{Namespace: nsp, Target: m.opts.target, Rooms: names}
	} else {
		out.Command = adapter.Leave{Namespace: nsp, Target: m.opts.target, Rooms: names}
	}
	return err
}

func (m *clusterMembers) serverEmit() (packet.Args, error) {
	if err := checkName(m.packet); err != nil {
		return packet.Args{}, err
	}
	return readArgs(&m.packet, nil, nil)
}

func (m *clusterMembers) reply(out *ClusterMessage, kind int) (err error) {
	switch kind {
	case clusterSockets:
		if m.rooms.Kind() == msgjson.Array {
			var names adapter.RoomNames
			names, err = readTarget(&m.rooms, "")
			out.Type, out.Reply = TypeAllRooms, names
			return err
		}
		out.Type = TypeFetch
		out.Reply, err = replySockets(&m.sockets)
	case clusterCount:
		out.Type = TypeBroadcastAsk
		out.Reply, err = replyCount(m.count)
	case clusterAcked:
		out.Type = TypeBroadcastAsk
		out.Reply, err = replyAcked(&m.packet)
	default:
		out.Type = TypeServerEmit
		out.Reply, err = replyAcked(&m.packet)
	}
	return err
}
