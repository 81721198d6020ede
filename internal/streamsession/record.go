package streamsession

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/carillon-io/carillon/internal/msgjson"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// The members of a record. Node's servers ignore those they do not know.
const (
	memberNode  = "node" // first: see owner
	memberNsp   = "nsp"
	memberBegin = "begin"
	memberAt    = "at"
	memberState = "state"
	memberSID   = "sid"
	memberPID   = "pid"
	memberRooms = "rooms"
	memberData  = "data"
)

// Limits of a record that is read.
const (
	maxRecord = 1 << 20 // bytes of base64
	maxRooms  = 1 << 16
	maxDepth  = 128
)

// errRecord is for a value that is no session.
var errRecord = errors.New("streamsession: malformed session")

// members is how many a record of ours has, whatever is in it: a fixed beginning.
const members = 9

// owner is what the text of a record begins with that a node has written: its first member, filled up so that base64 ends with
// it.
func owner(node string) string {
	begin := msgjson.AppendString(msgjson.AppendMap(nil, members), memberNode)
	b := msgjson.AppendString(begin, node)
	for len(b)%3 != 0 {
		node += " "
		b = msgjson.AppendString(begin, node)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// encode is the text of a session that a node has, whose owner text is given.
func encode(owner string, s *adapter.Session) (string, error) {
	b := make([]byte, 0, 256+len(s.Data)+len(s.State))
	b = msgjson.AppendString(msgjson.AppendString(b, memberNsp), s.Namespace)
	b = msgjson.AppendString(msgjson.AppendString(b, memberBegin), s.Begin)
	b = msgjson.AppendString(msgjson.AppendString(b, memberAt), s.At)
	b = msgjson.AppendString(msgjson.AppendString(b, memberState), s.State)
	b = msgjson.AppendString(msgjson.AppendString(b, memberSID), s.ID)
	b = msgjson.AppendString(msgjson.AppendString(b, memberPID), s.PID)
	b = msgjson.AppendArray(msgjson.AppendString(b, memberRooms), len(s.Rooms))
	for _, room := range s.Rooms {
		b = msgjson.AppendString(b, room)
	}
	b = msgjson.AppendString(b, memberData)
	data := s.Data
	if len(data) == 0 {
		data = []byte("{}") // what Node's sockets have
	}
	b, err := msgjson.AppendMsgpack(b, data, nil, maxDepth)
	if err != nil {
		return "", fmt.Errorf("streamsession: data of a socket: %w", err)
	}
	return owner + base64.StdEncoding.EncodeToString(b), nil
}

// decode reads a session, of a node or of a Node server.
func decode(text string) (s adapter.Session, node string, err error) {
	if len(text) > maxRecord {
		return s, "", fmt.Errorf("%w: longer than %d bytes", errRecord, maxRecord)
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return s, "", fmt.Errorf("%w: %w", errRecord, err)
	}
	r := msgjson.NewReader(raw, maxDepth)
	n, err := r.Map()
	if err != nil {
		return s, "", fmt.Errorf("%w: %w", errRecord, err)
	}
	for range n {
		if err := decodeMember(&r, &s, &node); err != nil {
			return s, "", fmt.Errorf("%w: %w", errRecord, err)
		}
	}
	if err := r.End(); err != nil {
		return s, "", fmt.Errorf("%w: %w", errRecord, err)
	}
	if s.ID == "" || s.PID == "" {
		return s, "", fmt.Errorf("%w: it has no id", errRecord)
	}
	return s, strings.TrimRight(node, " "), nil
}

func decodeMember(r *msgjson.Reader, s *adapter.Session, node *string) error {
	name, err := r.Bytes()
	if err != nil {
		return err
	}
	text := func(to *string) error {
		b, err := r.Bytes()
		*to = string(b)
		return err
	}
	switch string(name) {
	case memberNode:
		return text(node)
	case memberNsp:
		return text(&s.Namespace)
	case memberBegin:
		return text(&s.Begin)
	case memberAt:
		return text(&s.At)
	case memberState:
		b, err := r.Bytes()
		if len(b) > 0 {
			s.State = b
		}
		return err
	case memberSID:
		return text(&s.ID)
	case memberPID:
		return text(&s.PID)
	case memberRooms:
		s.Rooms, err = decodeRooms(r)
		return err
	case memberData:
		s.Data, err = r.AppendPlainJSON(nil)
		return err
	}
	return r.Skip()
}

func decodeRooms(r *msgjson.Reader) ([]string, error) {
	n, err := r.Array()
	if err != nil {
		return nil, err
	}
	if n > maxRooms {
		return nil, errors.New("too many rooms")
	}
	list := make([]string, 0, min(n, r.Left()))
	for range n {
		if r.Kind() != msgjson.String { // Node's rooms may be numbers, which are no names here
			if err := r.Skip(); err != nil {
				return nil, err
			}
			continue
		}
		b, err := r.Bytes()
		if err != nil {
			return nil, err
		}
		list = append(list, string(b))
	}
	return list, nil
}

// ttl is how long a session is stored: the window, and for one whose client is connected the time until it is written again.
func ttl(s *adapter.Session, window, renewal time.Duration) time.Duration {
	if s.Away.IsZero() {
		return window + renewal
	}
	return max(window-time.Since(s.Away), time.Millisecond)
}
