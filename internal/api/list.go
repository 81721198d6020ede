package api

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/carillon-io/carillon/pkg/socketio"
)

// cursor is where the next page begins. It belongs to one target, and holds the nodes that are still to be asked.
type cursor struct {
	Target []byte   `json:"t"` // its hash
	Nodes  []string `json:"n"` // the first is the one to be asked next
	After  string   `json:"a,omitempty"`
}

// Bounds of a cursor, which comes back from outside.
const (
	maxCursor = 64 << 10
	maxNodes  = 4096
)

var errCursor = errors.New("is not the cursor of a page of these sockets")

func (c cursor) text() string { return base64.RawURLEncoding.EncodeToString(marshal(c)) }

// parseCursor reads what text wrote for the same target.
func parseCursor(text string, of []byte) (c cursor, err error) {
	if len(text) > maxCursor {
		return c, errCursor
	}
	content, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || json.Unmarshal(content, &c) != nil {
		return c, errCursor
	}
	if string(c.Target) != string(of) || len(c.Nodes) == 0 || len(c.Nodes) > maxNodes || len(c.After) > maxName {
		return c, errCursor
	}
	return c, nil
}

func (t *target) hash() []byte {
	sum := sha256.Sum256(marshal([]any{t.namespace, t.rooms}))
	return sum[:8]
}

// socketPage is what is answered.
type socketPage struct {
	Sockets []listed `json:"sockets"`
	Missing []string `json:"missing"`
	Cursor  string   `json:"cursor,omitzero"`
}

// listed is one socket.
type listed struct {
	ID        string         `json:"id"`
	Rooms     []string       `json:"rooms"`
	Handshake jsontext.Value `json:"handshake"`
	Data      jsontext.Value `json:"data"`
}

// list is POST /v1/sockets/list.
func (s *Server) list(body []byte) (job, error) {
	if len(body) > s.limits.bytes+maxCursor {
		return job{}, errSize
	}
	var t target
	var from string
	limit := defaultPage
	known := t.members(false)
	known["limit"] = func(v jsontext.Value) (err error) {
		limit, err = whole(v, maxPage)
		return err
	}
	known["cursor"] = func(v jsontext.Value) (err error) {
		from, err = text(v)
		if err == nil && from == "" {
			err = errCursor
		}
		return err
	}
	if err := object(body, known); err != nil {
		return job{}, err
	}
	if err := t.check(); err != nil {
		return job{}, err
	}
	var at *cursor
	if from != "" {
		c, err := parseCursor(from, t.hash())
		if err != nil {
			return job{}, errors.New("cursor: " + err.Error())
		}
		at = &c
	}
	do := func(ctx context.Context) answer { return s.page(ctx, &t, at, limit) }
	return job{do: do, wait: s.cfg.Patience}, nil
}

// page answers with the sockets of one node, the first that has some, or up to a node that is missing.
func (s *Server) page(ctx context.Context, t *target, at *cursor, limit int) answer {
	e := s.emitter(t)
	page := socketPage{Sockets: []listed{}, Missing: []string{}}
	if at == nil {
		counts, err := e.CountSockets(ctx)
		missing, unasked := missingOf(err)
		if unasked {
			return away()
		}
		page.Missing = missing
		at = firstCursor(t, counts)
	}
	for len(at.Nodes) > 0 && len(page.Sockets) == 0 {
		list, err := e.ListSockets(ctx, at.Nodes[0], at.After, limit)
		missing, unasked := missingOf(err)
		if unasked {
			return away()
		}
		for _, socket := range list {
			page.Sockets = append(page.Sockets, describe(&socket))
		}
		page.Missing = append(page.Missing, missing...)
		if len(list) == limit {
			at.After = list[len(list)-1].ID
			break
		}
		at.Nodes, at.After = at.Nodes[1:], ""
		if len(missing) > 0 {
			break
		}
	}
	if len(at.Nodes) > 0 {
		page.Cursor = at.text()
	}
	return ok(http.StatusOK, page)
}

// firstCursor is for the nodes that have sockets; servers that do not tell their names are asked together.
func firstCursor(t *target, counts []socketio.NodeCount) *cursor {
	at := &cursor{Target: t.hash()}
	others := false
	for _, c := range counts {
		switch {
		case c.Sockets == 0:
		case c.Node == "":
			others = true
		default:
			at.Nodes = append(at.Nodes, c.Node)
		}
	}
	if others {
		at.Nodes = append(at.Nodes, "")
	}
	return at
}

func describe(s *socketio.RemoteSocket) listed {
	l := listed{ID: s.ID, Rooms: s.Rooms, Handshake: jsontext.Value(s.Handshake), Data: jsontext.Value(s.Data)}
	if l.Rooms == nil {
		l.Rooms = []string{}
	}
	if len(l.Handshake) == 0 {
		l.Handshake = jsontext.Value("{}")
	}
	if len(l.Data) == 0 {
		l.Data = jsontext.Value("null")
	}
	return l
}
