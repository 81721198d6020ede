package engine

import (
	"net/http"

	"github.com/carillon-io/carillon/internal/eioproto"
	"github.com/carillon-io/carillon/internal/frame"
	"github.com/carillon-io/carillon/internal/wsconn"
)

// request is what the query says.
type request struct {
	sid       string
	transport string
	revision  eioproto.Revision
	base64    bool
	jsonp     bool
	callback  string
	upgrade   bool
}

func readRequest(r *http.Request) request {
	query := ParseQuery(r.URL.RawQuery)
	q := request{
		sid:       query.Get("sid"),
		transport: query.Get("transport"),
		revision:  3, // as with Node's server, whatever else the client says
		base64:    query.Get("b64") != "",
		upgrade:   wsconn.Requested(r),
	}
	if query.Get("EIO") == "4" {
		q.revision = 4
	}
	if query.Has("j") {
		q.jsonp, q.callback = true, eioproto.JSONPIndex(query.Get("j"))
	}
	return q
}

// label is the transport as a metric names it.
func (q request) label() string {
	if q.upgrade || q.transport == transportWebSocket {
		return transportWebSocket
	}
	return transportPolling
}

// webSocketCodec: a client that polls without binary may well take it on a WebSocket.
func (q request) webSocketCodec() frame.Codec {
	return frame.Codec{Revision: q.revision, Base64: q.base64}
}
